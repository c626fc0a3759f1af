"""The plots of the study: training loss of all variants, and the loss of held-out records.

All variants overlaid in one panel; then one panel an optimiser, all with the same axes, where the
seeds and the range of single updates can be seen, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from flows.optimizer_study.curves import Curve, Floats, smoothed
from flows.optimizer_study.table import Trained
from flows.optimizer_study.variants import Variant
from flows.reporting.plots import BLUE, DPI, GREY, LEGEND, ORANGE, VIOLET, save

COLOURS = (GREY, BLUE, ORANGE, VIOLET, "#2f8f5b", "#b03a48", "#5b6b2f", "#2f8f9b")
COLOURS_KEPT = 256
"""In the PNG; translucent layers make thousands, and files that are too large for a run's page."""
WIDTH, HEIGHT = 3.3, 3.5
"""Of a panel, in inches."""
OF_MEAN: dict[str, Any] = {"color": "#1c2430", "linewidth": 0.8, "linestyle": ":"}
BINS = 200
"""Of the updates, in each of which the lowest and highest loss are drawn."""
Line = Callable[[Curve], tuple[Floats, Floats]]


def overlaid(
    path: Path, all_: Sequence[Trained], *, window: int, mean_loss: float | None = None
) -> None:
    """The training loss of all variants in one panel, of the first seed.

    The colour is the optimiser's, dashes are clipped, the shade is the schedule's.

    Args:
        path: of the PNG.
        all_: the variants.
        window: updates that the loss is averaged over.
        mean_loss: of always answering the mean of the training rows; None: not known.
    """
    figure, axes = plt.subplots(figsize=(2.4 * WIDTH, 1.4 * HEIGHT), dpi=DPI, layout="constrained")
    _scaled(axes)
    names = _optimizers(all_)
    schedules = list(dict.fromkeys(one.variant.schedule for one in all_))
    for one in all_:
        place = schedules.index(one.variant.schedule)
        axes.plot(
            _numbers(one.curves[0]),
            smoothed(one.curves[0].losses, window=window),
            color=COLOURS[1:][names.index(one.variant.optimizer) % (len(COLOURS) - 1)],
            linestyle="--" if one.variant.is_clipped else "-",
            linewidth=1.0 + 0.8 * (place > 0),
            alpha=1.0 if place == 0 else 0.55,
            label=one.variant.name,
        )
    if mean_loss is not None:
        axes.axhline(mean_loss, **OF_MEAN, label="always the mean")
    _label([axes], "updates", "training loss")
    figure.legend(*axes.get_legend_handles_labels(), **{**LEGEND, "ncols": 3})
    save(figure, path, colours=COLOURS_KEPT)


def training(
    path: Path, all_: Sequence[Trained], *, window: int, mean_loss: float | None = None
) -> None:
    """The training loss of all variants: its mean over a window, and the range of single updates.

    Args:
        path: of the PNG.
        all_: the variants.
        window: updates that the loss is averaged over.
        mean_loss: of always answering the mean of the training rows; None: not known.
    """
    figure, row = _panels(all_)
    for axes, one in _places(row, all_):
        axes.fill_between(*_range(one.curves[0]), color=_colour(one, all_), alpha=0.2, linewidth=0)
    if mean_loss is not None:
        for axes in row:
            axes.axhline(mean_loss, **OF_MEAN)
        row[0].plot([], [], label="always the mean", **OF_MEAN)
    _draw(row, all_, lambda c: (_numbers(c), smoothed(c.losses, window=window)), marker="")
    _label(row, "updates", "training loss")
    _legend(figure, row, all_)
    save(figure, path, colours=COLOURS_KEPT)


