"""The `train` flow: a snapshot -> a model bundle with scores, trained in a process of its own."""

from __future__ import annotations

import json
import math
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
from flows.new_version import announce
from flows.notify import TOLD, tell_current
from flows.pipeline_file import Pipeline, build, to_json
from flows.prepare import prepare_rows
from flows.progress import Shown, say, stage
from flows.references import Json, resolve
from flows.registry.current import enter
from flows.reporting.artifacts import Page, prepare_artifact, standing_artifact, train_artifact
from flows.reporting.reports import write_report
from flows.run_names import run_name
from flows.training.due import Due, decide, is_asked, standing
from flows.training.events import NewEvents, figures
from flows.training.job import board_is_missing, find_prepared, is_finished, write_job
from flows.training.run_files import publish_run, seal_run, told_at
from flows.training.running import RUNNING, TrainingStopped, stop
from flows.turns import turn
from models.training.grace import STOPPED
from models.training.lock import exclusive
from seqprep.errors import SeqprepError
from seqprep.stores import store_folder
from seqprep.upkeep.model_runs import is_live

POLL_S = 0.5
REPORTED_S = 600.0
"""Seconds to wait for another process that reports on the same model."""

# glibc gives large blocks back to the kernel and takes them again at every step; keeping them made
# training steps 20 to 40 % faster.
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}


def follow(
    job: Path,
    progress: Shown,
    *,
    tell: Callable[[str], None] = say,
    until_s: float = math.inf,
) -> None:
    """Run `python -m models.train JOB` and report its progress until it ends.

    Args:
        job: the job file.
        progress: called with updates done and in all, and the figures of the last one.
        tell: called with a line at the start and at the end of each epoch.
        until_s: seconds since 1970 at which it is killed, without a checkpoint.

    Raises:
        TimeoutError: if it was killed then.
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
            for event in _until_it_ends(process, events, until_s):
                _report(event, progress, tell)
        finally:
            stop(process)
            RUNNING.discard(process)
    _check_exit(process.returncode, log)


def _until_it_ends(
    process: subprocess.Popen[bytes], events: NewEvents, until_s: float
) -> Iterator[Json]:
    """The trainer's events as they are written, until it ends."""
    while True:
        ended = process.poll() is not None
        yield from events.read()
        if ended:
            return
        if time.time() > until_s:
            process.kill()
            process.wait()
            raise TimeoutError("the training took too long, and was ended")
        time.sleep(POLL_S)


def _report(event: Json, progress: Shown, tell: Callable[[str], None] = say) -> None:
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


def follow_or_join(job: Path, progress: Shown) -> bool:
    """Train; while another process trains this very model, wait, and go on where it died.

    Args:
        job: the job file.
        progress: as `follow` takes it.

    Returns:
        Whether it was this process that ended the training.
    """
    told = False
    while not is_finished(job.parent):
        if is_live(job.parent):
            if not told:
                say(f"{job.parent.name}: another process trains this model; waiting for it")
            told = True
            time.sleep(POLL_S)
            continue
        try:
            follow(job, progress)
            return True
        except SeqprepError:
            if not is_live(job.parent):  # else it was the other one that came first
                raise
    return False


@task(name="train model", **RETRIED)
def train_model(pipeline: Json, *, store: str, prepared: Json | None = None) -> Json:
    """Train on prepared examples, score, and write bundle and report.

    Args:
        pipeline: as JSON.
        store: folder of the datasets, or s3://BUCKET/PREFIX.
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
    root = store_folder(store, dataset=spec.dataset)
    if prepared is None:
        prepared = asdict(find_prepared(spec, store=root))
    job, finished = write_job(spec, prepared, store=root)
    if finished:
        say(f"{spec.dataset}: model unchanged, reused: {job.parent}")
    if not finished or board_is_missing(spec.train, job.parent):
        with stage(f"{spec.dataset}: train {spec.train.model.name}") as progress:
            if finished:
                follow(job, progress)
            else:
                finished = not follow_or_join(job, progress)
    with exclusive(job.parent, wait_s=REPORTED_S):  # another run may have joined this one
        write_report(job.parent, prepared=prepared)
        seal_run(job.parent)
        publish_run(job.parent)
        store_folder(store, dataset=spec.dataset)  # what others made current since
        report = json.loads((job.parent / "report.json").read_bytes())
        current = enter(spec, job.parent, report, prepared=prepared)
    return {
        **told_at(job.parent),
        "dataset": spec.dataset,
        "current": current,
        "trained": not finished,
        "reused": finished,
        "seconds": time.monotonic() - started_s,
    }


def train_when_due(
    spec: Pipeline, prepared: Json, *, store: str, if_newer: bool, refit: Callable[[], Json]
) -> tuple[Json, Json, list[Page]]:
    """Train, unless that depends on newer examples and the policy says that it does not pay.

    Args:
        spec: the pipeline.
        prepared: what `prepare` made.
        store: folder of the datasets.
        if_newer: whether it depends on newer examples; see `is_asked`.
        refit: prepares anew, where the policy says so.

    Returns:
        What the model stands on, fitted anew where the policy says so; the model, with `trained`
        and `why`, which is the newest of the recipe where nothing was trained; and what was shown.
    """
    due = Due(trains=True, why="asked for")
    if if_newer:
        due = decide(spec, prepared, store=store_folder(store, dataset=spec.dataset))
        say(f"{spec.dataset}: {due.why}")
    if not due.trains:
        model = standing(spec, due, store=store_folder(store))
        return prepared, model, [standing_artifact(model)]
    if due.refit:
        prepared = refit()
    done = {**train_model(to_json(spec), store=store, prepared=prepared), "why": due.why}
    return prepared, done, train_artifact(done)


@flow(name="train", flow_run_name=run_name, **TOLD)
def train(
    file: str | None = None,
    pipeline: Pipeline | None = None,
    store: str = "store",
    settings: list[str] | None = None,
    if_newer: bool = False,
) -> Json:
    """Train a model on the newest prepared examples.

    Args:
        file: path of a pipeline file; none where `pipeline` is given.
        pipeline: or the content of one, its paths absolute.
        store: folder of the datasets, or s3://BUCKET/PREFIX.
        settings: `a.b=value` texts that change the file's values.
        if_newer: only where they are newer than those of the newest model, and `train.retrain`
            says that it pays.

    Returns:
        Paths of the bundle and the report, the scores, whether it was trained now, and why.
    """
    spec, base = resolve(file, pipeline, settings)
    asked = is_asked(spec, if_newer)
    prepared = asdict(find_prepared(spec, store=store_folder(store, dataset=spec.dataset)))

    def refit() -> Json:
        done: Json = prepare_rows(to_json(spec), base=str(base), store=store, refit=True)
        announce(done, file=file, store=store, settings=settings, trains=True)
        prepare_artifact(done, spec.prepare.drift)
        return done

    return train_when_due(spec, prepared, store=store, if_newer=asked, refit=refit)[1]
