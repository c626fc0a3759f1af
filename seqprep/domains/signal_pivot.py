"""Samples of single channels, in any order of channels, put side by side as steps.

Channels of one rate share their steps; one that lacks samples there is refused or gets holes that
are interpolated. Loops run over channels, never over samples.

Legend: N samples, T steps, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from seqprep.domains.signal_checks import RATE_TOLERANCE, SAME_RATE, Floats, median_rate_hz
from seqprep.domains.signal_layout import SignalError
from seqprep.domains.signal_parts import Part, name_rates

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """The rows of a long table.

    Args:
        times: `(N,)` seconds, or numbers of samples. values: `(N,)`, NaN where one is missing.
        codes: `(N,)` which channel; -1 for one that is not read.
        names: of the channels. first_line: the file's line of row 0.
    """

    times: Floats
    values: Floats
    codes: npt.NDArray[np.int16]
    names: tuple[str, ...]
    first_line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """Which rows belong to each step of a part.

    Args:
        order: `(M,)` the rows of the channels that are read. times: `(M,)` of these.
        chosen: `(T,)` the part's times.
        first_line: the file's line of row 0.
    """

    order: Ints
    times: Floats
    chosen: Floats
    first_line: int

    def rows(self, column: pl.Series) -> Ints:
        """A row for each step, after checking that `column` is the same in all of a step, `(T,)`.

        Raises:
            SignalError: if two channels have different cells at one time.
        """
        every, step = np.unique(self.times, return_inverse=True)
        row = np.zeros(len(every), np.int64)
        row[step[::-1]] = self.order[::-1]
        differ = column.gather(self.order).ne_missing(column.gather(row[step])).to_numpy()
        if differ.any():
            line = self.first_line + int(self.order[differ].min())
            detail = "two channels have different targets at one time"
            raise SignalError("bad_target", line, detail)
        return row[np.searchsorted(every, self.chosen)]


def pivot(
    samples: Samples,
    *,
    missing: Literal["reject", "interpolate"],
    mixed_rates: Literal["reject", "resample"],
) -> tuple[tuple[Part, ...], Steps]:
    """The parts of a recording, the fastest first, and the rows of the first one's steps.

    Raises:
        SignalError: if time runs backwards in a channel, a sample stands there twice, one is
            lacking, or channels of different rates may not be mixed.
    """
    order = np.argsort(samples.codes, kind="stable")
    order = order[np.searchsorted(samples.codes[order], 0) :]
    bounds = np.searchsorted(samples.codes[order], np.arange(len(samples.names) + 1))
    times = samples.times[order]
    _check_order(samples, order, times)
    spans = [slice(bounds[code], bounds[code + 1]) for code, _ in enumerate(samples.names)]
    groups = [list(range(len(spans)))]
    if not _alike([times[span] for span in spans]):
        groups = _by_rate([_own_rate(times[span]) for span in spans])
    if len(groups) > 1 and mixed_rates == "reject":
        rates = [
            (median_rate_hz(times[spans[group[0]]]), [samples.names[code] for code in group])
            for group in groups
        ]
        raise SignalError(
            "wrong_rate",
            None,
            f"channels have different rates: {name_rates(rates)}; set source.mixed_rates: resample "
            "or choose some in source.channels",
        )
    parts = tuple(_part(samples, order, times, spans, group, missing) for group in groups)
    first = parts[0].times
    assert first is not None
    steps = Steps(order=order, times=times, chosen=first, first_line=samples.first_line)
    return parts, steps


def _check_order(samples: Samples, order: Ints, times: Floats) -> None:
    """Refuse samples that stand twice, then time that runs backwards in a channel."""
    codes = samples.codes[order]
    steps, same = np.diff(times), np.diff(codes) == 0
    if not ((steps <= 0) & same).any():
        return
    ranked = np.lexsort((order, times, codes))
    again = (np.diff(times[ranked]) == 0) & (np.diff(codes[ranked]) == 0)
    found = order[ranked[1:][again]] if again.any() else order[1:][(steps < 0) & same]
    row = int(found.min())
    channel, time = samples.names[samples.codes[row]], float(samples.times[row])
    line = samples.first_line + row
    if again.any():
        detail = (
            f"channel {channel!r} has a second sample at {time!r}, the first of {len(found)} such; "
            "remove one, or number the samples and set source.sample_column"
        )
        raise SignalError("duplicate_sample", line, detail)
    detail = f"{len(found)} timestamps run backwards, first {time!r} of channel {channel!r}"
    raise SignalError("timestamp_order", line, detail)


def _alike(times: Sequence[Floats]) -> bool:
    """Whether all channels have the same times."""
    return all(np.array_equal(one, times[0]) for one in times[1:])


def _own_rate(times: Floats) -> float | None:
    """A channel's rate; None where most of its intervals are others, because samples are lacking.

    >>> _own_rate(np.array([0.0, 0.5, 1.0])), _own_rate(np.array([0.0, 1.0, 1.5]))
    (2.0, None)
    """
    rate = median_rate_hz(times)
    if rate is None:
        return None
    regular = np.abs(np.diff(times) * rate - 1) <= RATE_TOLERANCE
    return rate if 2 * np.count_nonzero(regular) >= len(regular) else None


def _by_rate(rates: Sequence[float | None]) -> list[list[int]]:
    """Channels by rate, the fastest first; those without a rate join the largest group.

    >>> _by_rate([50.0, 256.0, None, 256.1, 256.0])
    [[1, 2, 3, 4], [0]]
    """
    known = sorted((-rate, code) for code, rate in enumerate(rates) if rate is not None)
    groups: list[list[int]] = []
    fastest = 0.0
    for rate, code in known:
        if not groups or abs(rate / fastest - 1) > SAME_RATE:
            groups.append([])
            fastest = rate
        groups[-1].append(code)
    groups = groups or [[]]
    max(groups, key=len).extend(code for code, rate in enumerate(rates) if rate is None)
    return [sorted(group) for group in groups]


def _check_shared(
    samples: Samples, group: Sequence[int], own: Sequence[Floats], every: Floats
) -> None:
    """Refuse channels whose samples lie between each other's, rather than being absent."""
    rate = max((median_rate_hz(one) or 0.0 for one in own), default=0.0)
    together = median_rate_hz(every) or 0.0
    if together > rate * (1 + RATE_TOLERANCE) > 0:
        names = ", ".join(samples.names[code] for code in group[:8])
        raise SignalError(
            "missing_values",
            None,
            f"channels {names} have samples at times of their own ({rate:.6g} Hz each, "
            f"{together:.6g} Hz together); give samples of one moment the same time",
        )


