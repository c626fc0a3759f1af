"""The plots of a report: PNG files that a person can read without the code.

Matplotlib without a display; one function a plot, each given plain numbers and a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

BLUE, ORANGE, GREY, VIOLET = "#1f6fb4", "#d9741a", "#8a8f98", "#7a4fa3"
DPI = 100
BINS = 30
"""A histogram shows at most about this many bars."""
LEGEND: dict[str, Any] = {
    "frameon": False,
    "fontsize": 8,
    "loc": "outside upper center",
    "ncols": 4,
}


def new_figure(width: float = 6.4, height: float = 3.6) -> tuple[Figure, Axes]:
    """A figure of this size in inches with one pair of axes, as all plots have them."""
    figure, axes = plt.subplots(figsize=(width, height), dpi=DPI, layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def save(figure: Figure, path: Path, *, colours: int | None = None) -> None:
    """Write a figure as PNG and close it; `colours`: at most so many, for a smaller file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # No software version and no date: the same numbers give the same bytes.
    figure.savefig(path, metadata={"Software": None})
    plt.close(figure)
    if colours is not None:
        with Image.open(path) as image:
            fewer = image.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        fewer.save(path, optimize=True)


def lengths(
    path: Path, *, before: dict[str, list[int]], after: dict[str, list[int]], unit: str
) -> None:
    """Histograms of record lengths before and example lengths after preparation.

    Args:
        path: of the PNG.
        before: `edges` (n + 1) and `counts` (n) of records in their natural form.
        after: the same of examples, in steps.
        unit: what a record's length counts, e.g. characters.
    """
    figure, both = plt.subplots(1, 2, figsize=(8.4, 3.3), dpi=DPI, layout="constrained")
    titles = (f"records before, in {unit}", "examples after, in steps")
    for axes, data, colour, title in zip(both, (before, after), (GREY, BLUE), titles, strict=True):
        edges, counts = _coarser(data["edges"], data["counts"])
        widths = [right - left for left, right in pairwise(edges)]
        axes.bar(edges[:-1], counts, width=widths, align="edge", color=colour, edgecolor="white")
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_ylabel("count")
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    save(figure, path)


def _coarser(edges: Sequence[int], counts: Sequence[int]) -> tuple[list[int], list[int]]:
    """Neighbouring bins of a histogram joined until about BINS are left."""
    step = max(1, -(-len(counts) // BINS))
    joined = [sum(counts[start : start + step]) for start in range(0, len(counts), step)]
    return [*edges[:-1:step], edges[-1]], joined


def padding(path: Path, *, shares: dict[str, float]) -> None:
    """Share of computed steps that are padding, one bar a way of batching.

    Args:
        path: of the PNG.
        shares: share in [0, 1] by name, e.g. padded to the longest, bucketed, as trained.
    """
    figure, axes = new_figure(6.4, 0.7 + 0.5 * len(shares))
    names = list(shares)[::-1]
    values = [100 * shares[name] for name in names]
    bars = axes.barh(names, values, color=[BLUE if v < 10 else GREY for v in values], height=0.6)
    axes.bar_label(bars, labels=[f"{value:.1f} %" for value in values], padding=4)
    axes.set_xlim(0, max(*values, 10) * 1.2)
    axes.set_xlabel("padding, % of computed steps")
    axes.grid(visible=False, axis="y")
    save(figure, path)


def learning_curves(path: Path, *, epochs: Sequence[dict[str, Any]], best: int | None) -> None:
    """Training and validation loss, and a validation score, against epochs.

    Args:
        path: of the PNG.
        epochs: the `epoch` events of a training run.
        best: the epoch whose weights were kept.
    """
    figure, axes = new_figure()
    x = [event["epoch"] for event in epochs]
    for key, colour in (("train_loss", GREY), ("validation_loss", BLUE)):
        name = key.replace("train_", "training ").replace("_", " ")
        values = [event[key] for event in epochs]
        axes.plot(x, values, color=colour, marker="o", markersize=3, label=name)
    if best is not None:
        axes.axvline(best, color="#b9bdc4", linewidth=1, linestyle="--", label="kept epoch")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_ylim(bottom=0)
    score = next((n for n in ("accuracy", "token_accuracy") if n in epochs[-1]["validation"]), None)
    if score is not None:
        right = axes.twinx()
        values = [event["validation"][score] for event in epochs]
        right.plot(x, values, color=ORANGE, marker="o", markersize=3)
        right.set_ylim(0, 1.02)
        right.set_ylabel(score.replace("_", " "), color=ORANGE)
        right.spines[["top"]].set_visible(False)
        axes.plot([], [], color=ORANGE, label=f"validation {score.replace('_', ' ')} (right)")
    _phases(figure, axes, [event["segments"] for event in epochs if event.get("segments")])
    figure.legend(*axes.get_legend_handles_labels(), **LEGEND)
    save(figure, path)


def _phases(figure: Figure, axes: Axes, epochs: Sequence[dict[str, Any]]) -> None:
    """Where each length of segments began, and below which and why; nothing for whole rows."""
    begun = list({phase["since"]: phase for phase in epochs}.values())
    lines = []
    for number, phase in enumerate(begun, start=1):
        count, steps = phase["segments"], phase["steps"]
        parts = "whole rows" if count == 1 else f"{count:,} segments of {steps:,} steps"
        lines.append(f"{number}  from epoch {phase['since']}: {parts} ({phase['why']})")
        axes.axvline(phase["since"] - 0.5, color=VIOLET, linewidth=1, linestyle=":")
        axes.annotate(
            str(number),
            (phase["since"] - 0.5, 0.97),
            xycoords=("data", "axes fraction"),
            xytext=(2, 0),
            textcoords="offset points",
            va="top",
            fontsize=8,
            color=VIOLET,
        )
    if lines:
        figure.set_figheight(figure.get_figheight() + 0.14 * len(lines))
        figure.supxlabel("\n".join(lines), x=0.02, ha="left", fontsize=7, color=VIOLET)


def confusion(path: Path, *, matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
    """Counts of predicted against true classes.

    Args:
        path: of the PNG.
        matrix: rows are true classes, columns predicted ones.
        labels: in the order of the rows.
    """
    side = 1.6 + 0.55 * len(labels)
    figure, axes = new_figure(max(side + 0.8, 3.6), max(side, 2.8))
    totals = [max(sum(row), 1) for row in matrix]
    shares = [[cell / total for cell in row] for row, total in zip(matrix, totals, strict=True)]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    if len(labels) <= 20:
        for i, row in enumerate(matrix):
            for j, cell in enumerate(row):
                colour = "white" if shares[i][j] > 0.55 else "black"
                axes.text(j, i, str(cell), ha="center", va="center", color=colour, fontsize=9)
    short = [label if len(label) <= 16 else label[:15] + "…" for label in labels]
    slant = 45 if max((len(label) for label in short), default=0) > 6 else 0
    axes.set_xticks(range(len(labels)), short, rotation=slant, ha="right" if slant else "center")
    axes.set_yticks(range(len(labels)), short)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    save(figure, path)
