"""The whole study, from a pipeline to its page: `seqprep optimizers` and the flow of that name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from flows.comparison.budget import PACE_UPDATES
from flows.comparison.pace import Pace
from flows.comparison.pieces import Crew, Piece, train_all
from flows.comparison.trials import Outcome, Trial, measure_pace
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
from seqprep.errors import ConfigError, SeqprepError
from seqprep.snapshot import Snapshot, replace_bytes

SHORT_PACE = 5
"""Times as many updates are measured of segments as of whole rows."""


def conduct(spec: Pipeline, asked: Asked, *, base: Path, store: Path) -> Json:
    """Train all variants on a dataset that is ingested, and write the page.

    Args:
        spec: the pipeline.
        asked: what a person wants.
        base: folder that the pipeline's relative paths are relative to.
        store: folder of the datasets.

    Returns:
        The findings, the rows of the tables, and paths of what was written.

    Raises:
        ConfigError: if the task, the split or the grid cannot be, or the time is too short.
        SeqprepError: if no variant could be trained.
    """
    start_s = time.monotonic()
    check_asked(spec, asked)
    prepared: Json = prepare_rows.fn(to_json(spec), base=str(base), store=str(store))
    for split in ("validation", "test"):
        if not prepared["records"].get(split):
            raise ConfigError(f"optimizers scores {split} records, and the split has none")
    variants = grid(asked.optimizers, asked.clips, asked.schedules)
    folder = _folder(spec, asked, prepared, store)
    spent_s = time.monotonic() - start_s
    plan, is_new = _plan(folder, spec, prepared, variants, asked, store=store, spent_s=spent_s)
    pieces = [
        _piece(_trial(spec, variant, prepared, updates=plan.updates, seed=spec.train.seed + number))
        for number in range(asked.seeds)
        for variant in variants
    ]
    failed: dict[str, str] = {}
    crew = Crew(store=store, workers=asked.workers)
    outcomes = train_all(pieces, crew, told=_teller(len(pieces), failed))
    took_s = time.monotonic() - start_s if is_new else None
    all_ = _read(variants, outcomes, failed, task=spec.source.task)
    return write(
        folder, spec, all_, failed, plan, patience=patience(spec), seeds=asked.seeds, took_s=took_s
    )


def _folder(spec: Pipeline, asked: Asked, prepared: Json, store: Path) -> Path:
    rows, training = Snapshot.read(Path(prepared["snapshot"])).sha256, to_json(spec)["train"]
    return study_folder(store / spec.dataset, "optimizers", rows, training, asked=asdict(asked))


def _trial(spec: Pipeline, variant: Variant, prepared: Json, *, updates: int, seed: int) -> Trial:
    return Trial(
        strategy=variant.name,
        setting=f"seed {seed}",
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
    variants: Sequence[Variant],
    asked: Asked,
    *,
    store: Path,
    spent_s: float,
) -> tuple[Plan, bool]:
    """What will be trained, and whether it is a new plan: one that was begun before goes on."""
    path = folder / "plan.json"
    if path.is_file():
        plan = Plan(**json.loads(path.read_bytes()))
        say(f"  going on with {folder}")
        return plan, False
    start_s = time.monotonic()
    say(f"  {len(variants)} variants; measuring what an update costs ...")
    paces = _paces(spec, prepared, asked, store=store)
    plan = make_plan(
        paces,
        variants,
        patience=patience(spec),
        seeds=asked.seeds,
        workers=asked.workers,
        seconds=60 * asked.minutes,
        spent_s=spent_s + time.monotonic() - start_s,
        full=asked.full,
    )
    replace_bytes(path, json.dumps(asdict(plan), indent=1).encode())
    say(
        f"  expected: at most {plan.seconds / 60:,.1f} minutes in all; each of {plan.trainings} "
        f"trainings gets {plan.updates:,} updates"
    )
    return plan, True


def _paces(spec: Pipeline, prepared: Json, asked: Asked, *, store: Path) -> dict[str, Pace]:
    """What an update of whole rows costs, and of the first segments of each schedule."""
    paces = {}
    for schedule in dict.fromkeys((NONE, *asked.schedules)):
        variant = Variant(optimizer=asked.optimizers[0], schedule=schedule)
        updates = PACE_UPDATES * (1 if schedule == NONE else SHORT_PACE)
        trial = _trial(spec, variant, prepared, updates=updates, seed=spec.train.seed)
        pace = paces[schedule] = measure_pace(trial, store=store)
        what = "whole rows" if schedule == NONE else f"the first segments of {schedule}"
        say(f"    {what}: {1000 * pace.update_s:,.0f} ms an update")
    return paces


def _read(
    variants: Sequence[Variant],
    outcomes: Sequence[Outcome | None],
    failed: Mapping[str, str],
    *,
    task: str,
) -> list[Trained]:
    """The variants with what their trainings left; those without one are left out."""
    found = []
    for place, variant in enumerate(variants):
        done = [one for one in outcomes[place :: len(variants)] if one is not None]
        if done:
            found.append(trained(variant, done, task=task, place=place))
    if not found:
        raise SeqprepError(f"no variant could be trained; the first: {next(iter(failed.items()))}")
    return found


def _teller(total: int, failed: dict[str, str]) -> Callable[[Trial, Outcome | Exception], None]:
    """Says a line after each training, and remembers those that failed."""
    done = 0

    def tell(trial: Trial, found: Outcome | Exception) -> None:
        nonlocal done
        done += 1
        name, said = f"{trial.strategy}, {trial.setting}", str(found).partition("\n")[0]
        if isinstance(found, Outcome):
            said = f"{found.wall_seconds:.0f} s"
        else:
            failed[name] = said
        say(f"  training {done} of {total}: {name}: {said}")

    return tell