def _part(
    samples: Samples,
    order: Ints,
    times: Floats,
    spans: Sequence[slice],
    group: Sequence[int],
    missing: Literal["reject", "interpolate"],
) -> Part:
    own = [times[spans[code]] for code in group]
    every = own[0]
    if not _alike(own):
        every = np.unique(np.concatenate(own))
        _check_shared(samples, group, own, every)
        _check_whole(samples, group, own, every, missing)
    values = np.full((len(every), len(group)), np.nan, order="F")
    for place, code in enumerate(group):
        at = slice(None) if len(own[place]) == len(every) else np.searchsorted(every, own[place])
        values[at, place] = samples.values[order[spans[code]]]
    return Part(values=values, times=every, places=tuple(group))


def _check_whole(
    samples: Samples,
    group: Sequence[int],
    own: Sequence[Floats],
    every: Floats,
    missing: Literal["reject", "interpolate"],
) -> None:
    """Refuse what lacks samples, or more than half of them where they are interpolated."""
    place = min(range(len(own)), key=lambda place: len(own[place]))
    enough = 2 * sum(map(len, own)) >= len(every) * len(own)
    if missing == "interpolate" and enough:
        return
    lacking = np.setdiff1d(every, own[place], assume_unique=True)
    time = float(lacking[0])
    advice = "set source.missing: interpolate or mend the file"
    if missing == "interpolate":
        advice = "over half of all samples are lacking, too many to interpolate"
    raise SignalError(
        "missing_values",
        samples.first_line + int(np.flatnonzero(samples.times == time)[0]),
        f"channel {samples.names[group[place]]!r} lacks {len(lacking)} of {len(every)} samples, "
        f"the first at {time!r}; {advice}",
    )
