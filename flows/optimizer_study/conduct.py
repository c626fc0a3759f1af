"""The whole study, from a pipeline to its page: `seqprep optimizers` and the flow of that name."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flows.comparison.budget import PACE_UPDATES
from flows.comparison.left import Left
from flows.comparison.pace import Pace
from flows.comparison.pieces import Crew, Piece, measure_each, train_all
from flows.comparison.tell import teller
from flows.comparison.trials import Outcome, Trial
from flows.optimizer_study.asked import Asked, check_asked
from flows.optimizer_study.plan import Plan, make_plan
from flows.optimizer_study.table import Trained, trained
from flows.optimizer_study.variants import NONE, Variant, apply, grid, patience
from flows.optimizer_study.written import write
from flows.pipeline_file import Pipeline, to_json
from flows.prepare import prepare_rows
from flows.progress import say
from flows.references import Json
from flows.study import study_folder
from flows.study_plan import kept_plan
from seqprep.errors import ConfigError, SeqprepError
from seqprep.snapshot import Snapshot

SHORT_PACE = 5
"""Times as many updates are measured of segments as of whole rows."""


def conduct(
    spec: Pipeline, asked: Asked, *, base: Path, store: Path, start_s: float | None = None
) -> Json:
    """Train all variants on a dataset that is ingested, and write the page.

    Args:
        spec: the pipeline.
        asked: what a person wants.
        base: folder that the pipeline's relative paths are relative to.
        store: folder of the datasets.
        start_s: when the minutes began, in seconds since 1970; None: now.

    Returns:
        The findings, the rows of the tables, and paths of what was written.

    Raises:
        ConfigError: if the task, the split or the grid cannot be, or the time is too short.
        SeqprepError: if no variant could be trained.
    """
    start_s = start_s or time.time()
    check_asked(spec, asked)
    prepared: Json = prepare_rows.fn(to_json(spec), base=str(base), store=str(store))
    for split in ("validation", "test"):
        if not prepared["records"].get(split):
            raise ConfigError(f"optimizers scores {split} records, and the split has none")
    folder, left = _folder(spec, asked, prepared, store), Left()
    crew = Crew(store=store, workers=asked.workers)
    plan, is_new = _plan(folder, spec, prepared, asked, crew, left, start_s=start_s)
    variants = _variants(asked)
    pieces = [
        _piece(_trial(spec, variant, prepared, updates=plan.updates, seed=spec.train.seed + number))
        for number in range(asked.seeds)
        for variant in variants
    ]
    outcomes = train_all(pieces, crew, told=teller("training", len(pieces), left))
    took_s = time.time() - start_s if is_new else None
    all_ = _read(variants, outcomes, left, task=spec.source.task)
    return write(
        folder,
        spec,
        all_,
        [variant.name for variant in variants],
        left.failed,
        plan,
        patience=patience(spec),
        seeds=asked.seeds,
        took_s=took_s,
    )


def _variants(asked: Asked) -> list[Variant]:
    return grid(asked.optimizers, asked.clips, asked.schedules)


def _folder(spec: Pipeline, asked: Asked, prepared: Json, store: Path) -> Path:
    rows, training = Snapshot.read(Path(prepared["snapshot"])).sha256, to_json(spec)["train"]
    return study_folder(store / spec.dataset, "optimizers", rows, training, asked=asdict(asked))


def _trial(spec: Pipeline, variant: Variant, prepared: Json, *, updates: int, seed: int) -> Trial:
    return Trial(
        strategy=variant.name,
        setting=f"{updates:,} updates",
        spec=apply(spec, variant, updates=updates, seed=seed),
        prepared=prepared,
    )


def _piece(trial: Trial) -> Piece:
    """It is trained to its end, however long that takes: every variant gets the same updates."""
    return Piece(trial=trial, expected_s=0.0, note="", may_stop=False)


def _plan(
    folder: Path,
    spec: Pipeline,
    prepared: Json,
    asked: Asked,
    crew: Crew,
    left: Left,
    *,
    start_s: float,
) -> tuple[Plan, bool]:
    """What will be trained, and whether it is a new plan: one that was begun before goes on."""

    def make() -> Json:
        variants = _variants(asked)
        say(f"  {len(variants)} variants; measuring what an update costs ...")
        plan = make_plan(
            _paces(spec, prepared, asked, crew, left),
            variants,
            patience=patience(spec),
            seeds=asked.seeds,
            workers=asked.workers,
            seconds=60 * asked.minutes,
            spent_s=time.time() - start_s,
            full=asked.full,
        )
        say(
            f"  expected: at most {plan.seconds / 60:,.1f} minutes in all; each of "
            f"{plan.trainings} trainings gets {plan.updates:,} updates"
        )
        return asdict(plan)

    known, is_new = kept_plan(folder, make)
    return Plan(**known), is_new


def _paces(spec: Pipeline, prepared: Json, asked: Asked, crew: Crew, left: Left) -> dict[str, Pace]:
    """What an update of whole rows costs, and of the first segments of each schedule.

    Raises:
        SeqprepError: if one of them cannot be trained, with the reason.
    """
    schedules = list(dict.fromkeys((NONE, *asked.schedules)))
    trials, paces = [], dict[str, Pace]()
    for schedule in schedules:
        variant = Variant(optimizer=asked.optimizers[0], schedule=schedule)
        updates = PACE_UPDATES * (1 if schedule == NONE else SHORT_PACE)
        trials.append(_trial(spec, variant, prepared, updates=updates, seed=spec.train.seed))

    def note(place: int, found: Pace | Exception) -> None:
        schedule = schedules[place]
        if isinstance(found, Exception):
            left.note(trials[place].strategy, found)
            return
        paces[schedule] = found
        what = "whole rows" if schedule == NONE else f"the first segments of {schedule}"
        say(f"    {what}: {1000 * found.update_s:,.0f} ms an update")

    measure_each(trials, crew, told=note)  # side by side, as they will be trained
    if left.failed:
        raise SeqprepError(f"{left.first}; name other schedules with --schedules")
    return paces


def _read(
    variants: Sequence[Variant], outcomes: Sequence[Outcome | Exception], left: Left, *, task: str
) -> list[Trained]:
    """The variants with what their trainings left; those without one are left out."""
    found = []
    for place, variant in enumerate(variants):
        mine = outcomes[place :: len(variants)]
        done = [one for one in mine if isinstance(one, Outcome)]
        if done:
            stopped = len(mine) - len(done)
            found.append(trained(variant, done, task=task, place=place, stopped=stopped))
    if not found:
        raise SeqprepError(f"no variant could be trained; {left.first}")
    return found
