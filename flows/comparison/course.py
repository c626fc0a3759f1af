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

from flows.comparison.applied import with_options
from flows.comparison.budget import KEPT, PACE_UPDATES, Plan, in_turn, search_updates
from flows.comparison.hopeless import HopelessError
from flows.comparison.pace import Pace
from flows.comparison.pieces import Crew, Piece, Told, measure_each, train_all
from flows.comparison.pretraining import Pretraining
from flows.comparison.scores import MEASURES, Score, record_scores, score
from flows.comparison.trials import Outcome, Trial
from flows.pipeline_file import Pipeline
from flows.references import Json
from flows.study import OF_TRIALS

SEARCHED: tuple[float, ...] = (1.0, 3.0)
"""Multiples of the file's learning rate that every strategy is tried with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A strategy with its pipeline and its rows.

    Args:
        name: of the strategy. family, told: see Strategy.
        spec: the pipeline. prepared: what `prepare` made with it.
        pretraining: what comes before its training.
    """

    name: str
    family: str
    told: str
    spec: Pipeline
    prepared: Json
    pretraining: Pretraining | None = None


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


def train_seconds(one: Standing) -> float:
    """Of one training, the mean over its seeds."""
    return sum(outcome.train_seconds for outcome in one.outcomes) / len(one.outcomes)


def rank(one: Standing) -> tuple[float, float]:
    """Better ones are smaller: by the validation score, and of equal ones the quicker."""
    return -one.validation.mean, train_seconds(one)


def measure_all(
    entries: Sequence[Entry], crew: Crew, *, told: Callable[[Entry, Pace | Exception], None]
) -> dict[str, Pace]:
    """The pace of each strategy, in the order in which they are tried.

    Those that cannot train, or whose turn does not come in time, are left out and told.

    Args:
        entries: the strategies.
        crew: who trains, and until when.
        told: called after each.
    """
    known = {entry.name: entry for entry in entries}
    kept = [name for name in KEPT if name in known]
    others = {entry.name: entry.family for entry in entries if entry.name not in kept}
    order = [known[name] for name in (*kept, *in_turn(others))]
    paces: dict[str, Pace] = {}

    def note(place: int, found: Pace | Exception) -> None:
        if isinstance(found, Pace):
            paces[order[place].name] = found
        told(order[place], found)

    trials = [_trial(entry, {"updates": PACE_UPDATES}) for entry in order]
    measure_each(trials, crew, told=note)
    return {entry.name: paces[entry.name] for entry in order if entry.name in paces}


def search(entries: Sequence[Entry], plan: Plan, crew: Crew, *, told: Told) -> list[Standing]:
    """Every strategy at its best setting of the search, the best strategy first.

    Args:
        entries: the strategies.
        plan: what will be trained.
        crew: who trains, and until when.
        told: called after each training.
    """
    entries = sorted(entries, key=lambda one: one.name not in KEPT)
    pieces = [
        _piece(_searching(entry, factor, plan), plan.search_s, number=number)
        for entry in entries
        for number, factor in enumerate(SEARCHED[: plan.settings])
    ]
    outcomes = train_all(pieces, crew, told=told)
    found: list[Standing] = []
    for place, entry in enumerate(entries):
        tried = slice(place * plan.settings, (place + 1) * plan.settings)
        pairs = zip(pieces[tried], outcomes[tried], strict=True)
        stood = [
            _standing(entry, piece.trial, [outcome], place, final=False)
            for piece, outcome in pairs
            if isinstance(outcome, Outcome)
        ]
        found += sorted(stood, key=rank)[:1]
    return sorted(found, key=rank)


def finalists(standings: Sequence[Standing], plan: Plan) -> list[Standing]:
    """Those that are trained in full, in the order in which they stand."""
    best = {one.entry.name for one in standings[: plan.finalists]}
    return [one for one in standings if one.entry.name in best or one.entry.name in KEPT]


def train_in_full(
    chosen: Sequence[Standing], plan: Plan, crew: Crew, *, told: Told
) -> list[Standing]:
    """The finalists with all seeds, the best first; a seed of each before the next one of any.

    One of which a seed was stopped as hopeless is none any more: the mean of the others would be
    that of its lucky seeds.

    Args:
        chosen: by the search.
        plan: what will be trained.
        crew: who trains, and until when.
        told: called after each training.
    """
    pieces = [
        _piece(_in_full(one, plan, number), plan.full_s, number=number, others=plan.seeds)
        for number in range(plan.seeds)
        for one in chosen
    ]
    outcomes = train_all(pieces, crew, told=told)
    found = []
    for place, one in enumerate(chosen):
        mine = outcomes[place :: len(chosen)]
        done = [outcome for outcome in mine if isinstance(outcome, Outcome)]
        if done and not any(isinstance(outcome, HopelessError) for outcome in mine):
            found.append(_standing(one.entry, pieces[place].trial, done, place, final=True))
    return sorted(found, key=rank)


def _in_full(one: Standing, plan: Plan, number: int) -> Trial:
    """A finalist's training with a seed of its own."""
    seed = one.spec.train.seed + number
    spec = with_options(one.spec, {"updates": plan.updates[one.entry.name], "seed": seed})
    return Trial(
        strategy=one.entry.name,
        setting=one.setting,
        spec=spec,
        prepared=one.entry.prepared,
        pretraining=one.entry.pretraining,
    )


def _piece(trial: Trial, expected_s: Mapping[str, float], *, number: int, others: int = 0) -> Piece:
    return Piece(
        trial=trial,
        expected_s=expected_s[trial.strategy],
        note=f"{trial.strategy}-{number}",
        may_stop=trial.strategy not in KEPT,
        falls_with=[f"{trial.strategy}-{other}" for other in range(others)],
    )


def _searching(entry: Entry, factor: float, plan: Plan) -> Trial:
    """A training of the search, whose test rows nobody looks at."""
    rate = entry.spec.train.optimizer.lr * factor
    updates = search_updates(plan, entry.name)
    changes = {"optimizer.lr": float(f"{rate:.6g}"), "updates": updates}
    return replace(_trial(entry, changes), validation_only=True)


def _trial(entry: Entry, changes: Mapping[str, Any]) -> Trial:
    spec = with_options(entry.spec, {**OF_TRIALS, **changes})
    setting = f"lr {spec.train.optimizer.lr:g}"
    return Trial(
        strategy=entry.name,
        setting=setting,
        spec=spec,
        prepared=entry.prepared,
        pretraining=entry.pretraining,
    )


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
    files = [Path(outcome.folder) / f"predictions-{split}.parquet" for outcome in outcomes]
    return score(MEASURES[task], [record_scores(file, task)[1] for file in files], place=place)
