"""The `train` flow: a snapshot -> a model bundle with scores, trained in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.artifacts import train_artifact
from flows.faults import RETRIES, RETRY_DELAY_S, is_passing
from flows.pipeline_file import Pipeline, build, to_json
from flows.progress import Callback, say, stage
from flows.references import Json, resolve
from flows.reports import read_events, write_report
from models.bundle import BundleError, check
from seqprep import __version__
from seqprep.errors import SeqprepError
from seqprep.fingerprint import fingerprint
from seqprep.snapshot import Snapshot, replace_bytes
from seqprep.table import Table

POLL_S = 0.5
STOPPED = 75
"""Exit status of a training that was asked to stop and wrote a checkpoint."""

# glibc gives large blocks back to the kernel and takes them again at every step; keeping them made
# training steps 20 to 40 % faster.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}


def newest_snapshot(spec: Pipeline, *, store: Path) -> Path:
    """The snapshot file of the newest version of a recipe's examples.

    Raises:
        SeqprepError: if nothing was prepared yet.
    """
    folder = store / spec.dataset
    version = Table(folder / f"examples-{spec.prepare.recipe}").version()
    path = folder / "snapshots" / f"{spec.prepare.recipe}-v{version}.json"
    if version is None or not path.is_file():
        raise SeqprepError(
            f"{spec.dataset}: recipe {spec.prepare.recipe!r} has no examples yet; "
            "run `seqprep run`, or `ingest` and `prepare` first"
        )
    return path


def write_job(spec: Pipeline, *, store: Path) -> tuple[Path, bool]:
    """Write the job file of a training run, in a folder named by what determines its result.

    Args:
        spec: the pipeline.
        store: folder of the datasets.

    Returns:
        The job file, and whether that very run is already finished and intact.
    """
    path = newest_snapshot(spec, store=store)
    snapshot = Snapshot.read(path)
    train = to_json(spec)["train"]
    # Not part of the result: where and how often, not what.
    what = {key: train[key] for key in train if key not in ("threads", "checkpoint_minutes")}
    digest = fingerprint(snapshot.sha256, what, to_json(spec)["predict"], __version__)
    out = (store / spec.dataset / "models" / f"{spec.prepare.recipe}-{digest[:12]}").resolve()
    job = {
        "snapshot": str(path.resolve()),
        "out": str(out),
        "train": train,
        "fitted": str(_fitted(spec, snapshot, store=store)),
        "pipeline": to_json(spec),
    }
    finished = (out / "report.json").is_file() and _is_whole(out / "bundle")
    replace_bytes(out / "job.json", json.dumps(job, indent=1).encode())
    return out / "job.json", finished


def _is_whole(bundle: Path) -> bool:
    try:
        check(bundle)
    except BundleError:
        return False
    return True


def _fitted(spec: Pipeline, snapshot: Snapshot, *, store: Path) -> Path:
    table = Table(store / spec.dataset / f"examples-{spec.prepare.recipe}")
    name = table.info(snapshot.facts.examples_version).state["fitted"]
    return (table.state.path / name).resolve()


def follow(job: Path, progress: Callback) -> None:
    """Run `python -m models.train JOB` and report its progress until it ends.

    Args:
        job: the job file.
        progress: called with updates done and in all.

    Raises:
        SeqprepError: with the trainer's own words, if it refused the job or the data.
        RuntimeError: if it died.
    """
    log = job.with_name("train.log")
    metrics = job.with_name("metrics.jsonl")
    before = sum(event["event"] == "start" for event in read_events(metrics))
    root = Path(__file__).resolve().parent.parent
    environment = {**MALLOC, **os.environ, "PYTHONUNBUFFERED": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(root), os.environ.get("PYTHONPATH")) if part
    )
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "models.train", str(job)],
            stdout=errors,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            for event in _new_events(process, metrics, before):
                _report(event, progress)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=60)
    _check_exit(process.returncode, log)


def _new_events(process: subprocess.Popen[bytes], path: Path, before: int) -> Iterator[Json]:
    """The trainer's events as they are written, until it ends.

    Args:
        process: the trainer.
        path: of its events; going on from a checkpoint rewrites the file.
        before: runs that the file told of already.
    """
    told = 0
    while True:
        ended = process.poll() is not None
        events = read_events(path)
        starts = [place for place, event in enumerate(events) if event["event"] == "start"]
        if len(starts) > before:
            new = events[starts[before] :]
            yield from new[told:]
            told = len(new)
        if ended:
            return
        time.sleep(POLL_S)


def _report(event: Json, progress: Callback) -> None:
    total = int(event.get("updates_total") or 0)
    if event["event"] == "start" and event.get("update"):
        say(f"  going on at update {event['update']:,}")
    elif event["event"] == "progress":
        progress("updates", int(event["update"]), total)
    elif event["event"] == "epoch":
        loss = event.get("validation_loss")
        text = f"  epoch {event['epoch']}: training loss {event['train_loss'] or 0:.4f}"
        say(text + (f", validation loss {loss:.4f}" if loss is not None else ""))


def _check_exit(code: int, log: Path) -> None:
    if code == 0:
        return
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it printed nothing"
    if code == 2:
        raise SeqprepError(last)
    if code == STOPPED:
        raise RuntimeError("training was stopped and wrote a checkpoint; run again to go on")
    raise RuntimeError(f"training ended with status {code}: {last} (all of it: {log})")


@task(
    name="train model",
    cache_policy=NO_CACHE,
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAY_S,
    retry_condition_fn=is_passing,
)
def train_model(pipeline: Json, *, store: str, prepared: Json | None = None) -> Json:
    """Train on the newest examples of the recipe, score, and write bundle and report."""
    spec = build(pipeline)
    started_s = time.monotonic()
    job, finished = write_job(spec, store=Path(store))
    if finished:
        say(f"{spec.dataset}: model unchanged, reused: {job.parent}")
    else:
        with stage(f"{spec.dataset}: train {spec.train.model.name}") as progress:
            follow(job, progress)
    report = json.loads((job.parent / "report.json").read_bytes())
    page = write_report(job.parent, prepared=prepared)
    return {
        "bundle": str(job.parent / "bundle"),
        "report": str(page),
        "metrics": report["metrics"],
        "baselines": report["baselines"],
        "train": report["train"],
        "reused": finished,
        "seconds": time.monotonic() - started_s,
    }


@flow(name="train", flow_run_name="train-{file}")
def train(
    file: str | None = None,
    pipeline: Pipeline | None = None,
    store: str = "store",
    settings: list[str] | None = None,
) -> Json:
    """Train a model on the newest prepared examples.

    Args:
        file: path of a pipeline file; or give `pipeline`.
        pipeline: the content of a pipeline file.
        store: folder of the datasets.
        settings: `a.b=value` texts that change the file's values.

    Returns:
        Paths of the bundle and the report, and the scores.
    """
    spec, _ = resolve(file, pipeline, settings)
    done = train_model(to_json(spec), store=store)
    train_artifact(done)
    return done
