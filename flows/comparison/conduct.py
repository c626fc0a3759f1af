"""A whole comparison, from a pipeline to its page: `seqprep compare` and the `compare` flow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean

from flows.comparison import course, entries, tell
from flows.comparison.applied import plain
from flows.comparison.asked import Asked, check_asked
from flows.comparison.budget import FEWEST, FINALISTS, MEASURED_SHARE, Plan, Terms, make_plan
from flows.comparison.course import Entry, Standing
from flows.comparison.left import LateError, Left
from flows.comparison.pace import Pace
from flows.comparison.pieces import Crew
from flows.comparison.written import write
from flows.pipeline_file import Pipeline, to_json
from flows.progress import say
from flows.references import Json
from flows.runner import runner_at
from flows.study import study_folder
from flows.study_plan import kept_plan
from flows.training.warm import refuse_warm
from seqprep.errors import ConfigError, SeqprepError
from seqprep.parallel import Runner
from seqprep.snapshot import Snapshot

CLOSING_S = 5.0
"""Seconds for the page at the end."""


def conduct(
    spec: Pipeline,
    asked: Asked,
    *,
    base: Path,
    store: Path,
    scheduler: str | None = None,
    start_s: float | None = None,
) -> Json:
    """Compare strategies on a dataset that is ingested.

    Args:
        spec: the pipeline.
        asked: what a person wants.
        base: folder that the pipeline's relative paths are relative to.
        store: folder of the datasets.
        scheduler: of a Dask cluster that trains; None: this machine.
        start_s: when the minutes began, in seconds since 1970; None: now.

    Returns:
        The recommendation, the rows of the table, and paths of what was written.

    Raises:
        ConfigError: if the task or the split cannot be compared, or the time is too short.
        SeqprepError: if no strategy could be trained.
    """
    start_s, store = start_s or time.time(), store.absolute()
    check_asked(spec, asked)
    refuse_warm(spec, "compare")
    say(f"  comparing within {asked.minutes:g} minutes")
    bare, left = plain(spec), Left()
    found = entries.make(spec, bare, asked, left, base=base, store=store, start_s=start_s)
    for line in tell.refused(left, by_name=bool(asked.strategies)):
        say(line)
    folder = _folder(spec, asked, found, store)
    with runner_at(scheduler, store=store, sees=None) as runner:
        crew = _crew(asked, folder, store, runner, start_s)
        plan, is_new = _plan(folder, found, left, asked, crew, start_s=start_s)
        found = [entry for entry in found if entry.name in plan.updates]
        standings = _train(found, plan, left, crew)
    took_s = time.time() - start_s if is_new else None
    done = write(folder, spec, standings, left, plan, took_s, base=base)
    say(tell.how_long(plan, took_s))
    return done


def _crew(asked: Asked, folder: Path, store: Path, runner: Runner | None, start_s: float) -> Crew:
    return Crew(
        store=store,
        workers=asked.workers if runner is None else runner.workers,
        until_s=start_s + 60 * asked.minutes - CLOSING_S,
        runner=runner,
        rounds=folder if asked.stop_hopeless else None,
    )


def _folder(spec: Pipeline, asked: Asked, found: Sequence[Entry], store: Path) -> Path:
    """Where a comparison is written; where the source lies does not matter."""
    body = to_json(spec)
    del body["source"]["path"]
    whole = next(entry for entry in found if entry.name == "full")
    rows = Snapshot.read(Path(whole.prepared["snapshot"])).sha256
    return study_folder(store / spec.dataset, "compare", rows, body, asked=asdict(asked))


def _plan(
    folder: Path,
    found: Sequence[Entry],
    left: Left,
    asked: Asked,
    crew: Crew,
    *,
    start_s: float,
) -> tuple[Plan, bool]:
    """What will be trained, and whether it is a new plan: one that was begun before goes on."""

    def make() -> Json:
        made = _new_plan(found, left, asked, crew, start_s)
        for name in made.left_out:
            left.late[name] = f"no time for it within --minutes {asked.minutes:g}"
        return {"plan": asdict(made), "left": asdict(left)}

    known, is_new = kept_plan(folder, make)
    plan = Plan(**known["plan"])
    left.update(**known["left"])
    for line in tell.planned(plan, asked.seeds):
        say(line)
    return plan, is_new


def _new_plan(found: Sequence[Entry], left: Left, asked: Asked, crew: Crew, start_s: float) -> Plan:
    """Measure how fast each strategy trains, and plan by that."""
    say(f"  {len(found)} strategies; measuring how fast each trains ...")
    until_s = start_s + MEASURED_SHARE * 60 * asked.minutes

    def note(entry: Entry, pace: Pace | Exception) -> None:
        if isinstance(pace, Exception):
            why = left.note(entry.name, pace)
            if not isinstance(pace, LateError):
                say(f"    {entry.name}: {why}")

    paces = course.measure_all(found, replace(crew, until_s=until_s), told=note)
    if left.late:
        say(f"  no time to measure {', '.join(left.late)}")
    if not paces:
        raise SeqprepError(f"no strategy could be trained; {left.first}")
    if len(paces) < FEWEST and left.late:
        raise ConfigError(
            f"--minutes {asked.minutes:g} is too short to measure even {FEWEST} strategies in "
            f"{MEASURED_SHARE:.0%} of it; allow more"
        )
    terms = Terms(
        equal=asked.equal,
        settings=len(course.SEARCHED),
        finalists=len(paces) if asked.everything else FINALISTS,
        seeds=asked.seeds,
        workers=crew.workers,
    )
    spent_s = time.time() - start_s + CLOSING_S
    return make_plan(paces, terms, seconds=60 * asked.minutes, spent_s=spent_s)


def _train(found: Sequence[Entry], plan: Plan, left: Left, crew: Crew) -> list[Standing]:
    """Where every strategy stands at the end, the best first."""
    told = tell.teller("search", len(found) * plan.settings, left)
    until_s = None if crew.until_s is None else crew.until_s - plan.seed_s
    searching = replace(_round(crew, "search"), until_s=until_s)
    searched = course.search(found, plan, searching, told=told)
    chosen = course.finalists(searched, plan)
    plan = _slowed(plan, searched)
    told = tell.teller("in full", len(chosen) * plan.seeds, left)
    full = course.train_in_full(chosen, plan, _round(crew, "full"), told=told)
    if not full:
        raise SeqprepError(
            f"no strategy could be trained in full; {left.first}; what was trained is kept, "
            "and the same command goes on"
        )
    names = {one.entry.name for one in full}
    return [*full, *(one for one in searched if one.entry.name not in names)]


def _round(crew: Crew, name: str) -> Crew:
    return crew if crew.rounds is None else replace(crew, rounds=crew.rounds / name)


def _slowed(plan: Plan, searched: Sequence[Standing]) -> Plan:
    """The plan with the seconds of full trainings as the search lets expect them, if longer."""
    ratios = [
        outcome.wall_seconds / plan.search_s[one.entry.name]
        for one in searched
        for outcome in one.outcomes
    ]
    factor = max(1.0, fmean(ratios or [1.0]))
    return replace(plan, full_s={name: factor * s for name, s in plan.full_s.items()})
