"""The plots of a length study: score, gradient, time and memory against length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from flows.explore import lag_plot
from flows.length_study.exponent import Exponent
from flows.length_study.looked_back import LookedBack
from flows.length_study.table import Row
from flows.reporting.plots import BLUE, DPI, GREY, LEGEND, ORANGE, VIOLET, new_figure, save

_LEGEND = {**LEGEND, "loc": "upper center"}
GREEN = "#2c8a4b"
"""Of the length that is named."""


def scores(
    path: Path,
    *,
    rows: Sequence[Row],
    measure: str,
    named: int | None,
    baseline: str | None,
    limits: tuple[float, float] | None,
) -> None:
    """Validation score against length, beside chance and a baseline.

    Args:
        path: of the PNG.
        rows: of the lengths.
        measure: what the score is.
        named: the length that the study names, where it names one.
        baseline: the cheap estimator's name.
        limits: of the axis of lengths, so that it stands above that of the gradient; None: its own.
    """
    figure, axes = _wide(3.9)
    _lengths_below(axes)
    steps = [row.steps for row in rows]
    axes.plot(steps, [row.score for row in rows], "-o", color=BLUE, markersize=4, label="the model")
    axes.fill_between(
        steps,
        [row.low for row in rows],
        [row.high for row in rows],
        color=BLUE,
        alpha=0.15,
        linewidth=0,
        label="its 95 % interval over records and seeds",
    )
    for place, row in enumerate(rows):
        axes.plot(
            [row.steps] * len(row.seed_scores),
            row.seed_scores,
            ".",
            color=BLUE,
            markersize=3,
            alpha=0.6,
            label="one seed" if place == 0 else None,
        )
    cheap = [row.baseline for row in rows if row.baseline is not None]
    if len(cheap) == len(rows):
        axes.plot(
            steps,
            cheap,
            "--s",
            color=VIOLET,
            markersize=3,
            linewidth=1,
            label=f"cheap baseline: {(baseline or '').replace('_', ' ')}",
        )
    if rows[-1].chance is not None:
        axes.axhline(rows[-1].chance, color=GREY, linewidth=1, linestyle=":", label="chance")
    if named is not None:
        axes.axvline(named, color=GREEN, linewidth=1.4, label=f"named: {named:,} steps")
    _ticks(axes, steps)
    axes.set_xlabel("length: steps of a record that are kept, at most")
    axes.set_ylabel(f"validation {measure}")
    axes.set_title("How good is the model at each length?", fontsize=10, loc="left")
    axes.set_xlim(limits)
    figure.legend(*axes.get_legend_handles_labels(), **{**_LEGEND, "ncols": 3})
    save(figure, path)


def looked_back(
    path: Path, *, back: LookedBack, named: int | None, limits: tuple[float, float] | None
) -> None:
    """The gradient by lag of the model of the longest records.

    Args:
        path: of the PNG.
        back: the gradient.
        named: the length that the study names, where it counts from the end of records, too.
        limits: of the axis, as that of the scores.
    """
    figure, axes = _wide(3.7)
    lag_plot.draw(axes, bins=back.bins, reach=back.reach, title=back.of)
    title = f"How far back does the model that was trained on {back.told} look?"
    axes.set_title(title, fontsize=10, loc="left")
    if named is not None:
        axes.axvline(named, color=GREEN, linewidth=1.4, label=f"named: {named:,} steps")
    if limits is not None:
        axes.set_xlim(limits)
    figure.legend(*axes.get_legend_handles_labels(), **_LEGEND)
    save(figure, path)


def _wide(height: float) -> tuple[Figure, Axes]:
    """A figure whose axes begin and end where those of another do that stands above it."""
    figure, axes = new_figure(8.0, height)
    figure.set_layout_engine("none")
    axes.set_position((0.12, 0.52 / height, 0.86, 1 - 1.27 / height))
    return figure, axes


def costs(path: Path, *, rows: Sequence[Row], exponent: Exponent | None, an_update: int) -> None:
    """Seconds of an update and memory of training against length, both axes logarithmic.

    Args:
        path: of the PNG.
        rows: of the lengths.
        exponent: of time in length, where it could be fitted.
        an_update: rows of an update.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.8), dpi=DPI, layout="constrained")
    timed = [row for row in rows if row.is_timed]
    for axes in (left, right):
        _lengths_below(axes)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    steps = [row.row_steps for row in timed]
    left.plot(steps, [row.update_seconds for row in timed], "o", color=BLUE, label="measured")
    if exponent is not None:
        ends = np.geomspace(min(steps), max(steps), 50)
        error = "" if exponent.standard_error is None else f" ± {exponent.standard_error:.2f}"
        fixed = "a fixed cost + " if exponent.fixed else ""
        label = f"fitted: {fixed}steps to the power {exponent.value:.2f}{error}"
        left.plot(ends, [exponent.seconds(x) for x in ends], "--", color=ORANGE, label=label)
    left.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.xaxis.set_minor_locator(NullLocator())
    left.set_xlabel("steps of a row, the mean")
    left.set_ylabel(f"seconds of an update of {an_update:,} rows")
    left.legend(frameon=False, fontsize=8, loc="upper left")
    left.set_title("Time", fontsize=10, loc="left")
    right.plot(
        [row.steps for row in rows],
        [row.memory_bytes / 2**20 for row in rows],
        "-o",
        color=BLUE,
        markersize=4,
    )
    right.set_xlabel("length: steps of a record that are kept, at most")
    right.set_ylabel("MB that training takes at most")
    right.set_title("Memory", fontsize=10, loc="left")
    _ticks(right, [row.steps for row in rows])
    save(figure, path)


def _lengths_below(axes: Axes) -> None:
    """Lengths on a logarithmic axis, in whole numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _ticks(axes: Axes, steps: Sequence[int]) -> None:
    """A tick at each length that was trained on."""
    axes.set_xticks(steps, [f"{one:,}" for one in steps], fontsize=8)
    axes.xaxis.set_minor_locator(NullLocator())
