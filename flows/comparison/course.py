"""The course of a comparison: prepare, measure the pace, search, and train the best in full.

Successive halving (Jamieson & Talwalkar 2016, https://arxiv.org/abs/1502.07943), in two rounds
(CONTRACT 30): every strategy with a small search of its learning rate at a quarter of the updates
and one seed; then the best of them, always with `full` and the file's own way, in full with several
seeds. Everything is chosen on validation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flows.comparison.applied import OWN, with_options
from flows.comparison.budget import PACE_UPDATES, Plan, search_updates
from flows.comparison.scores import MEASURES, Floats, Score, record_scores, score
from flows.comparison.trials import Outcome, Pace, Trial, measure_pace, run_all
from flows.pipeline_file import Pipeline
from flows.references import Json
from seqprep.errors import SeqprepError

SEARCHED: tuple[float, ...] = (1.0, 3.0)
"""Multiples of the file's learning rate that every strategy is tried with."""
KEPT = ("full", OWN)
"""Strategies that are trained in full, whatever the search says: the others are held against
them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A strategy with its pipeline and its rows.

    Args:
        name: of the strategy. family, told: see Strategy.
        spec: the pipeline. prepared: what `prepare` made with it.
    """

    name: str
    family: str
    told: str
    spec: Pipeline
    prepared: Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a strategy stands at the end.

    Args:
        entry: the strategy. outcomes: of its trainings, one a seed.
        setting: that the search chose. spec: the pipeline with it.
        validation, test: its scores; test only of finalists.
        is_final: whether it was trained in full.
    """

    entry: Entry
    outcomes: tuple[Outcome, ...]
    setting: str
    spec: Pipeline
    validation: Score
    test: Score | None
    is_final: bool


Told = Callable[[Trial, Outcome | Exception], None]


def measure_all(
    entries: Sequence[Entry], *, store: Path, told: Callable[[Entry, Pace | Exception], None]
) -> dict[str, Pace]:
    """The pace of each strategy; those that cannot train are left out, and told.

    Args:
        entries: the strategies.
        store: folder of the datasets.
        told: called after each.
    """
    paces: dict[str, Pace] = {}
    for entry in entries:
        try:
            paces[entry.name] = measure_pace(_trial(entry, {"updates": PACE_UPDATES}), store=store)
            told(entry, paces[entry.name])
        except (SeqprepError, RuntimeError) as error:
            told(entry, error)
    return paces


def search(
    entries: Sequence[Entry], plan: Plan, *, store: Path, workers: int, told: Told
) -> list[Standing]:
    """Every strategy at its best setting of the search, the best strategy first.

    Args:
        entries: the strategies.
        plan: what will be trained.
        store: folder of the datasets.
        workers: trainings at once.
        told: called after each training.
    """
    trials = [
        _trial(entry, _setting(entry, factor, search_updates(plan, entry.name)), factor)
        for entry in entries
        for factor in SEARCHED[: plan.settings]
    ]
    outcomes = run_all(trials, store=store, workers=workers, told=told)
    found: list[Standing] = []
    for place, entry in enumerate(entries):
        tried = slice(place * plan.settings, (place + 1) * plan.settings)
        pairs = zip(trials[tried], outcomes[tried], strict=True)
        stood = [_standing(entry, t, [o], place, final=False) for t, o in pairs if o is not None]
        found += sorted(stood, key=lambda one: -one.validation.mean)[:1]
    return sorted(found, key=lambda one: -one.validation.mean)


def finalists(standings: Sequence[Standing], plan: Plan) -> list[Standing]:
    """Those that are trained in full, in the order in which they stand."""
    best = {one.entry.name for one in standings[: plan.finalists]}
    return [one for one in standings if one.entry.name in best or one.entry.name in KEPT]


def train_in_full(
    chosen: Sequence[Standing], plan: Plan, *, store: Path, workers: int, told: Told
) -> list[Standing]:
    """The finalists with all seeds, the best first.

    Args:
        chosen: by the search.
        plan: what will be trained.
        store: folder of the datasets.
        workers: trainings at once.
        told: called after each training.
    """
    first = [one.spec.train.seed for one in chosen]
    trials = [
        Trial(
            strategy=one.entry.name,
            setting=one.setting,
            spec=with_options(
                one.spec, {"updates": plan.updates[one.entry.name], "seed": seed + number}
            ),
            prepared=one.entry.prepared,
        )
        for one, seed in zip(chosen, first, strict=True)
        for number in range(plan.seeds)
    ]
    outcomes = run_all(trials, store=store, workers=workers, told=told)
    found = []
    for place, one in enumerate(chosen):
        mine = slice(place * plan.seeds, (place + 1) * plan.seeds)
        done = [outcome for outcome in outcomes[mine] if outcome is not None]
        if done:
            found.append(_standing(one.entry, trials[mine.start], done, place, final=True))
    return sorted(found, key=lambda one: -one.validation.mean)


def _setting(entry: Entry, factor: float, updates: int) -> Mapping[str, Any]:
    rate = entry.spec.train.optimizer.lr * factor
    return {"optimizer.lr": float(f"{rate:.6g}"), "updates": updates}


def _trial(entry: Entry, changes: Mapping[str, Any], factor: float = 1.0) -> Trial:
    spec = with_options(entry.spec, {"threads": 1, "tracking": "none", **changes})
    setting = f"lr {spec.train.optimizer.lr:g}"
    return Trial(strategy=entry.name, setting=setting, spec=spec, prepared=entry.prepared)


def _standing(
    entry: Entry, trial: Trial, outcomes: Sequence[Outcome], place: int, *, final: bool
) -> Standing:
    task = trial.spec.source.task
    first = replace(trial.spec, train=replace(trial.spec.train, seed=entry.spec.train.seed))
    return Standing(
        entry=entry,
        outcomes=tuple(outcomes),
        setting=trial.setting,
        spec=first,
        validation=held_out("validation", outcomes, task=task, place=place),
        test=held_out("test", outcomes, task=task, place=place) if final else None,
        is_final=final,
    )


def held_out(split: str, outcomes: Sequence[Outcome], *, task: str, place: int) -> Score:
    """The score of some trainings, one a seed, on the rows of a split.

    Args:
        split: `validation` or `test`.
        outcomes: of the trainings.
        task: what was learnt.
        place: see `score`.
    """
    rows: list[Floats] = []
    for outcome in outcomes:
        _, found = record_scores(Path(outcome.folder) / f"predictions-{split}.parquet", task)
        rows.append(found)
    return score(MEASURES[task], np.stack(rows), place=place)
