"""Plots of tokens and lengths before training: where cuts fall, what is shortened, what counts.

Like `plots`: one function a plot, plain numbers and a path in, the same bytes each time out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from flows.pipeline_yaml import in_one_line
from flows.reporting.counted import counted
from flows.reporting.plots import BLUE, DPI, GREY, LEGEND, ORANGE, new_figure, save
from seqprep.frequency_table import Cut

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

COLOURS = (ORANGE, "#8a5fb0", "#3f9c5a", "#c2405a")
"""Of the rules of a recipe, in order."""
POINTS = 1500
"""Ranks that are drawn, evenly on the logarithmic axis."""
BINS = 60


def ranks(path: Path, *, counts: Ints, cuts: Sequence[Cut], unit: str) -> None:
    """Count against rank, both logarithmic, and what each rule of the recipe takes away.

    Args:
        path: of the PNG.
        counts: `(V,)` by falling rank.
        cuts: of the recipe.
        unit: what a token is, e.g. word.
    """
    figure, axes = new_figure(7.6, 4.4)
    shown = np.unique(np.geomspace(1, len(counts), POINTS).astype(np.int64)) - 1
    gone = np.zeros(len(counts), dtype=bool)
    for cut, colour in zip(cuts, COLOURS * len(cuts), strict=False):
        _marked(axes, shown[cut.removed[shown]], counts, colour, _told(cut, counts))
        gone |= cut.removed
        _lines(axes, cut, colour)
    stays = f"stays: {int((~gone).sum()):,} tokens, {_share(counts, ~gone):.1%} of steps"
    _marked(axes, shown[~gone[shown]], counts, BLUE, stays)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.8, len(counts) * 1.25)
    axes.set_ylim(0.7, counts[0] * 1.6)
    axes.set_xlabel(f"rank of the {unit} (1 is the most frequent)")
    axes.set_ylabel("occurrences in training rows")
    figure.legend(*axes.get_legend_handles_labels(), **{**LEGEND, "ncols": 2})
    save(figure, path)


def _marked(axes: Axes, places: Ints, counts: Ints, colour: str, label: str) -> None:
    axes.plot(places + 1, counts[places], "o", markersize=3, color=colour, label=label)


def _told(cut: Cut, counts: Ints) -> str:
    told = (
        f"{cut.name}: {in_one_line(cut.options)}: {counted(int(cut.removed.sum()), 'token')} cut, "
    )
    told += f"{_share(counts, cut.removed):.1%} of steps"
    unknown = int(cut.unknown.sum())
    return told + (f", {unknown:,} become OOV" if unknown else "")


def _share(counts: Ints, marked: npt.NDArray[np.bool_]) -> float:
    return float(counts[marked].sum() / max(int(counts.sum()), 1))


def _lines(axes: Axes, cut: Cut, colour: str) -> None:
    """The limits that are a rank or a count, where they fall."""
    style: dict[str, Any] = {"color": colour, "linewidth": 1, "linestyle": "--"}
    words: dict[str, Any] = {"fontsize": 8, "color": colour}
    top = axes.get_xaxis_transform()
    drop_top, min_count = cut.options.get("drop_top"), cut.options.get("min_count")
    if isinstance(drop_top, int):
        axes.axvline(drop_top + 0.5, **style)
        axes.text(drop_top + 0.5, 0.98, f" drop_top {drop_top}", va="top", transform=top, **words)
    if isinstance(min_count, int):
        axes.axhline(min_count - 0.5, **style)
        across = axes.get_yaxis_transform()
        axes.text(
            0.01, min_count - 0.5, f"min_count {min_count}", va="bottom", transform=across, **words
        )
    if cut.unknown.any():
        first = int(np.flatnonzero(cut.unknown)[0])
        axes.axvline(first + 0.5, **{**style, "linestyle": ":"})
        axes.text(first + 0.5, 0.9, " OOV from here", va="top", transform=top, **words)


def lengths(path: Path, *, before: Ints, after: Ints) -> None:
    """Steps of records before any technique and of rows after all, on one axis.

    Args:
        path: of the PNG.
        before: `(R,)` steps of the records.
        after: steps of the rows.
    """
    figure, axes = new_figure(7.2, 3.6)
    every = np.maximum(np.concatenate([before, after]), 1)
    low, high = int(every.min(initial=every.max(initial=1))), int(every.max(initial=1)) + 1
    wide = high > 20 * low
    edges = np.geomspace(low, high, BINS) if wide else np.linspace(low, high, BINS)
    for values, colour, name in ((before, GREY, "records before"), (after, BLUE, "rows after")):
        middle = f"{np.median(values):,.0f}" if len(values) else "none"
        label = f"{name}: {len(values):,}, median {middle} steps"
        axes.hist(values, bins=edges.tolist(), color=colour, alpha=0.65, label=label)
    if wide:
        axes.set_xscale("log")
    axes.set_xlabel("length in steps")
    axes.set_ylabel("count")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    figure.legend(*axes.get_legend_handles_labels(), **LEGEND)
    save(figure, path)


def drops(path: Path, *, table: Mapping[str, Sequence], score: str, baseline: float) -> None:
    """Tokens by the drop in validation score without them, with their intervals.

    Args:
        path: of the PNG.
        table: `token`, `drop`, `low`, `high` of the tokens to show, the largest drop first.
        score: name of the score.
        baseline: score with all tokens.
    """
    tokens = [_short(token) for token in table["token"]]
    figure, axes = plt.subplots(
        figsize=(7.0, 1.2 + 0.24 * len(tokens)), dpi=DPI, layout="constrained"
    )
    drop, low, high = (np.asarray(table[key], dtype=float) for key in ("drop", "low", "high"))
    place = np.arange(len(tokens))[::-1]
    sure = low > 0
    colours = [BLUE if one else GREY for one in sure]
    axes.hlines(place, low, high, color=colours, linewidth=2, alpha=0.5)
    axes.scatter(drop, place, color=colours, s=22, zorder=3)
    axes.axvline(0, color="#50545c", linewidth=0.8)
    axes.set_yticks(place, tokens, fontsize=8)
    axes.set_ylim(-0.7, len(tokens) - 0.3)
    axes.grid(axis="x", color="#e4e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(f"drop in {score} on validation without the token (with all: {baseline:.4f})")
    axes.set_title("95 % intervals over records; blue: above 0", fontsize=9, loc="left")
    save(figure, path)


def _short(token: str) -> str:
    shown = token if token.isprintable() and token.strip() else repr(token)
    # A `$` would start a formula.
    return (shown if len(shown) <= 24 else shown[:23] + "…").replace("$", r"\$")
