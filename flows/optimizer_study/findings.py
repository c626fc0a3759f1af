"""What the numbers say of the source's findings: sentences, computed, for the top of the page.

The source of the study found that clipping removes Adam's spikes, and that a schedule of segments
is faster at the beginning. Each finding holds, holds in part or does not hold, by a stated rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from flows.comparison.scores import Score
from flows.comparison.table import Cheap
from flows.optimizer_study.curves import SETTLED
from flows.optimizer_study.speed import Pair
from flows.optimizer_study.table import Row
from flows.optimizer_study.variants import NONE, numbers_of

HALVED = 0.5
"""Of the largest late jump that clipping must leave at most."""
NAMED = 3
"""Variants that a sentence names at most."""


def clipping(rows: Sequence[Row], *, optimizer: str) -> str | None:
    """Whether clipping removes an optimiser's spikes; None where nothing can be compared.

    It holds where the largest late jump is halved at least whatever the schedule, in part where it
    is with one of them. A training that did not come to its end counts as a jump without bounds.

    Args:
        rows: of all variants.
        optimizer: the one that is spoken of.
    """
    mine = [row for row in rows if row.optimizer == optimizer]
    plain = {row.schedule: row for row in mine if row.clip == NONE}
    pairs = [(plain[r.schedule], r) for r in mine if r.clip != NONE and r.schedule in plain]
    if not pairs:
        return None
    told = "; ".join(_jumps(before, after) for before, after in pairs)
    pairs = [(_unbounded(before), _unbounded(after)) for before, after in pairs]
    return f"**Clipping removes the spikes of {optimizer}: {_of_clipping(pairs)}.** {told}."


def _unbounded(row: Row) -> Row:
    return replace(row, late_jump=inf, spikes=inf) if row.stopped else row


def stopped(rows: Sequence[Row], asked: Sequence[str], *, seeds: int) -> str | None:
    """Which variants have trainings that did not come to their end; None where all did.

    Args:
        rows: of the variants of which one did.
        asked: names of all variants.
        seeds: of each.
    """
    lost = dict.fromkeys(asked, seeds) | {row.variant: row.stopped for row in rows}
    told = ", ".join(f"{name} {count} of {seeds}" for name, count in lost.items() if count)
    if not told:
        return None
    return (
        f"**Trainings that did not come to their end:** {told}. The reasons stand below; means "
        "are of the other seeds, so that such variants look better than they are."
    )


def _of_clipping(pairs: Sequence[tuple[Row, Row]]) -> str:
    if all(before.spikes == 0 for before, _ in pairs):
        return "it has none here"
    halved = [after.late_jump <= HALVED * before.late_jump for before, after in pairs]
    return "holds" if all(halved) else "holds in part" if any(halved) else "does not hold"


def _jumps(before: Row, after: Row) -> str:
    where = "Whole rows" if before.schedule == NONE else before.schedule
    return (
        f"{where}, clip {after.clip}: after the first {SETTLED:.0%} of the updates the largest "
        f"jump of the loss between two goes from {before.late_jump:.3g} to {after.late_jump:.3g}, "
        f"spikes from {before.spikes:.3g} to {after.spikes:.3g}, {after.clipped_share:.0%} of the "
        "updates are clipped"
    )


def speed(pairs: Sequence[Pair]) -> str | None:
    """Whether schedules are faster early, and whether they stay so; None where there is none.

    It holds where every one is faster in seconds, in part where some are.
    """
    early = [pair for pair in pairs if pair.of == "early training"]
    late = [pair for pair in pairs if pair.of == "lowest validation"]
    if not early:
        return None
    faster = sum(pair.speed_up > 1 for pair in early)
    verdict = ("does not hold", "holds in part", "holds")[(faster > 0) + (faster == len(early))]
    ratios = sorted(pair.speed_up for pair in early)
    fewer = sum(pair.updates < pair.whole_updates for pair in early)
    still = sum(pair.speed_up > 1 for pair in late)
    return (
        f"**The schedule's early speed-up: {verdict}.** To an early training loss that both reach, "
        f"{faster} of {len(early)} are faster with a schedule in seconds (x {ratios[0]:.2g} to "
        f"x {ratios[-1]:.2g}), {fewer} in updates; to the lowest validation loss that both reach, "
        f"{still} of {len(late)} are faster in seconds."
    )


def best(rows: Sequence[Row], scores: Sequence[Score], baseline: Cheap | None) -> str:
    """Which variant validation prefers, and what the test records say of it.

    Args:
        rows: of all variants.
        scores: theirs on the test records; one with a training that was stopped is no candidate.
        baseline: the cheapest answer, the same for every record.
    """
    whole = [n for n, row in enumerate(rows) if not row.stopped] or list(range(len(rows)))
    place = min(whole, key=lambda n: rows[n].validation_loss)
    row, score = rows[place], scores[place]
    same = [
        other.variant
        for other, of_it in zip(rows, scores, strict=True)
        if other is not row and not score.is_distinguishable(of_it)
    ]
    leaders = {
        name: min((r for r in rows if r.optimizer == name), key=lambda r: r.validation_loss)
        for name in dict.fromkeys(r.optimizer for r in rows)
    }
    order = sorted(leaders.values(), key=lambda r: r.validation_loss)
    ranks = ", ".join(f"{r.optimizer} {r.validation_loss:.3g}" for r in order)
    beside = (
        ""
        if baseline is None or baseline.test is None
        else (f", where always answering the {baseline.name} gives {baseline.test:.3g}")
    )
    doubt = f"there it is not distinguishable from {_some(same)}"
    if not score.is_telling:
        doubt = f"{score.records} test records are too few to tell it from the others"
    elif not same:
        doubt = "there it is distinguishable from all others"
    return (
        f"**The lowest validation loss has {row.variant}** (the best of each optimiser: {ranks}): "
        f"test {score.measure} {row.test:.3g} ({row.low:.3g} to {row.high:.3g}){beside}; {doubt}."
    )


def _some(names: Sequence[str]) -> str:
    """The first of some names, and how many more.

    >>> _some(["a", "b"]), _some(["a", "b", "c", "d", "e"])
    ('a, b', 'a, b, c and 2 more')
    """
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def unfinished(rows: Sequence[Row], *, patience: int) -> str | None:
    """How far the schedules got that did not come to their end; None where all did.

    Args:
        rows: of all variants.
        patience: epochs that a schedule waits.
    """
    cut = {
        row.schedule: row.segments
        for row in rows
        if row.schedule not in (NONE, "auto") and row.segments != numbers_of(row.schedule)
    }
    if not cut:
        return None
    got = "; ".join(f"{name} got to {numbers[-1]}" for name, numbers in cut.items())
    return (
        f"**Schedules that did not come to their end in {rows[0].updates:,} updates:** {got}. A "
        f"number of segments is left after {patience} epochs without a better training loss; more "
        f"updates (`--full {10 * rows[0].updates}`, or more `--minutes`) would show the rest."
    )
