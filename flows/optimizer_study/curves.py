"""The course of one training from its events: losses, time, and figures that compare two of them.

Legend: U updates, E epochs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flows.references import Json
from flows.reporting.reports import read_events
from seqprep.errors import CorruptError

Floats = npt.NDArray[np.float64]
SETTLED = 0.1
"""Share of the updates after which a jump is late: before, the loss falls by orders, and jumps."""
SPIKE = 2.0
"""A loss this many times the median of those just before it is a spike."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One training.

    Args:
        losses: `(U,)` of training, one an update; NaN where it was not finite.
        seconds, steps: `(U,)` of learning until then, without validation; steps that were read.
        epochs: `(E,)` updates at whose end validation was scored. held_out: `(E,)` its loss.
        clipped_share: of the updates, whose gradient was over its limit.
        segments: numbers of segments that were trained with; () for whole rows throughout.
    """

    losses: Floats
    seconds: Floats
    steps: Floats
    epochs: Floats
    held_out: Floats
    clipped_share: float
    segments: tuple[int, ...]


def read_curve(folder: Path) -> Curve:
    """The course of a training that is done.

    Raises:
        CorruptError: if its events do not tell of every update.
    """
    path = folder / "metrics.jsonl"
    events = read_events(path)
    lines = [event for event in events if event["event"] == "progress"]
    epochs = [event for event in events if event["event"] == "epoch"]
    losses = [loss for line in lines for loss in line.get("losses", ())]
    updates = np.arange(1, len(losses) + 1)
    told = [0, *(line["update"] for line in lines)]
    if not epochs or len(losses) != epochs[-1]["update"]:
        raise CorruptError(
            f"{path}: it tells {len(losses):,} losses, not one of every update; delete {folder} to "
            "train it again"
        )
    steps = [0, *(line["steps"] for line in lines)]
    seconds = [0.0, *(line["steps"] / line["real_steps_per_s"] for line in lines)]
    return Curve(
        losses=_floats(losses),
        seconds=np.interp(updates, told, seconds),
        steps=np.interp(updates, told, steps),
        epochs=_floats([epoch["update"] for epoch in epochs]),
        held_out=_floats([epoch["validation_loss"] for epoch in epochs]),
        clipped_share=_clipped_share(epochs),
        segments=tuple(
            dict.fromkeys(e["segments"]["segments"] for e in epochs if e.get("segments"))
        ),
    )


def _floats(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _clipped_share(epochs: Sequence[Json]) -> float:
    """Over all updates; each epoch's event tells its own share."""
    updates = np.diff([0, *(epoch["update"] for epoch in epochs)])
    shares = np.array([epoch["clipped_share"] for epoch in epochs])
    return float((updates * shares).sum() / updates.sum())


def largest_jump(losses: Floats, *, after: int = 0) -> tuple[float, int]:
    """The largest rise of the loss from an update to the next, and the number of the latter.

    A loss that is not finite is infinitely far up.

    Args:
        losses: of the updates.
        after: updates at the beginning that do not count.

    >>> largest_jump(np.array([1.0, 0.5, 0.75, 0.25]))
    (0.25, 3)
    """
    losses = losses[after:]
    found = np.where(np.isnan(losses), np.inf, losses)
    with np.errstate(invalid="ignore"):  # from one that is not finite to the next
        rises = np.nan_to_num(np.diff(found), nan=0.0, posinf=np.inf)
    if not len(rises) or rises.max() <= 0:
        return 0.0, 0
    return float(rises.max()), int(rises.argmax()) + 2 + after


def spikes(losses: Floats, *, window: int) -> int:
    """Updates whose loss is over SPIKE times the median of the `window` before, or not finite.

    Neighbours are one spike.

    >>> spikes(np.array([1.0, 1.0, 3.0, 4.0, 1.0, 1.0, 2.5]), window=2)
    2
    """
    found = np.where(np.isnan(losses), np.inf, losses)
    if len(found) <= window:
        return 0
    before = np.lib.stride_tricks.sliding_window_view(found, window)[:-1]
    high = found[window:] > SPIKE * np.median(before, axis=1)
    high |= np.isinf(found[window:])
    return int(high[0]) + int((high[1:] & ~high[:-1]).sum())


def smoothed(losses: Floats, *, window: int) -> Floats:
    """The mean of the last `window` finite losses at each update; NaN while there are fewer.

    >>> smoothed(np.array([4.0, 2.0, 0.0]), window=2).tolist()
    [nan, 3.0, 1.0]
    """
    real = ~np.isnan(losses)
    sums = np.concatenate([[0.0], np.cumsum(np.where(real, losses, 0.0))])
    counts = np.concatenate([[0], np.cumsum(real)])
    mean = np.full(len(losses), np.nan)
    number = counts[window:] - counts[:-window]
    total = sums[window:] - sums[:-window]
    mean[window - 1 :] = np.divide(total, number, where=number > 0, out=np.full(len(total), np.nan))
    return mean
