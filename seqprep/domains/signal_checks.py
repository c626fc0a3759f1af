"""What is odd about a recording: gaps, railed, extreme and constant values; and filling what lacks.

Legend: T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqprep.domains.signal_layout import SignalError
from seqprep.source import Oddity, Source

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

GAP = 1.5
"""Steps further apart than this many sampling intervals have a gap between them."""
RAILED_STEPS = 5
"""A value at the channel's limit for this many steps or more is railed."""
EXTREME = 30.0
"""Robust deviations from the median that make a value extreme."""
RATE_TOLERANCE = 0.05
"""Share by which a recording's rate may differ from the stated one."""
SAME_RATE = 0.002
"""Share by which rates of channels of one recording may differ and be one rate."""
_MAD_TO_SD = 1.4826
_SAMPLE_STEPS = 1024


def median_rate_hz(times_T: Floats) -> float | None:
    """Steps a second by the median interval; by the mean where stamps are too coarse for that."""
    if len(times_T) < 2:
        return None
    interval = float(np.median(np.diff(times_T)))
    if interval <= 0:
        interval = float(times_T[-1] - times_T[0]) / (len(times_T) - 1)
    return 1.0 / interval if interval > 0 else None


def check_times(times_T: Floats, *, rate_hz: float | None, first_line: int) -> float | None:
    """The recording's own rate in hertz, None where two stamps are lacking.

    Raises:
        SignalError: if time runs backwards or the rate is another than `rate_hz`.
    """
    steps = np.diff(times_T)
    backwards = np.flatnonzero(steps < 0)
    if len(backwards):
        at = int(backwards[0]) + 1
        detail = f"{len(backwards)} timestamps run backwards, first {times_T[at]!r} at step {at}"
        raise SignalError("timestamp_order", first_line + at, detail)
    own = median_rate_hz(times_T)
    if own is not None and rate_hz is not None and abs(own / rate_hz - 1) > RATE_TOLERANCE:
        detail = f"{own:.6g} Hz by its timestamps, expected {rate_hz:.6g} Hz"
        raise SignalError("wrong_rate", None, detail)
    return own


def gaps(times_T: Floats, *, rate_hz: float) -> npt.NDArray[np.int64]:
    """The steps before which there is a gap."""
    return np.flatnonzero(np.diff(times_T) > GAP / rate_hz) + 1


class Limits(NamedTuple):
    """The lowest and the highest value of each channel, `(C,)`."""

    low: Floats
    high: Floats

    @classmethod
    def of(cls, values_TC: Floats) -> Limits:
        """Of a signal."""
        return cls(values_TC.min(axis=0), values_TC.max(axis=0))


def constant(values_TC: Floats, limits: Limits) -> Marks:
    """Which channels never change, `(C,)`; a single step says nothing."""
    return (limits.low == limits.high) & (len(values_TC) > 1)


def railed(values_TC: Floats, limits: Limits) -> Marks:
    """Which values stay at their channel's limit for several steps, `(T, C)`."""
    marks = np.zeros(values_TC.shape, bool)
    for channel in np.flatnonzero(~constant(values_TC, limits)):
        column = values_TC[:, channel]
        at_limit = (column == limits.low[channel]) | (column == limits.high[channel])
        if np.count_nonzero(at_limit) >= RAILED_STEPS:
            same = np.diff(column, prepend=np.nan) == 0
            run = np.cumsum(~same) - 1
            sizes = np.bincount(run)
            marks[:, channel] = at_limit & (sizes[run] >= RAILED_STEPS)
    return marks


def extreme(values_TC: Floats, limits: Limits) -> Marks:
    """Which values lie over 30 robust deviations from their channel's median, `(T, C)`."""
    marks = np.zeros(values_TC.shape, bool)
    for channel in np.flatnonzero(limits.low < limits.high):
        column = values_TC[:, channel]
        if none_extreme(column, float(limits.low[channel]), float(limits.high[channel])):
            continue
        distance = np.abs(column - np.median(column))
        deviation = _MAD_TO_SD * np.median(distance)
        if deviation > 0:
            marks[:, channel] = distance > EXTREME * deviation
    return marks


def none_extreme(column_T: Floats, low: float, high: float) -> bool:
    """Whether no value can be extreme, shown by counting alone; most channels need no sorting.

    No value is further from the median than `high - low`; so none is extreme where over half of
    them are at least `reach`, that distance over 30 deviations, from the median. If under half are
    more than `reach` below a centre, and under half above, the median lies within `reach` of the
    centre, and what is less than `reach` from it is less than twice that from the centre.
    """
    count = len(column_T)
    # A thousandth more than needed, and no tighter than that: rounding must not decide.
    reach = 1.001 * (high - low) / (EXTREME * _MAD_TO_SD)
    if reach < 1e-12 * max(abs(low), abs(high)):
        return False
    sample = column_T[:: count // _SAMPLE_STEPS + 1]
    centre = np.partition(sample, len(sample) // 2)[len(sample) // 2]
    if 2 * np.count_nonzero(column_T < centre - reach) >= count:
        return False
    if 2 * np.count_nonzero(column_T > centre + reach) >= count:
        return False
    near = np.count_nonzero(column_T < centre + 2 * reach)
    return bool(2 * (near - np.count_nonzero(column_T <= centre - 2 * reach)) < count)


def interpolate(values_TC: Floats, *, first_line: int) -> Floats:
    """NaN filled on a straight line between its neighbours; at the ends by the nearest value.

    Raises:
        SignalError: if a channel holds nothing at all.
    """
    filled = values_TC.copy()
    steps = np.arange(len(values_TC))
    for channel in np.flatnonzero(np.isnan(values_TC).any(axis=0)):
        known = ~np.isnan(values_TC[:, channel])
        if not known.any():
            raise SignalError("missing_values", first_line, f"channel {channel} holds no value")
        filled[:, channel] = np.interp(steps, steps[known], values_TC[known, channel])
    return filled


def longest_stretch(gap_steps: npt.NDArray[np.int64], length: int) -> slice:
    """The longest run of steps without a gap; the first of equally long ones."""
    edges = np.concatenate([[0], gap_steps, [length]])
    widest = int(np.argmax(np.diff(edges)))
    return slice(int(edges[widest]), int(edges[widest + 1]))


def find_oddities(
    values_TC: Floats, times_T: Floats | None, source: Source, *, rate_hz: float | None
) -> Iterator[tuple[str, Oddity, Marks]]:
    """Each oddity that a recording has, the policy on it, and the steps to keep under `drop`.

    The steps `(T,)` of a constant channel are all: it cannot be dropped from one record only.
    """
    everything = np.ones(len(values_TC), bool)
    limits = Limits.of(values_TC)
    if times_T is not None and rate_hz is not None:
        found = gaps(times_T, rate_hz=rate_hz)
        if len(found):
            kept = ~everything
            kept[longest_stretch(found, len(everything))] = True
            yield "timestamp_gaps", source.on_timestamp_gaps, kept
    if constant(values_TC, limits).any():
        yield "constant_channel", source.on_constant_channel, everything
    for name, policy, marks in (
        ("railed_values", source.on_railed_values, railed(values_TC, limits)),
        ("extreme_values", source.on_extreme_values, extreme(values_TC, limits)),
    ):
        if marks.any():
            yield name, policy, np.logical_not(marks.any(axis=1))
