"""What was measured of a mistake: the same quantity the wrong way and the right way.

Legend: S seeds, R records.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from flows.comparison.scores import score

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One quantity, both ways.

    Args:
        what: is measured, on which task, in which unit.
        wrong, right: the quantity; None where it is not finite.
        wrong_range, right_range: 95 % interval, where it is a score.
        seeds: trainings of each; None where nothing is drawn.
        records: that are scored; None where it is no score.
    """

    what: str
    wrong: float | None
    right: float | None
    wrong_range: tuple[float, float] | None = None
    right_range: tuple[float, float] | None = None
    seeds: int | None = None
    records: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def accuracies(what: str, wrong_SR: Scores, right_SR: Scores) -> Figure:
    """Share of right answers, with a bootstrap's interval over records and seeds.

    Args:
        what: is measured.
        wrong_SR: 1 for a right answer, else 0, of each seed and record.
        right_SR: likewise.
    """
    wrong = score("accuracy", wrong_SR.astype(np.float64), place=0)
    right = score("accuracy", right_SR.astype(np.float64), place=1)
    return Figure(
        what=what,
        wrong=wrong.mean,
        right=right.mean,
        wrong_range=wrong.interval,
        right_range=right.interval,
        seeds=wrong.seeds if wrong.seeds > 1 else None,  # one: nothing is drawn
        records=wrong.records,
    )


def plain(what: str, wrong: float, right: float, *, seeds: int | None = None) -> Figure:
    """A quantity that is no score of records; a mean where there are seeds."""
    return Figure(what=what, wrong=_finite(wrong), right=_finite(right), seeds=seeds)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def markdown(figures: Sequence[Figure]) -> str:
    """A table of what one mistake costs."""
    lines = ["| measured | wrong | right | seeds |", "|---|---|---|---|"]
    for one in figures:
        cells = (one.what, show(one.wrong, one.wrong_range), show(one.right, one.right_range))
        lines.append("| " + " | ".join(cells) + f" | {one.seeds or ''} |")
    return "\n".join(lines) + "\n"


def show(value: float | None, limits: Sequence[float] | None) -> str:
    """A figure, with its interval if it has one.

    >>> show(0.51234, (0.48, 0.5444)), show(1234.5, None), show(0.123, None), show(None, None)
    ('0.512 (0.480 to 0.544)', '1,234', '0.123', 'not finite')
    """
    if value is None:
        return "not finite"
    if limits is not None:
        return f"{value:.3f} ({limits[0]:.3f} to {limits[1]:.3f})"
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1 else f"{value:.3g}"
