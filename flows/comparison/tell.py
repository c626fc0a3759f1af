"""What a comparison says while it trains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from flows.comparison.budget import LEAST_UPDATES, UNITS, Plan
from flows.comparison.left import Left
from flows.comparison.pieces import Told
from flows.comparison.scores import shown_score
from flows.comparison.trials import Outcome, Trial
from flows.progress import say


def teller(round_: str, total: int, left: Left) -> Told:
    """Says a line after each training, and remembers by what it was those that gave nothing.

    Args:
        round_: for a person to read.
        total: trainings of it.
        left: changed.
    """
    done = 0

    def tell(trial: Trial, found: Outcome | Exception) -> None:
        nonlocal done
        done += 1
        head = f"  {round_} {done} of {total}: {trial.told}"
        if isinstance(found, Exception):
            say(f"{head}: {left.note(trial.told, found)}")
            return
        path = Path(found.folder) / "predictions-validation.parquet"
        figure = shown_score(path, trial.spec.source.task)
        say(f"{head}: {figure:.3f} in {found.wall_seconds:.0f} s")

    return tell


def refused(left: Left, *, by_name: bool) -> Iterator[str]:
    """Which strategies mean nothing here.

    Args:
        left: with the reasons.
        by_name: whether a person named the strategies, and thus is told each reason.
    """
    if by_name:
        yield from (f"  {name} does not fit: {why}" for name, why in left.refused.items())
    elif left.refused:
        yield f"  {len(left.refused)} do not fit, see the page: {', '.join(left.refused)}"


def planned(plan: Plan, seeds: int) -> Iterator[str]:
    """What will be trained, and what will not.

    Args:
        plan: of the comparison.
        seeds: that were asked for.
    """
    if plan.left_out:
        yield f"  no time for {', '.join(plan.left_out)}"
    if plan.seeds < seeds:
        yield f"  no time for {seeds} seeds of each, but for {plan.seeds}"
    if plan.enough_s is not None:
        yield f"  --minutes {math.ceil(plan.enough_s / 60)} would do for all"
    yield (
        f"  expected: {plan.seconds / 60:,.1f} minutes in all; each full training gets "
        f"{plan.amount:,.4g} {UNITS[plan.equal]}"
    )
    if plan.floored:
        yield f"  more than that, {LEAST_UPDATES} updates, for {', '.join(plan.floored)}"


def how_long(plan: Plan, took_s: float | None) -> str:
    """The prediction beside what it came to."""
    if took_s is None:
        return "  some of it was there before"
    return f"  took {took_s / 60:,.1f} minutes, expected {plan.seconds / 60:,.1f}"
