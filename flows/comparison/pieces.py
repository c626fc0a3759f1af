"""Trainings as pieces of work: in processes of this machine, or on the workers of a Dask cluster.

A piece knows until when the comparison may take, and is not begun where it would not end by then.
What it is given and what it answers are small; everything large lies in files of the store.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.comparison.hopeless import HopelessError, curve, is_hopeless
from flows.comparison.left import LateError
from flows.comparison.pace import Pace
from flows.comparison.pretraining import Pretraining
from flows.comparison.scores import MEASURES
from flows.comparison.tasks import as_task
from flows.comparison.trials import Outcome, Trial, measure_pace, run_trial, was_run
from flows.pipeline_file import build, to_json
from flows.references import Json
from flows.training.running import TrainingStopped
from models.options.checks import JobError
from seqprep.errors import SeqprepError
from seqprep.parallel import Runner
from seqprep.snapshot import replace_bytes

LATE = "not begun: it would not have ended in time"
LEAST_PACE_S, PACE_SHARES = 20.0, 2.0
"""Seconds that a pace may take to be measured, at least, and in shares of the time that there is
for each: one that is far slower than the others must not use up the time of all."""
SLACK = 1.2
"""Training may take this many times what is expected, for machines do other things, too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Crew:
    """Who trains, where, and until when.

    Args:
        store: folder of the datasets. workers: trainings at once on this machine.
        until_s: seconds since 1970 at which all must have ended; None: no such limit.
        runner: of a Dask cluster; None: this machine.
        rounds: folder with a note of each training that ended, by round; where it is set,
            hopeless ones are stopped.
    """

    store: Path
    workers: int
    until_s: float | None = None
    runner: Runner | None = None
    rounds: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A training of a round.

    Args:
        trial: what to train. expected_s: seconds that it will take.
        note: name of the note that it leaves, alike each time the comparison is run.
        may_stop: whether it is stopped where it is hopeless.
        falls_with: notes of trainings that, where one of them was stopped, make it hopeless, too.
    """

    trial: Trial
    expected_s: float
    note: str
    may_stop: bool
    falls_with: Sequence[str] = ()


Told = Callable[[Trial, Outcome | Exception], None]


def train_all(pieces: Sequence[Piece], crew: Crew, *, told: Told) -> list[Outcome | Exception]:
    """Outcomes in the order of the pieces, or why a training did not come to its end.

    Args:
        pieces: what to train.
        crew: who trains.
        told: called after each, with what came out or why nothing did.
    """
    items = [_item(piece, crew) for piece in pieces]
    found: dict[int, Outcome | Exception] = {}

    def note(place: int, answer: Json) -> None:
        is_done = "outcome" in answer
        found[place] = Outcome(**answer["outcome"]) if is_done else _errors(answer)
        told(pieces[place].trial, found[place])

    _each(train_piece, items, crew, what="training", told=note)
    return [found[place] for place in range(len(pieces))]


def measure_each(
    trials: Sequence[Trial], crew: Crew, *, told: Callable[[int, Pace | Exception], None]
) -> None:
    """Measure how fast each strategy trains.

    Args:
        trials: of a few updates each.
        crew: who trains.
        told: called after each, with its place.
    """
    limit_s = None
    if crew.until_s is not None:
        share_s = (crew.until_s - time.time()) * crew.workers / max(1, len(trials))
        limit_s = max(LEAST_PACE_S, PACE_SHARES * share_s)
    common = {"store": str(crew.store), "until_s": crew.until_s, "limit_s": limit_s}
    items = [{"trial": trial_json(one), "told": one.told, **common} for one in trials]

    def note(place: int, answer: Json) -> None:
        told(place, Pace(**answer["pace"]) if "pace" in answer else _errors(answer))

    _each(measure_piece, items, crew, what="pace", told=note)


def _each(
    function: Callable[[Json], Json],
    items: Sequence[Json],
    crew: Crew,
    *,
    what: str,
    told: Callable[[int, Json], None],
) -> None:
    """Do all pieces; what ends the command ends those that wait, too."""
    if crew.runner is not None:
        for place, answer in enumerate(crew.runner.ordered(function, items, what=what)):
            told(place, answer)
        return
    with ThreadPoolExecutor(crew.workers) as pool:
        calls = [as_task(function, item, what=f"{what}: {item['told']}") for item in items]
        running = {pool.submit(call): place for place, call in enumerate(calls)}
        try:
            for done in as_completed(running):
                told(running[done], done.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _item(piece: Piece, crew: Crew) -> Json:
    return {
        "trial": trial_json(piece.trial),
        "told": piece.trial.told,
        "store": str(crew.store),
        "until_s": crew.until_s,
        "expected_s": piece.expected_s,
        "note": None if crew.rounds is None else str(crew.rounds / f"{piece.note}.json"),
        "may_stop": piece.may_stop,
        "falls_with": [f"{name}.json" for name in piece.falls_with],
    }


def trial_json(trial: Trial) -> Json:
    """A trial as JSON, for another process."""
    return {
        "strategy": trial.strategy,
        "setting": trial.setting,
        "spec": to_json(trial.spec),
        "prepared": trial.prepared,
        "pretraining": trial.pretraining and asdict(trial.pretraining),
        "validation_only": trial.validation_only,
    }


def trial_of(body: Mapping[str, Any]) -> Trial:
    """The trial of a JSON object."""
    first = body["pretraining"]
    pretraining = None if first is None else Pretraining(**first)
    return Trial(**{**body, "spec": build(body["spec"]), "pretraining": pretraining})


def train_piece(item: Json) -> Json:
    """Train, or say why not.

    Args:
        item: of `train_all`.

    Returns:
        `outcome`, or `late`, `hopeless` or `error` with the reason.
    """
    trial, note = trial_of(item["trial"]), item["note"] and Path(item["note"])
    store = Path(item["store"])
    try:
        if note:
            _refuse_fallen([note, *(note.with_name(name) for name in item["falls_with"])])
        if _is_late(item, item["expected_s"]) and not was_run(trial, store=store):
            return {"late": LATE}
        watch = watch_of(trial, note) if note and item["may_stop"] else None
        outcome = run_trial(trial, store=store, watch=watch)
        if note:
            replace_bytes(note, json.dumps({"folder": outcome.folder}).encode())
        return {"outcome": asdict(outcome)}
    except TrainingStopped:
        raise
    except HopelessError as error:
        assert note is not None
        replace_bytes(note, json.dumps({"hopeless": str(error)}).encode())
        return {"hopeless": str(error)}
    except (SeqprepError, JobError, RuntimeError) as error:
        return {"error": str(error)}


def _refuse_fallen(notes: Sequence[Path]) -> None:
    """Raise what a training was stopped with, where one of these was."""
    for note in notes:
        known = json.loads(note.read_bytes()) if note.is_file() else {}
        if "hopeless" in known:
            raise HopelessError(known["hopeless"])


def measure_piece(item: Json) -> Json:
    """Measure a pace, or say why not.

    Args:
        item: of `measure_each`.

    Returns:
        `pace`, or `late`, or `error` with the reason.
    """
    if _is_late(item, 0.0):
        return {"late": LATE}
    trial, limit_s = trial_of(item["trial"]), item["limit_s"] or math.inf
    try:
        return {"pace": asdict(measure_pace(trial, store=Path(item["store"]), limit_s=limit_s))}
    except TimeoutError:
        updates = trial.spec.train.updates
        return {"late": f"too slow: {updates} updates take more than {limit_s:.0f} s"}
    except TrainingStopped:
        raise
    except (SeqprepError, JobError, RuntimeError) as error:
        return {"error": str(error)}


def _is_late(item: Json, expected_s: float) -> bool:
    return item["until_s"] is not None and time.time() + SLACK * expected_s > item["until_s"]


def watch_of(trial: Trial, note: Path) -> Callable[[Path], None]:
    """Looks at a training after each epoch, and ends it by the rule of `hopeless`.

    Args:
        trial: the training.
        note: its own; those of its round lie beside it.
    """
    measure = MEASURES[trial.spec.source.task]

    def look(run: Path) -> None:
        own = curve(run, measure=measure)
        ended = [json.loads(path.read_bytes()) for path in note.parent.glob("*.json")]
        folders = [Path(one["folder"]) for one in ended if "folder" in one]
        if is_hopeless(own, [curve(folder, measure=measure) for folder in folders]):
            share, score = own[-1]
            raise HopelessError(
                f"stopped as hopeless after {share:.0%} of its updates, at a validation {measure} "
                f"of {abs(score):.3f}, worse than the median of the others by then"
            )

    return look


def _errors(answer: Json) -> Exception:
    if "late" in answer:
        return LateError(answer["late"])
    if "hopeless" in answer:
        return HopelessError(answer["hopeless"])
    return SeqprepError(answer["error"])
