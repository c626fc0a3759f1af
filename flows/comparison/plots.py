"""The plots of a comparison: score against time, and the seeds behind each score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import FuncFormatter

from flows.comparison.table import Row
from flows.reporting.plots import BLUE, GREY, LEGEND, ORANGE, new_figure, save


def pareto(path: Path, *, rows: Sequence[Row], measure: str, best: str) -> None:
    """Validation score against training time; a line joins those that nothing beats in both.

    Args:
        path: of the PNG.
        rows: of the strategies that were trained in full.
        measure: what the score is.
        best: the strategy that is recommended.
    """
    figure, axes = new_figure(8.4, 4.8)
    front = _front(rows, smaller=measure == "rmse")
    for row in rows:
        colour = ORANGE if row.strategy == best else BLUE if row in front else GREY
        low, high = row.score - row.low, row.high - row.score
        axes.errorbar(
            row.train_seconds,
            row.score,
            yerr=[[max(0, low)], [max(0, high)]],
            fmt="o",
            color=colour,
            markersize=5,
            elinewidth=0.8,
        )
        axes.annotate(
            row.strategy,
            (row.train_seconds, row.score),
            xytext=(5, 4),
            textcoords="offset points",
            fontsize=7,
            color=colour,
        )
    axes.plot(
        [row.train_seconds for row in front],
        [row.score for row in front],
        color=BLUE,
        linewidth=1,
        linestyle="--",
        label="nothing is both better and quicker",
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", which="minor", labelsize=7)
    axes.margins(x=0.12)
    axes.set_xlabel("seconds of one training on one process")
    axes.set_ylabel(f"validation {measure}, with 95 % interval")
    figure.legend(*axes.get_legend_handles_labels(), **LEGEND)
    save(figure, path)


def _front(rows: Sequence[Row], *, smaller: bool) -> list[Row]:
    """The rows that no other one beats in both score and time, the quickest first."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda one: one.train_seconds):
        better = not front or (
            row.score < front[-1].score if smaller else row.score > front[-1].score
        )
        if better:
            front.append(row)
    return front


def seeds(
    path: Path, *, rows: Sequence[Row], scores: Sequence[Sequence[float]], measure: str
) -> None:
    """The validation score of each seed beside the mean and its interval.

    Args:
        path: of the PNG.
        rows: of the strategies that were trained in full, the best first.
        scores: of each, one a seed.
        measure: what the score is.
    """
    figure, axes = new_figure(7.6, 1.2 + 0.32 * len(rows))
    axes.grid(axis="x", color="#e4e6ea", linewidth=0.8)
    for place, (row, each) in enumerate(zip(rows, scores, strict=True)):
        bar, dot = ("mean and 95 % interval", "one seed") if place == 0 else (None, None)
        axes.plot([row.low, row.high], [place, place], color=GREY, linewidth=2, alpha=0.6)
        axes.plot(row.score, place, "|", color=BLUE, markersize=12, label=bar)
        axes.plot(each, [place] * len(each), "o", color=ORANGE, markersize=4, label=dot)
    axes.set_yticks(range(len(rows)), [row.strategy for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"validation {measure}")
    figure.legend(*axes.get_legend_handles_labels(), **LEGEND)
    save(figure, path)
