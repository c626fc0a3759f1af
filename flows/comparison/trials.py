"""One training of a comparison: run, or found again where it was run before.

Trainings lie in the dataset's folder `comparisons/runs`, named by what determines their result, so
another comparison finds them, too. They are no models of the dataset: none is registered.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from flows.pipeline_file import Pipeline
from flows.progress import silent
from flows.references import Json
from flows.reporting.reports import read_events
from flows.train import follow
from flows.training.job import write_job
from models.bundle import Bundle
from models.device import prepare_torch
from models.options.training import Train
from models.predict import predict_examples
from seqprep.snapshot import Snapshot, read_shard, replace_bytes

RUNS = "comparisons/runs"
TIMED = 200
"""Rows that are predicted to see how long it takes."""
NAME = "trial.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One training.

    Args:
        strategy: its name. setting: of the search, for a person to read.
        spec: the pipeline, all options applied.
        prepared: what `prepare` made with it.
    """

    strategy: str
    setting: str
    spec: Pipeline
    prepared: Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a training gave.

    Args:
        strategy, setting, seed: of the trial. folder: of the run.
        updates, epochs: that were trained. parameters: of the model.
        train_seconds: with the validation after each epoch. wall_seconds: with start and end.
        predict_seconds: for a thousand records. memory_bytes: that training took.
    """

    strategy: str
    setting: str
    seed: int
    folder: str
    updates: int
    epochs: int
    parameters: int
    train_seconds: float
    wall_seconds: float
    predict_seconds: float
    memory_bytes: int


def run_trial(trial: Trial, *, store: Path) -> Outcome:
    """Train, or find the training that was finished before.

    Args:
        trial: what to train.
        store: folder of the datasets.

    Raises:
        SeqprepError: with the trainer's own words.
    """
    job, finished = write_job(trial.spec, trial.prepared, store=store, folder=RUNS)
    noted = job.with_name(NAME)
    if not (finished and noted.is_file()):
        start_s = time.monotonic()
        follow(job, silent, tell=_untold)
        wall_s = time.monotonic() - start_s
        body = asdict(_outcome(trial, job.parent, wall_s))
        replace_bytes(noted, json.dumps(body, indent=1).encode())
    known = json.loads(noted.read_bytes())
    return Outcome(**{**known, "strategy": trial.strategy, "setting": trial.setting})


def _outcome(trial: Trial, folder: Path, wall_s: float) -> Outcome:
    report = json.loads((folder / "report.json").read_bytes())
    train = report["train"]
    return Outcome(
        strategy=trial.strategy,
        setting=trial.setting,
        seed=trial.spec.train.seed,
        folder=str(folder),
        updates=train["updates"],
        epochs=train["epochs"],
        parameters=report["model"]["parameters"],
        train_seconds=train["seconds"],
        wall_seconds=wall_s,
        predict_seconds=_time_prediction(folder / "bundle", trial.prepared),
        memory_bytes=train["memory_bytes"],
    )


def _time_prediction(bundle: Path, prepared: Json) -> float:
    """Seconds that a thousand records take, from some rows of validation."""
    snapshot = Snapshot.read(Path(prepared["snapshot"]))
    rows = []
    for shard in snapshot.of("validation"):
        rows.append(read_shard(snapshot, shard))
        if sum(map(len, rows)) >= TIMED:
            break
    examples = pa.concat_tables(rows).slice(0, TIMED)
    model = Bundle.read(bundle)
    device = prepare_torch(Train(device="auto", threads=1))
    start_s = time.perf_counter()
    found = predict_examples(model, examples, device=device)
    return (time.perf_counter() - start_s) * 1000 / max(1, len(found))


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How fast a strategy trains, from a few updates.

    Args:
        update_s: seconds an update. around_s: of start, scores and end. judge_s: of a validation.
        update_steps: real steps an update.
        epoch_updates: updates of an epoch, about.
    """

    update_s: float
    around_s: float
    judge_s: float
    update_steps: float
    epoch_updates: float


def measure_pace(trial: Trial, *, store: Path) -> Pace:
    """Train a few updates in a folder that is thrown away.

    Args:
        trial: with that many updates.
        store: folder of the datasets.
    """
    job, _ = write_job(trial.spec, trial.prepared, store=store, folder=RUNS)
    body = json.loads(job.read_bytes())
    if not (job.parent / "report.json").is_file():
        shutil.rmtree(job.parent)
    folder = job.parent.parent / f".pace-{uuid4().hex}"
    try:
        replace_bytes(folder / "job.json", json.dumps({**body, "out": str(folder)}).encode())
        start_s = time.monotonic()
        follow(folder / "job.json", silent, tell=_untold)
        return _pace(folder, time.monotonic() - start_s, trial.prepared)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _pace(folder: Path, wall_s: float, prepared: Json) -> Pace:
    """Of a short training: its first update warms up, and is left out where there are more."""
    train = json.loads((folder / "report.json").read_bytes())["train"]
    events = [e for e in read_events(folder / "metrics.jsonl") if e["event"] == "progress"]
    first, last = events[0], events[-1]
    learnt_s = last["steps"] / last["real_steps_per_s"]
    warm_s = first["steps"] / first["real_steps_per_s"]
    later = last["update"] - first["update"]
    update_s = (learnt_s - warm_s) / later if later else learnt_s / max(1, last["update"])
    update_steps = last["steps"] / max(1, last["update"])
    return Pace(
        update_s=max(1e-4, update_s),
        around_s=max(0.0, wall_s - train["seconds"]),
        judge_s=max(0.0, train["seconds"] - learnt_s) / max(1, train["epochs"]),
        update_steps=update_steps,
        epoch_updates=prepared["steps_after"]["train"] / max(1.0, update_steps),
    )


def run_all(
    trials: Sequence[Trial],
    *,
    store: Path,
    workers: int,
    told: Callable[[Trial, Outcome | Exception], None],
) -> list[Outcome | None]:
    """Outcomes in the order of the trials; None of those that failed.

    Args:
        trials: what to train.
        store: folder of the datasets.
        workers: trainings at once, each in a process of its own.
        told: called after each.
    """
    found: list[Outcome | None] = [None] * len(trials)
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(run_trial, t, store=store): n for n, t in enumerate(trials)}
        for done in as_completed(running):
            place = running[done]
            error = done.exception()
            if isinstance(error, Exception):
                told(trials[place], error)
                continue
            found[place] = done.result()
            told(trials[place], done.result())
    return found


def _untold(text: str) -> None:
    """Epochs of one of many trainings are not told."""
