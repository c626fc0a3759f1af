"""The plot of gradients by lag: how far back a trained model looks, for a reader without formulas.

Like `plots`: one function a plot, plain numbers and a path in, the same bytes each time out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from flows.reporting.plots import BLUE, LEGEND, ORANGE, new_figure, save

Floats = npt.NDArray[np.float64]
DECADES = 8.0
"""So far below the highest value the axis goes at most; what lies deeper is nothing."""


def by_lag(
    path: Path, *, bins: Mapping[str, Sequence[float]], reach: Mapping[float, int], title: str
) -> None:
    """Gradient norm against the distance from a record's end, both logarithmic.

    Args:
        path: of the PNG.
        bins: columns `from_lag`, `to_lag`, `mean`, `q25`, `median`, `q75`.
        reach: for some shares, how many last steps hold that share of the gradient.
        title: whose gradient it is.
    """
    figure, axes = new_figure(7.6, 4.4)
    draw(axes, bins=bins, reach=reach, title=title)
    figure.legend(*axes.get_legend_handles_labels(), **LEGEND)
    save(figure, path)


def draw(
    axes: Axes, *, bins: Mapping[str, Sequence[float]], reach: Mapping[float, int], title: str
) -> None:
    """The same into a pair of axes, for a figure of more than one.

    Args:
        axes: to draw into.
        bins: see `by_lag`.
        reach: see `by_lag`.
        title: whose gradient it is.
    """
    column = {name: np.asarray(values, dtype=np.float64) for name, values in bins.items()}
    # counted from 1, the last step, since a logarithmic axis has no 0
    place = np.sqrt((column["from_lag"] + 1) * (column["to_lag"] + 1))
    highest = max(float(column["mean"].max()), float(column["q75"].max()))
    floor = _floor(column, highest)
    low, high = np.maximum(column["q25"], floor), np.maximum(column["q75"], floor)
    axes.fill_between(
        place,
        low,
        high,
        color=BLUE,
        alpha=0.18,
        linewidth=0,
        label="half of the records lie in here",
    )
    for name, style in (("median", "-"), ("mean", ":")):
        shown = np.where(column[name] > floor, column[name], np.nan)
        label = "median record" if name == "median" else "mean of the records"
        axes.plot(place, shown, style, color=BLUE, marker="o", markersize=3, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    last = float(column["to_lag"].max()) + 1
    axes.set_xlim(0.85, max(last, 2) * 1.15)
    axes.set_ylim(floor, max(highest, floor) * 3)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel("how far back: steps from the record's end (1 is the last step)")
    axes.set_ylabel(f"how much a step sways the output\n(gradient of the {title})", fontsize=9)
    axes.set_title("How far back does the model look?", fontsize=10, loc="left")
    _mark(axes, reach, last)
    _dead(axes, column, place, floor)


def _floor(column: Mapping[str, Floats], highest: float) -> float:
    """Where the axis begins: a little below the lowest quartile, not deeper than DECADES."""
    positive = np.concatenate([column[name] for name in ("q25", "median", "mean")])
    positive = positive[positive > 0]
    if not len(positive):
        return 1e-8
    return max(float(positive.min()) / 3, highest * 10**-DECADES)


def _mark(axes: Axes, reach: Mapping[float, int], last: float) -> None:
    """Lines at the reach of each share, named beside them."""
    for number, (share, steps) in enumerate(sorted(reach.items())):
        if not steps:
            continue
        axes.axvline(steps, color=ORANGE, linewidth=1, linestyle="--")
        text = f"{100 * share:.0f} % of all sway: last {steps:,} step{'' if steps == 1 else 's'} "
        right = steps > last**0.5  # the text goes where there is room for it
        axes.annotate(
            text if right else f" {text}",
            (steps, 0.02 + 0.055 * number),
            xycoords=axes.get_xaxis_transform(),
            ha="right" if right else "left",
            fontsize=8,
            color=ORANGE,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
        )


def _dead(axes: Axes, column: Mapping[str, Floats], place: Floats, floor: float) -> None:
    """Bins in which no record has any gradient to speak of."""
    dead = column["mean"] <= floor
    if dead.any():
        label = "none (0, or too small to teach)"
        axes.plot(place[dead], np.full(int(dead.sum()), floor * 1.3), "x", color="#c2405a")
        axes.plot([], [], "x", color="#c2405a", label=label)
