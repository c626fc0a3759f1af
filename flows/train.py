"""The `train` flow: a snapshot -> a model bundle with scores, trained in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from prefect import flow, task

from flows.faults import RETRIED
from flows.notify import TOLD, tell_current
from flows.pipeline_file import Pipeline, build, to_json
from flows.progress import Shown, say, stage
from flows.references import Json, resolve
from flows.registry.current import enter
from flows.reporting.artifacts import train_artifact
from flows.reporting.reports import write_report
from flows.training.events import NewEvents, figures
from flows.training.job import board_is_missing, find_prepared, write_job
from flows.training.run_files import seal_run
from flows.training.running import RUNNING, TrainingStopped, stop
from flows.turns import turn
from models.training.grace import STOPPED
from seqprep.errors import SeqprepError

POLL_S = 0.5

# glibc gives large blocks back to the kernel and takes them again at every step; keeping them made
# training steps 20 to 40 % faster.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}


def follow(job: Path, progress: Shown, *, tell: Callable[[str], None] = say) -> None:
    """Run `python -m models.train JOB` and report its progress until it ends.

    Args:
        job: the job file.
        progress: called with updates done and in all, and the figures of the last one.
        tell: called with a line at the start and at the end of each epoch.

    Raises:
        SeqprepError: with the trainer's own words, if it refused the job or the data.
        TrainingStopped: if it was told to stop.
        RuntimeError: if it died.
    """
    log = job.with_name("train.log")
    events = NewEvents(job.with_name("metrics.jsonl"))
    root = Path(__file__).resolve().parent.parent
    environment = {**MALLOC, **os.environ, "PYTHONUNBUFFERED": "1"}
    environment["SEQPREP_PARENT"] = str(os.getpid())
    environment["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(root), os.environ.get("PYTHONPATH")) if part
    )
    # -P: a file models.py in the person's folder is not ours.
    command = [sys.executable, "-P", "-m", "models.train", str(job)]
    with log.open("wb") as errors:
        # A session of its own: Ctrl-C reaches us alone, and we ask the trainer for a checkpoint.
        process = subprocess.Popen(
            command,
            stdout=errors,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        RUNNING.add(process)
        try:
            for event in _until_it_ends(process, events):
                _report(event, progress, tell)
        finally:
            stop(process)
            RUNNING.discard(process)
    _check_exit(process.returncode, log)


def _until_it_ends(process: subprocess.Popen[bytes], events: NewEvents) -> Iterator[Json]:
    """The trainer's events as they are written, until it ends."""
    while True:
        ended = process.poll() is not None
        yield from events.read()
        if ended:
            return
        time.sleep(POLL_S)


def _report(event: Json, progress: Shown, tell: Callable[[str], None]) -> None:
    total = int(event.get("updates_total") or 0)
    if event["event"] == "start":
        if event.get("update"):
            tell(f"  going on at update {event['update']:,}")
        for remark in event.get("remarks", ()):
            tell(f"  {remark}")
    elif event["event"] == "progress":
        progress("updates", int(event["update"]), total, figures(event))
    elif event["event"] == "epoch":
        loss = event.get("validation_loss")
        shown = [f"{event['train_loss']:.4f}" if event["train_loss"] is not None else "not finite"]
        shown += [f"validation loss {loss:.4f}"] if loss is not None else []
        tell(f"  epoch {event['epoch']}: training loss {', '.join(shown)}; {figures(event)}")


def _check_exit(code: int, log: Path) -> None:
    if code == 0:
        return
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it printed nothing"
    if code == 2:
        raise SeqprepError(last)
    if code == STOPPED:
        raise TrainingStopped("training was stopped and wrote a checkpoint; run again to go on")
    if code in (-signal.SIGTERM, -signal.SIGINT):
        raise TrainingStopped("training was stopped before it began; run again to go on")
    raise RuntimeError(f"training ended with status {code}: {last} (all of it: {log})")


@task(name="train model", **RETRIED)
def train_model(pipeline: Json, *, store: str, prepared: Json | None = None) -> Json:
    """Train on prepared examples, score, and write bundle and report.

    Args:
        pipeline: as JSON.
        store: folder of the datasets.
        prepared: what `prepare` made; default: the newest version made with these options.
    """
    spec = build(pipeline)
    with turn("models", dataset=spec.dataset, store=store):
        done = _trained(spec, store=store, prepared=prepared)
    if not done["reused"] and done["current"] == Path(done["bundle"]).parent.name:
        tell_current(done)
    return done


def _trained(spec: Pipeline, *, store: str, prepared: Json | None) -> Json:
    started_s = time.monotonic()
    if prepared is None:
        prepared = asdict(find_prepared(spec, store=Path(store)))
    job, finished = write_job(spec, prepared, store=Path(store))
    if finished:
        say(f"{spec.dataset}: model unchanged, reused: {job.parent}")
    if not finished or board_is_missing(spec.train, job.parent):
        with stage(f"{spec.dataset}: train {spec.train.model.name}") as progress:
            follow(job, progress)
    report = json.loads((job.parent / "report.json").read_bytes())
    page = write_report(job.parent, prepared=prepared)
    seal_run(job.parent)
    current = enter(spec, job.parent, report, prepared=prepared)
    return {
        "bundle": str(job.parent / "bundle"),
        "report": str(page),
        "metrics": report["metrics"],
        "baselines": report["baselines"],
        "train": report["train"],
        "dataset": spec.dataset,
        "current": current,
        "reused": finished,
        "seconds": time.monotonic() - started_s,
    }


@flow(name="train", flow_run_name="train-{file}", **TOLD)
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
