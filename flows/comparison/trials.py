"""One training of a comparison: run, or found again where it was run before.

Trainings lie in the dataset's folder `studies/runs`, named by what determines their result, so
another comparison finds them, too. They are no models of the dataset: none is registered.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from flows.comparison.pace import Pace
from flows.comparison.pretraining import RUNS, Ground, Pretraining, ground_of
from flows.pipeline_file import Pipeline
from flows.progress import silent
from flows.references import Json
from flows.reporting.reports import read_events
from flows.train import follow
from flows.training.job import is_finished, run_folder, write_job
from models.bundle import Bundle
from models.device import prepare_torch
from models.job import read_job
from models.options.training import Train
from models.predict import predict_examples
from models.training.lock import exclusive
from seqprep.batches import BatchSettings, BatchSource
from seqprep.snapshot import Snapshot, read_shard, replace_bytes
from seqprep.upkeep.leftovers import STUDIES

TIMED = 100
"""Rows that are predicted to see how long it takes."""
NAME = "trial.json"
TURN_S = 24 * 3600.0
"""Seconds to wait for another comparison that trains the very same."""
Watch = Callable[[Path], None]
"""Called with a training's folder at its start and after each epoch; what it raises ends it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One training.

    Args:
        strategy: its name. setting: of the search, for a person to read.
        spec: the pipeline, all options applied.
        prepared: what `prepare` made with it.
        pretraining: what comes before it.
        validation_only: its test rows are not looked at.
    """

    strategy: str
    setting: str
    spec: Pipeline
    prepared: Json
    pretraining: Pretraining | None = None
    validation_only: bool = False

    @property
    def told(self) -> str:
        """Which training it is, for a person."""
        return f"{self.strategy}, {self.setting}, seed {self.spec.train.seed}"


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


def run_trial(trial: Trial, *, store: Path, watch: Watch | None = None) -> Outcome:
    """Train, or find the training that was finished before.

    Args:
        trial: what to train.
        store: folder of the datasets.
        watch: of the training itself, not of what comes before it.

    Raises:
        SeqprepError: with the trainer's own words.
    """
    start_s = time.monotonic()
    ground = ground_of(trial.spec, trial.prepared, trial.pretraining, store=store, train=_train)
    job, _ = write_job(
        ground.spec,
        ground.prepared,
        store=ground.store,
        folder=RUNS,
        validation_only=trial.validation_only,
    )
    _train(job, ground.prepared, watch=watch)
    noted = job.with_name(NAME)
    if not noted.is_file():
        body = asdict(_outcome(trial, ground, job.parent, start_s))
        replace_bytes(noted, json.dumps(body, indent=1).encode())
    known = json.loads(noted.read_bytes())
    return Outcome(**{**known, "strategy": trial.strategy, "setting": trial.setting})


def was_run(trial: Trial, *, store: Path) -> bool:
    """Whether a training was finished before, with all that comes before it.

    Args:
        trial: that is asked about.
        store: folder of the datasets.
    """

    def find(job: Path, _: Json) -> None:
        if not is_finished(job.parent):
            raise LookupError(job)

    if not (store / trial.spec.dataset / RUNS).is_dir():
        return False
    own, rows, first = trial.spec, trial.prepared, trial.pretraining
    try:
        ground = ground_of(own, rows, first, store=store, train=find, is_asked_only=True)
    except LookupError:
        return False
    snapshot = Snapshot.read(Path(ground.prepared["snapshot"]))
    folder = run_folder(
        ground.spec,
        snapshot,
        store=ground.store,
        folder=RUNS,
        validation_only=trial.validation_only,
    )
    return (folder / NAME).is_file()


def _train(job: Path, _: Json, *, watch: Watch | None = None) -> None:
    """Train to the end; of two that want the same at once, one waits and finds it done."""

    def tell(_: str) -> None:
        if watch is not None:
            watch(job.parent)

    turn = job.parent / "turn"
    turn.mkdir(exist_ok=True)
    with exclusive(turn, wait_s=TURN_S):
        if not is_finished(job.parent):
            follow(job, silent, tell=tell)


def _outcome(trial: Trial, ground: Ground, folder: Path, start_s: float) -> Outcome:
    report = json.loads((folder / "report.json").read_bytes())
    train = report["train"]
    predict_s = _time_prediction(folder / "bundle", ground.prepared) + ground.predict_seconds
    return Outcome(
        strategy=trial.strategy,
        setting=trial.setting,
        seed=trial.spec.train.seed,
        folder=str(folder),
        updates=train["updates"],
        epochs=train["epochs"],
        parameters=report["model"]["parameters"] + ground.parameters,
        train_seconds=train["seconds"] + ground.train_seconds,
        wall_seconds=time.monotonic() - start_s,
        predict_seconds=predict_s,
        memory_bytes=max(train["memory_bytes"], ground.memory_bytes),
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


def measure_pace(trial: Trial, *, store: Path, limit_s: float = math.inf) -> Pace:
    """Train a few updates in a folder that is thrown away.

    Args:
        trial: with that many updates.
        store: folder of the datasets.
        limit_s: that it may take.

    Raises:
        TimeoutError: if it takes longer.
    """
    until_s = time.time() + limit_s
    start_s = time.monotonic()
    runs = f"{STUDIES}/.pace-{uuid4().hex}/runs"
    paces: list[Pace] = []
    trained_s = 0.0

    def train(job: Path, rows: Json) -> None:
        nonlocal trained_s
        began_s = time.monotonic()
        follow(job, silent, tell=_untold, until_s=until_s)
        took_s = time.monotonic() - began_s
        paces.append(pace_of(job.parent, took_s, rows))
        trained_s += took_s

    try:
        own, rows = trial.spec, trial.prepared
        ground = ground_of(own, rows, trial.pretraining, store=store, train=train, runs=runs)
        job, _ = write_job(ground.spec, ground.prepared, store=ground.store, folder=runs)
        train(job, ground.prepared)
        _time_prediction(job.parent / "bundle", ground.prepared)
    finally:
        shutil.rmtree((store / trial.spec.dataset / runs).parent, ignore_errors=True)
    return _in_a_row(paces, time.monotonic() - start_s - trained_s)


def _in_a_row(paces: Sequence[Pace], rest_s: float) -> Pace:
    """Of trainings one after the other, each with as many updates, and what lies between them."""
    return Pace(
        update_s=sum(pace.update_s for pace in paces),
        around_s=sum(pace.around_s for pace in paces) + rest_s,
        judge_s=sum(pace.judge_s for pace in paces),
        test_s=paces[-1].test_s,
        update_steps=sum(pace.update_steps for pace in paces),
        epoch_updates=min(pace.epoch_updates for pace in paces),
        trainings=len(paces),
    )


def pace_of(folder: Path, wall_s: float, prepared: Json) -> Pace:
    """The pace of a training; its first update warms up, and is left out where there are more.

    Args:
        folder: of the run.
        wall_s: that it took, start and end included.
        prepared: what `prepare` made with its pipeline.
    """
    report = json.loads((folder / "report.json").read_bytes())
    train, scoring = report["train"], report["scoring_seconds"]
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
        test_s=scoring.get("test", 0.0) + scoring["baselines"],
        update_steps=update_steps,
        epoch_updates=_epoch_updates(folder / "job.json", prepared, update_steps),
    )


def _epoch_updates(path: Path, prepared: Json, update_steps: float) -> float:
    """Updates of the first epoch, as its rows are drawn; of segments, about."""
    job = read_job(path)
    if job.train.backpropagation.mode == "segments":
        return float(prepared["steps_after"]["train"] / max(1.0, update_steps))
    settings = BatchSettings(
        batch_tokens=job.train.batch_tokens, max_rows=job.train.max_rows, seed=job.train.seed
    )
    snapshot = Snapshot.read(Path(job.snapshot))
    source = BatchSource.of_snapshot(snapshot, "train", settings=settings, verify=False)
    return float(len(source.plan(0)))


def _untold(text: str) -> None:
    """Epochs of one of many trainings are not told."""
