"""The one table of a comparison: a row a strategy, the best first, baselines and the refused below.

As plain rows, as an Arrow table for other programs, and as Markdown cells for a person.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import pyarrow as pa

from flows.comparison.course import Standing, train_seconds
from flows.comparison.scores import MEASURES, wilson
from models.options.model_fits import front_stride

BASELINE = "cheap baseline"
"""The family of what stands in the table beside the strategies."""
LEAST = ("majority", "mean")
"""Baselines that look at no record: what is not better than these has learnt nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A strategy's line.

    Args:
        strategy, family, told: see Strategy; setting: that the search chose.
        in_full: whether it was trained in full; else its score is of the search, of one seed.
        score, low, high: on validation, with its 95 % interval over records and seeds.
        test, test_low, test_high: taken once; None where not trained in full.
        seeds: that were trained. seed_scores: validation scores of each.
        updates, epochs: of a training.
        train_seconds: of one training on one process. predict_seconds: of a thousand records.
        memory_bytes: of training. kept_share: of the steps, that the recurrent layer reads.
        parameters: of the model.
    """

    strategy: str
    family: str
    told: str
    setting: str
    in_full: bool
    score: float
    low: float
    high: float
    test: float | None
    test_low: float | None
    test_high: float | None
    seeds: int
    seed_scores: list[float]
    updates: int
    epochs: int
    train_seconds: float
    predict_seconds: float
    memory_bytes: int
    kept_share: float
    parameters: int


def rows_of(standings: Sequence[Standing]) -> list[Row]:
    """A row each: those trained in full first, the best first."""
    rows = [_row(one) for one in standings]
    finals = [row for row in rows if row.in_full]
    return [*finals, *(row for row in rows if not row.in_full)]


def _row(one: Standing) -> Row:
    low, high = one.validation.interval
    test = (None, None, None) if one.test is None else (one.test.shown, *one.test.interval)
    outcomes = one.outcomes
    return Row(
        strategy=one.entry.name,
        family=one.entry.family,
        told=one.entry.told,
        setting=one.setting,
        in_full=one.is_final,
        score=one.validation.shown,
        low=low,
        high=high,
        test=test[0],
        test_low=test[1],
        test_high=test[2],
        seeds=len(outcomes),
        seed_scores=one.validation.shown_seeds,
        updates=outcomes[0].updates,
        epochs=outcomes[0].epochs,
        train_seconds=train_seconds(one),
        predict_seconds=fmean(outcome.predict_seconds for outcome in outcomes),
        memory_bytes=max(outcome.memory_bytes for outcome in outcomes),
        kept_share=one.entry.prepared["kept_share"] / _steps_a_state(one),
        parameters=outcomes[0].parameters,
    )


def _steps_a_state(one: Standing) -> int:
    """How many prepared steps the recurrent layer reads as one."""
    first = one.entry.pretraining
    coded = first.options["code_every"] if first is not None and first.kind == "codes" else 1
    return front_stride(one.spec.train.model) * coded


@dataclass(frozen=True, kw_only=True, slots=True)
class Cheap:
    """A baseline's line: its scores with Wilson's intervals, None for figures that are no share."""

    name: str
    score: float
    interval: tuple[float, float] | None
    test: float | None
    test_interval: tuple[float, float] | None


def baselines_of(folder: Path, task: str) -> list[Cheap]:
    """The cheap baselines, from the report of a training on whole records, the best first."""
    found = json.loads((folder / "report.json").read_bytes())["baselines"]
    measure = MEASURES[task]
    rows = []
    for name, figures in found.get("validation", {}).items():
        test = found.get("test", {}).get(name, {})
        score, beside = figures.get(measure), test.get(measure)
        if score is None:
            continue
        rows.append(
            Cheap(
                name=name,
                score=score,
                interval=_interval(score, figures["records"], task),
                test=beside,
                test_interval=(
                    None if beside is None else _interval(beside, test["records"], task)
                ),
            )
        )
    return sorted(rows, key=lambda row: row.score, reverse=measure != "rmse")


def least_of(cheap: Sequence[Cheap]) -> Cheap | None:
    """The baseline that looks at no record, where the task has one."""
    return next((one for one in cheap if one.name in LEAST), None)


def is_unlearnt(shown: float, least: Cheap, *, measure: str) -> bool:
    """Whether a score is no better than that of an answer that looks at no record."""
    return shown >= least.score if measure == "rmse" else shown <= least.score


def _interval(score: float, records: int, task: str) -> tuple[float, float] | None:
    return wilson(score, records) if task == "classify" else None


def to_arrow(rows: Sequence[Row], cheap: Sequence[Cheap]) -> pa.Table:
    """The rows as columns, then those of the baselines, whose `family` is BASELINE.

    Args:
        rows: of strategies.
        cheap: baselines; what only a model has is null.
    """
    lines = [asdict(row) for row in rows]
    for one in cheap:
        low, high = one.interval or (None, None)
        test_low, test_high = one.test_interval or (None, None)
        lines.append(
            {
                "strategy": one.name,
                "family": BASELINE,
                "score": one.score,
                "low": low,
                "high": high,
                "test": one.test,
                "test_low": test_low,
                "test_high": test_high,
            }
        )
    return pa.Table.from_pylist(lines)


HEAD = (
    *("strategy", "validation", "95 % interval", "test", "95 % interval", "training, s"),
    *("predicting 1,000, s", "memory, MB", "steps kept", "parameters", "epochs", "seeds"),
)
EXPLAINED = (
    "**validation** and **test**: {measure}, the mean over the seeds, with the interval that "
    "holds it in 95 % of draws; the choice is made on validation alone",
    "**training**: seconds of one training on one process, what comes before it included",
    "**predicting 1,000**: seconds for a thousand records",
    "**memory**: the most that training added to the process",
    "**steps kept**: share of a record's steps, or of what stands for them, that the "
    "recurrent layer reads to predict it",
    "**epochs**: passes over the training rows",
)
"""What the columns mean."""


def cells(row: Row) -> list[str]:
    """A row for a person."""
    test = "" if row.test is None else f"{row.test:.3f}"
    between = "" if row.test is None else f"{row.test_low:.3f} to {row.test_high:.3f}"
    return [
        row.strategy,
        f"{row.score:.3f}",
        f"{row.low:.3f} to {row.high:.3f}",
        test,
        between,
        f"{row.train_seconds:,.1f}",
        f"{row.predict_seconds:,.2f}",
        f"{row.memory_bytes / 2**20:,.0f}",
        f"{row.kept_share:.0%}",
        f"{row.parameters:,}",
        f"{row.epochs:,}",
        f"{row.seeds}",
    ]


def cheap_cells(row: Cheap) -> list[str]:
    """A baseline's row for a person, in the same columns."""

    def between(interval: tuple[float, float] | None) -> str:
        return "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"

    test = "" if row.test is None else f"{row.test:.3f}"
    shown = [f"*{row.name}*", f"{row.score:.3f}", between(row.interval), test]
    return [*shown, between(row.test_interval), *[""] * 7]
