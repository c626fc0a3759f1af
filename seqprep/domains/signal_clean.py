"""A recording to what is stored: times checked, holes filled, odd steps handled, one rate.

What is odd is looked for at each part's own rate, before anything is resampled; odd steps that go
are bridged by a straight line first, so that they leave no ringing behind.

Legend: T steps, C channels, G targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from seqprep.domains.signal_checks import (
    RATE_TOLERANCE,
    SAME_RATE,
    Floats,
    Marks,
    check_times,
    find_oddities,
    interpolate,
)
from seqprep.domains.signal_layout import SignalError
from seqprep.domains.signal_parts import Part, Recording, name_rates
from seqprep.domains.signal_resample import along_line, factor, length_after, nearest, resample
from seqprep.ingestion.records import Context

Targets = npt.NDArray[np.generic]


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """What is stored of a recording.

    Args:
        values: `(T, C)` float32. targets: `(T,)` or `(T, G)`, if asked for.
    """

    values: npt.NDArray[np.float32]
    targets: Targets | None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Checked:
    """A part whose values are all there, and which of its steps stay, `(T,)`; None: all."""

    part: Part
    values: Floats
    kept: Marks | None
    rate_hz: float | None


def clean(
    found: Recording, targets: Targets | None, context: Context, *, oddities: list[str]
) -> Cleaned:
    """Values and targets of one recording at the dataset's rate.

    Args:
        found: the recording.
        targets: of the steps of its first part.
        context: what was asked, and what all recordings share.
        oddities: takes the names of what is odd, also where the recording cannot be used.

    Raises:
        SignalError: if the recording cannot be used.
    """
    rate_hz = context.source.rate_hz or context.facts.rate_hz
    rate_hz = rate_hz if found.timed else None
    checked = [_check(part, found, context, rate_hz, oddities) for part in found.parts]
    goal, near = rate_hz, RATE_TOLERANCE
    if len(checked) > 1:
        near = SAME_RATE
        goal = found.rate_hz if rate_hz is None or _agree(found.rate_hz, rate_hz) else rate_hz
    changes = [_change(one, goal, near) for one in checked]
    if len(checked) == 1 and changes[0] is None:
        values, kept = checked[0].values, checked[0].kept
    else:
        oddities.append("resampled")
        values, kept, targets = _at_one_rate(found, checked, changes, targets, goal)
    if kept is not None:
        values = values[kept]
        targets = targets[kept] if targets is not None else None
    if not len(values):
        raise SignalError("empty", None, "no step is left when the odd ones are dropped")
    content = np.ascontiguousarray(values, dtype=np.float32)
    if "resampled" in oddities and not np.isfinite(content).all():
        raise SignalError("bad_number", None, "values outgrow 32 bits when they are resampled")
    return Cleaned(values=content, targets=targets)


def _check(
    part: Part, found: Recording, context: Context, rate_hz: float | None, oddities: list[str]
) -> _Checked:
    source, values, own = context.source, part.values, None
    if part.times is not None:
        if np.isnan(part.times).any():
            raise SignalError("missing_values", None, "timestamps are missing")
        wanted = None if source.mixed_rates == "resample" else rate_hz
        own = check_times(part.times, rate_hz=wanted, first_line=found.first_line)
    if np.isnan(values.min()):
        values = interpolate(values, first_line=found.first_line)
        oddities.append("interpolated_values")
    usual = rate_hz if rate_hz is not None and _agree(own, rate_hz) else own or rate_hz
    kept: Marks | None = None
    for name, policy, keep in find_oddities(values, part.times, source, rate_hz=usual):
        oddities.append(name)
        if policy == "reject":
            raise SignalError(name, None, f"source.on_{name} is reject")
        if policy == "drop":
            kept = keep if kept is None else kept & keep
    return _Checked(part=part, values=values, kept=kept, rate_hz=own)


def _agree(own_hz: float | None, rate_hz: float, near: float = RATE_TOLERANCE) -> bool:
    return own_hz is None or abs(own_hz / rate_hz - 1) <= near


def _change(one: _Checked, goal_hz: float | None, near: float) -> Fraction | None:
    """By what a part's rate is multiplied; None where it is near enough."""
    if one.rate_hz is None or goal_hz is None or _agree(one.rate_hz, goal_hz, near):
        return None
    return factor(one.rate_hz, rate_hz=goal_hz)


def _at_one_rate(
    found: Recording,
    checked: list[_Checked],
    changes: list[Fraction | None],
    targets: Targets | None,
    goal_hz: float | None,
) -> tuple[Floats, Marks | None, Targets | None]:
    """The parts side by side at one rate, the steps that stay, and their targets."""
    spans = _spans(found, checked, changes, goal_hz)
    length = spans[0].stop - spans[0].start
    values = np.empty((length, len(found.channels)), order="F")
    kept = np.ones(length, bool)
    for one, by, span in zip(checked, changes, spans, strict=True):
        values[:, one.part.places] = _resampled(one, by)[span]
        if one.kept is not None:
            kept &= (one.kept if by is None else one.kept[nearest(len(one.kept), by)])[span]
    if targets is not None and changes[0] is not None:
        by = changes[0]
        whole = np.issubdtype(targets.dtype, np.integer)
        targets = (
            targets[nearest(len(targets), by)]
            if whole
            else along_line(targets.astype(np.float64), by).astype(np.float32)
        )
    return values, kept, None if targets is None else targets[spans[0]]


def _resampled(one: _Checked, by: Fraction | None) -> Floats:
    if by is None:
        return one.values
    values = one.values
    if one.kept is not None and one.kept.any() and not one.kept.all():
        steps = np.arange(len(values))
        values = values.copy()
        for channel in values.T:
            channel[~one.kept] = np.interp(steps[~one.kept], steps[one.kept], channel[one.kept])
    return resample(values, by)


def _spans(
    found: Recording,
    checked: list[_Checked],
    changes: list[Fraction | None],
    goal_hz: float | None,
) -> list[slice]:
    """The steps of each resampled part that all parts have.

    Raises:
        SignalError: if one starts or ends more than its own sampling interval from the others.
    """
    lengths = [
        len(one.values) if by is None else length_after(len(one.values), by)
        for one, by in zip(checked, changes, strict=True)
    ]
    if len(checked) == 1:
        return [slice(0, lengths[0])]
    assert goal_hz is not None
    starts = [0.0 if one.part.times is None else float(one.part.times[0]) for one in checked]
    shifts = [round((max(starts) - start) * goal_hz) for start in starts]
    ends = [length - shift for length, shift in zip(lengths, shifts, strict=True)]
    slowest = min(one.rate_hz or goal_hz for one in checked)
    if max(max(shifts), max(ends) - min(ends)) > np.ceil(goal_hz / slowest):
        rates = [
            (one.rate_hz, [found.channels[place] for place in one.part.places]) for one in checked
        ]
        seconds = ", ".join(
            f"{start:.6g} s to {start + length / goal_hz:.6g} s"
            for start, length in zip(starts, lengths, strict=True)
        )
        raise SignalError(
            "missing_values",
            None,
            f"channels of different rates do not cover the same time: {name_rates(rates)} cover "
            f"{seconds}; cut them alike, or choose some in source.channels",
        )
    return [slice(shift, shift + min(ends)) for shift in shifts]