def held_out(path: Path, all_: Sequence[Trained], *, by: Literal["updates", "seconds"]) -> None:
    """The loss of validation records after each epoch.

    Args:
        path: of the PNG.
        all_: the variants.
        by: what it is drawn against; seconds are of learning, on a log scale.
    """
    figure, row = _panels(all_)
    if by == "updates":
        _draw(row, all_, lambda curve: (curve.epochs, curve.held_out), marker="o")
        _label(row, "updates", "validation loss")
    else:
        _draw(row, all_, lambda curve: (_seconds(curve), curve.held_out), marker="o")
        _label(row, "seconds of learning", "validation loss")
        for axes in row:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
    _legend(figure, row, all_)
    save(figure, path, colours=COLOURS_KEPT)


def _range(curve: Curve) -> tuple[Floats, Floats, Floats]:
    """Updates, and the lowest and highest loss from each to the next."""
    edges = np.unique(np.linspace(0, len(curve.losses), BINS + 1).astype(int))[:-1]
    low, high = (reduce.reduceat(curve.losses, edges) for reduce in (np.fmin, np.fmax))
    return edges + 1.0, low, high


def _numbers(curve: Curve) -> Floats:
    return np.arange(1.0, len(curve.losses) + 1)


def _seconds(curve: Curve) -> Floats:
    """Of learning until the end of each epoch."""
    return curve.seconds[curve.epochs.astype(int) - 1]


def _panels(all_: Sequence[Trained]) -> tuple[Figure, list[Axes]]:
    """Panels, one an optimiser, all with the same log scale of the loss."""
    optimizers = _optimizers(all_)
    figure, grid = plt.subplots(
        1,
        len(optimizers),
        figsize=(WIDTH * max(2, len(optimizers)), HEIGHT),
        dpi=DPI,
        layout="constrained",
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    for axes, name in zip(grid[0], optimizers, strict=True):
        axes.set_title(name, fontsize=10, loc="left")
        _scaled(axes)
    return figure, list(grid[0])


def _scaled(axes: Axes) -> None:
    """A log scale of the loss with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e4e6ea", linewidth=0.8)


def _optimizers(all_: Sequence[Trained]) -> list[str]:
    return list(dict.fromkeys(one.variant.optimizer for one in all_))


def _places(row: Sequence[Axes], all_: Sequence[Trained]) -> list[tuple[Axes, Trained]]:
    """Each variant with its optimiser's panel."""
    names = _optimizers(all_)
    return [(row[names.index(one.variant.optimizer)], one) for one in all_]


def _draw(row: Sequence[Axes], all_: Sequence[Trained], line: Line, *, marker: str) -> None:
    """A line a variant, of its first seed bold and of the others thin."""
    for axes, one in _places(row, all_):
        for number, curve in enumerate(one.curves):
            width, size = (1.6, 3) if number == 0 else (0.7, 0)
            axes.plot(
                *line(curve),
                color=_colour(one, all_),
                linewidth=width,
                linestyle="--" if one.variant.is_clipped else "-",
                marker=marker,
                markersize=size,
            )


def _ways(all_: Sequence[Trained]) -> list[tuple[str, str]]:
    """Pairs of schedule and clip, in order."""
    return list(dict.fromkeys((one.variant.schedule, one.variant.clip) for one in all_))


def _colour(one: Trained, all_: Sequence[Trained]) -> str:
    place = _ways(all_).index((one.variant.schedule, one.variant.clip))
    return COLOURS[place % len(COLOURS)]


def _label(row: Sequence[Axes], x: str, y: str) -> None:
    for axes in row:
        axes.set_xlabel(x)
    row[0].set_ylabel(y)


def _legend(figure: Figure, row: Sequence[Axes], all_: Sequence[Trained]) -> None:
    """What the colours mean, once for all panels."""
    for (schedule, clip), colour in zip(_ways(all_), COLOURS, strict=False):
        way = Variant(optimizer="", clip=clip, schedule=schedule)
        name, style = way.name.removeprefix(" + ") or "plain", "--" if way.is_clipped else "-"
        row[0].plot([], [], color=colour, linestyle=style, label=name)
    figure.legend(*row[0].get_legend_handles_labels(), **{**LEGEND, "ncols": 5})
