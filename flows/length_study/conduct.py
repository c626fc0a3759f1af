"""A whole length study, from a pipeline to its page: `seqprep lengths` and the `lengths` flow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from flows.comparison.left import Left
from flows.comparison.pieces import Crew
from flows.length_study import course
from flows.length_study.asked import AskedLengths, check_lengths
from flows.length_study.budget import Plan, make_plan
from flows.length_study.course import Rung
from flows.length_study.cut import cut, part_of, rows_an_update, told, uncut
from flows.length_study.ladder import ladder
from flows.length_study.written import write
from flows.pipeline_file import Pipeline, to_json
from flows.prepare import prepare_rows
from flows.progress import say
from flows.references import Json
from flows.study import check_validation, study_folder
from flows.study_plan import kept_plan
from flows.training.warm import refuse_warm
from models.options.checks import JobError
from seqprep.errors import SeqprepError
from seqprep.snapshot import Snapshot
from seqprep.transforms import build_steps, final_unit

FEWEST = 2
"""Lengths without which nothing can be held against anything."""
CLOSING_S = 15.0
"""Seconds for the gradient by lag and the page at the end."""
UNITS = {"value": "one set of values, one for each channel", "kmer": "one k-mer"}
"""What a step is, for a person; of other units, one of them."""


def conduct(
    spec: Pipeline, asked: AskedLengths, *, base: Path, store: Path, start_s: float | None = None
) -> Json:
    """Study lengths on a dataset that is ingested.

    Args:
        spec: the pipeline.
        asked: what a person wants.
        base: folder that the pipeline's relative paths are relative to.
        store: folder of the datasets.
        start_s: when the minutes began, in seconds since 1970; None: now.

    Returns:
        The named length, the rows of the table, the exponent, and paths of what was written.

    Raises:
        ConfigError: if the task, the split or a length cannot be studied, or the time is too short.
        SeqprepError: if fewer than two lengths could be trained.
    """
    start_s = start_s or time.time()
    check_lengths(spec, asked)
    refuse_warm(spec, "lengths")
    say(f"  studying lengths within {asked.minutes:g} minutes")
    (bare, left_out), left = uncut(spec), Left()
    rungs = _rungs(bare, asked, left, base=base, store=store)
    folder = _folder(spec, asked, rungs, store)
    until_s = start_s + 60 * asked.minutes - CLOSING_S
    crew = Crew(store=store, workers=asked.workers, until_s=until_s)
    plan, is_new = _plan(folder, rungs, asked, crew, left, start_s=start_s)
    rungs = [rung for rung in rungs if rung.name in plan.updates]
    standings = course.train(rungs, plan, crew, left=left)
    _enough(len(standings), left)
    return write(
        folder,
        standings,
        part=part_of(spec, asked.keep),
        unit=_unit(bare),
        failed={**left.failed, **left.late},
        left_out=left_out,
        plan=plan,
        took_s=time.time() - start_s if is_new else None,
    )


def _rungs(
    bare: Pipeline, asked: AskedLengths, left: Left, *, base: Path, store: Path
) -> list[Rung]:
    """The lengths with their rows, the shortest first."""
    whole = _prepare(bare, base=base, store=store)
    check_validation(bool(whole["records"].get("validation")), study="lengths")
    longest = round(whole["length_quantiles"]["after"]["1"])
    rungs: list[Rung] = []
    for steps in ladder(longest, named=asked.rungs):
        name = told(steps, part_of(bare, asked.keep), longest=longest)
        try:
            own = bare if steps >= longest else cut(bare, steps, keep=asked.keep)
            rows = whole if own is bare else _prepare(own, base=base, store=store)
        except (SeqprepError, JobError) as error:
            say(f"    {name}: {left.note(name, error)}")
            continue
        kept = sum(rows["steps_after"].values()) / max(1, sum(whole["steps_after"].values()))
        rungs.append(Rung(steps=steps, told=name, spec=own, prepared=rows, kept_share=kept))
    _enough(len(rungs), left)
    return rungs


def _prepare(spec: Pipeline, *, base: Path, store: Path) -> Json:
    """Rows of a recipe of ours, which is always fitted to all that is there."""
    prepared: Json = prepare_rows.fn(to_json(spec), base=str(base), store=str(store), refit=True)
    return prepared


def _enough(lengths: int, left: Left) -> None:
    if lengths < FEWEST:
        raise SeqprepError(
            f"fewer than {FEWEST} lengths could be trained; {left.first}; what was trained is "
            "kept, and the same command goes on"
        )


def _unit(bare: Pipeline) -> str:
    unit = final_unit(build_steps(bare.prepare), bare.source.domain, bare.prepare.tokens)
    return UNITS.get(unit, f"one {unit}")


def _folder(spec: Pipeline, asked: AskedLengths, rungs: Sequence[Rung], store: Path) -> Path:
    rows = [Snapshot.read(Path(rung.prepared["snapshot"])).sha256 for rung in rungs]
    trainings = [[rung.steps, to_json(rung.spec)["train"]] for rung in rungs]
    return study_folder(store / spec.dataset, "lengths", rows, trainings, asked=asdict(asked))


def _plan(
    folder: Path,
    rungs: Sequence[Rung],
    asked: AskedLengths,
    crew: Crew,
    left: Left,
    *,
    start_s: float,
) -> tuple[Plan, bool]:
    """What will be trained, and whether it is a new plan: one that was begun before goes on."""

    def make() -> Json:
        plan = _new_plan(rungs, asked, crew, left, start_s)
        return {"plan": asdict(plan), "left": asdict(left)}

    known, is_new = kept_plan(folder, make)
    left.update(**known["left"])
    return Plan(**known["plan"]), is_new


def _new_plan(
    rungs: Sequence[Rung], asked: AskedLengths, crew: Crew, left: Left, start_s: float
) -> Plan:
    """Measure how fast each length trains, and plan by that."""
    rows = rows_an_update(rungs[0].spec, longest=rungs[-1].steps)
    say(f"  {len(rungs)} lengths; measuring how fast each trains ...")
    paces = course.measure_all(rungs, rows=rows, crew=crew, left=left)
    _enough(len(paces), left)
    plan = make_plan(
        paces,
        rows=rows,
        seconds=60 * asked.minutes,
        spent_s=time.time() - start_s + CLOSING_S,
        seeds=asked.seeds,
        workers=asked.workers,
    )
    say(
        f"  expected: {plan.seconds / 60:,.1f} minutes in all; each training reads the training "
        f"records {plan.passes:,.3g} times, {plan.rows:,} rows an update"
    )
    return plan
