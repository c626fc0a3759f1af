"""The one table of a length study: a row a length, the shortest first.

As plain rows, as an Arrow table for other programs, and as cells for a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

import pyarrow as pa

from flows.comparison.table import LEAST, Cheap, least_of
from flows.length_study.course import Standing


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A length's line.

    Args:
        steps: at most, of a record. told: the same for a person.
        score, low, high: on validation, with its 95 % interval over records and seeds.
        seed_scores: of each seed.
        test, test_low, test_high: beside it; None where there are no test rows.
        baseline, baseline_test: of the same cheap estimator at every length, on the cut records.
        chance: what guessing scores on validation.
        kept_share: of the steps of whole records.
        updates, epochs: of a training. train_seconds: of one training.
        row_steps: of a training row, the mean. update_seconds: of an update.
        is_timed: whether the exponent is fitted to this line, too.
        predict_seconds: of a thousand records. memory_bytes: that training took at most.
    """

    steps: int
    told: str
    score: float
    low: float
    high: float
    seed_scores: tuple[float, ...]
    test: float | None
    test_low: float | None
    test_high: float | None
    baseline: float | None
    baseline_test: float | None
    chance: float | None
    kept_share: float
    updates: int
    epochs: int
    train_seconds: float
    row_steps: float
    update_seconds: float
    is_timed: bool
    predict_seconds: float
    memory_bytes: int


def rows_of(standings: Sequence[Standing], *, baseline: str | None) -> list[Row]:
    """A row each.

    Args:
        standings: of the lengths, the shortest first.
        baseline: its name, of `best_baseline`.
    """
    return [_row(one, baseline) for one in standings]


def _row(one: Standing, baseline: str | None) -> Row:
    low, high = one.validation.interval
    test = (None, None, None) if one.test is None else (one.test.shown, *one.test.interval)
    beside = _of(one.cheap, baseline)
    return Row(
        steps=one.rung.steps,
        told=one.rung.told,
        score=one.validation.shown,
        low=low,
        high=high,
        seed_scores=tuple(one.validation.shown_seeds),
        test=test[0],
        test_low=test[1],
        test_high=test[2],
        baseline=None if beside is None else beside.score,
        baseline_test=None if beside is None else beside.test,
        chance=chance_of(one.cheap),
        kept_share=one.rung.kept_share,
        updates=one.outcomes[0].updates,
        epochs=one.outcomes[0].epochs,
        train_seconds=one.train_s,
        row_steps=one.row_steps,
        update_seconds=one.update_s,
        is_timed=one.is_timed,
        predict_seconds=fmean(outcome.predict_seconds for outcome in one.outcomes),
        memory_bytes=one.memory_bytes,
    )


def best_baseline(standings: Sequence[Standing]) -> str | None:
    """The name of the cheap estimator that is best over all lengths; one line in the plot."""
    scores: dict[str, list[float]] = {}
    for one in standings:
        for cheap in one.cheap:
            if cheap.name not in LEAST:
                scores.setdefault(cheap.name, []).append(cheap.score)
    means = {name: fmean(each) for name, each in scores.items() if len(each) == len(standings)}
    smaller = standings[0].validation.measure == "rmse"
    if not means:
        return None
    return min(means, key=lambda name: means[name] if smaller else -means[name])


def _of(cheap: Sequence[Cheap], name: str | None) -> Cheap | None:
    return next((one for one in cheap if one.name == name), None)


def chance_of(cheap: Sequence[Cheap]) -> float | None:
    """What guessing scores on validation."""
    least = least_of(cheap)
    return None if least is None else least.score


def to_arrow(rows: Sequence[Row]) -> pa.Table:
    """The rows as columns."""
    return pa.Table.from_pylist([asdict(row) for row in rows])


def head(measure: str, baseline: str | None) -> list[str]:
    """Names of the columns of `cells`."""
    return [
        *("length", f"validation {measure}", "95 % interval", f"test {measure}", "95 % interval"),
        *(baseline or "baseline", "steps kept", "steps a row", "an update, s", "training, s"),
        *("predicting 1,000, s", "memory, MB", "seeds"),
    ]


def cells(row: Row) -> list[str]:
    """A row for a person."""
    return [
        row.told,
        f"{row.score:.3f}",
        f"{row.low:.3f} to {row.high:.3f}",
        "" if row.test is None else f"{row.test:.3f}",
        "" if row.test is None else f"{row.test_low:.3f} to {row.test_high:.3f}",
        "" if row.baseline is None else f"{row.baseline:.3f}",
        f"{row.kept_share:.0%}",
        f"{row.row_steps:,.0f}",
        f"{row.update_seconds:.3g}" + ("" if row.is_timed else " (fewer rows)"),
        f"{row.train_seconds:,.1f}",
        f"{row.predict_seconds:,.2f}",
        f"{row.memory_bytes / 2**20:,.0f}",
        f"{len(row.seed_scores)}",
    ]
