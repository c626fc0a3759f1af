"""The plots of a comparison: score against time, and the seeds behind each score."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import FuncFormatter

from flows.comparison.scores import TOLD
from flows.comparison.table import LEAST, Cheap, Row
from flows.reporting.plots import BLUE, GREY, LEGEND, ORANGE, VIOLET, new_figure, save


def pareto(
    path: Path, *, rows: Sequence[Row], cheap: Sequence[Cheap], measure: str, best: str | None
) -> None:
    """Validation score against training time; a line joins those that nothing beats in both.

    Args:
        path: of the PNG.
        rows: of the strategies that were trained in full.
        cheap: baselines, the best first.
        measure: what the score is.
        best: the strategy that is recommended; None where none is.
    """
    figure, axes = new_figure(8.4, 4.8)
    front = best_by_time(rows, smaller=measure == "rmse")
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
            label="recommended" if row.strategy == best else None,
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
    for one, line in _lines(cheap):
        axes.axhline(one.score, label=one.name, **line)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", which="both", labelsize=8)
    axes.margins(x=0.12)
    axes.set_xlabel("seconds of one training on one process")
    axes.set_ylabel(f"validation {TOLD[measure]}, with 95 % interval")
    figure.legend(*axes.get_legend_handles_labels(), **LEGEND)
    save(figure, path)


def best_by_time(rows: Sequence[Row], *, smaller: bool) -> list[Row]:
    """The rows that no other one beats in both score and time, the quickest first.

    Args:
        rows: of strategies.
        smaller: whether a smaller score is better.
    """
    sign = 1 if smaller else -1
    front: list[Row] = []
    for row in sorted(rows, key=lambda one: (one.train_seconds, sign * one.score)):
        if not front or sign * row.score < sign * front[-1].score:
            front.append(row)
    return front


def _lines(cheap: Sequence[Cheap]) -> list[tuple[Cheap, dict[str, Any]]]:
    """The best baseline and the one that looks at no record, and how they are drawn."""
    shown = [one for one in cheap if one is cheap[0] or one.name in LEAST]
    style = {"linewidth": 1, "color": VIOLET, "alpha": 0.7}
    return [(one, {**style, "linestyle": "-." if n == 0 else ":"}) for n, one in enumerate(shown)]


def seeds(path: Path, *, rows: Sequence[Row], cheap: Sequence[Cheap], measure: str) -> None:
    """The validation score of each seed beside the mean and its interval.

    Args:
        path: of the PNG.
        rows: of the strategies that were trained in full, the best first.
        cheap: baselines, the best first.
        measure: what the score is.
    """
    figure, axes = new_figure(7.6, 1.2 + 0.32 * len(rows))
    axes.grid(axis="x", color="#e4e6ea", linewidth=0.8)
    for place, row in enumerate(rows):
        bar, dot = ("mean and 95 % interval", "one seed") if place == 0 else (None, None)
        axes.plot([row.low, row.high], [place, place], color=GREY, linewidth=2, alpha=0.6)
        axes.plot(row.score, place, "|", color=BLUE, markersize=12, label=bar)
        axes.plot(row.seed_scores, [place] * row.seeds, "o", color=ORANGE, markersize=4, label=dot)
    for one, line in _lines(cheap):
        axes.axvline(one.score, label=one.name, **line)
    axes.set_yticks(range(len(rows)), [row.strategy for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"validation {TOLD[measure]}")
    figure.legend(*axes.get_legend_handles_labels(), **LEGEND)
    save(figure, path)
