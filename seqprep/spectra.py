"""Filters, resampling and power spectra of ragged rows of values, by scipy.signal.

Rows of one length go through SciPy together, in blocks of bounded size; results are float32 and do
not depend on which rows stand together. No Python loop over rows of one length, or over steps.

Legend: R rows, N steps of all rows together, T steps of a row, F channels, B windows, Q bins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqprep.blocks import Spans
from seqprep.kernels import ranges, to_offsets
from seqprep.ragged import Ints, Ragged

Floats = npt.NDArray[np.float64]
Phase = Literal["zero", "causal"]
Taper = Literal["hann", "hamming", "blackman", "boxcar"]
TAPERS: tuple[Taper, ...] = ("hann", "hamming", "blackman", "boxcar")


def scipy_signal() -> ModuleType:
    """scipy.signal, loaded by those who filter: it takes a second to import."""
    from scipy import signal

    return signal


_BLOCK_BYTES = 4 * 2**20
"""Values of so many bytes, as float64, go through SciPy at a time; a longer row goes alone."""


def filter_rows(rows: Ragged, sections: Floats, *, phase: Phase) -> Ragged:
    """Each row and channel through a filter, begun as if its first value had always been there.

    Args:
        rows: `(N, F)`.
        sections: `(S, 6)` second-order sections.
        phase: `zero` filters forwards and backwards, over ends that are continued by odd
            reflection; `causal` filters forwards.
    """

    def zero(block_RTF: Floats) -> Floats:
        reach = min(_reach(sections), block_RTF.shape[1] - 1)
        return scipy_signal().sosfiltfilt(sections, block_RTF, axis=1, padlen=reach)

    def causal(block_RTF: Floats) -> Floats:
        steady = scipy_signal().sosfilt_zi(sections)[:, None, :, None] * block_RTF[None, :, :1]
        return scipy_signal().sosfilt(sections, block_RTF, axis=1, zi=steady)[0]

    return _by_length(rows, zero if phase == "zero" else causal, rows.lengths)


def _reach(sections: Floats) -> int:
    """The steps by which SciPy continues each end of a row that is long enough."""
    plain = min(int((sections[:, 2] == 0).sum()), int((sections[:, 5] == 0).sum()))
    return 3 * (2 * len(sections) + 1 - plain)


def resample_rows(rows: Ragged, *, up: int, down: int) -> Ragged:
    """Each row and channel at `up / down` times its rate: ceil(T x up / down) steps.

    The line through a row's first and last value is taken off before and put back after, so that
    its ends have no edge, and its level no ripple.

    Args:
        rows: `(N, F)`.
        up: steps of the result
        down: for so many steps.
    """
    taps = _low_pass(max(up, down))

    def change(block_RTF: Floats) -> Floats:
        steps = block_RTF.shape[1]
        first = block_RTF[:, :1]
        slope = (block_RTF[:, -1:] - first) / max(steps - 1, 1)
        flat = block_RTF - (first + slope * np.arange(steps)[:, None])
        changed = scipy_signal().resample_poly(flat, up, down, axis=1, window=taps)
        return changed + first + slope * (np.arange(changed.shape[1]) * down / up)[:, None]

    return _by_length(rows, change, resampled(rows.lengths, up=up, down=down))


def resampled(lengths: Ints, *, up: int, down: int) -> Ints:
    """Lengths of rows after `resample_rows`.

    >>> resampled(np.array([0, 1, 10]), up=2, down=3).tolist()
    [0, 1, 7]
    """
    return -(-lengths * up // down)


@lru_cache(maxsize=8)
def _low_pass(factor: int) -> Floats:
    """SciPy's own filter for resampling, designed once."""
    return scipy_signal().firwin(20 * factor + 1, 1 / factor, window=("kaiser", 5.0))


def _by_length(rows: Ragged, function: Callable[[Floats], Floats], lengths: Ints) -> Ragged:
    """Blocks of rows of one length `(R, T, F)` through a function; `lengths` are those after it."""
    offsets, width = to_offsets(lengths), rows.values.shape[1]
    result = np.empty((int(offsets[-1]), width), dtype=np.float32)
    order = np.argsort(rows.lengths, kind="stable")
    for block in _blocks(rows.lengths[order], width):
        chosen = order[block]
        steps = rows.lengths[chosen]
        dense = rows.values[ranges(rows.offsets[chosen], steps)].astype(np.float64)
        changed = function(dense.reshape(len(chosen), int(steps[0]), width))
        result[ranges(offsets[chosen], lengths[chosen])] = changed.reshape(-1, width)
    return Ragged(result, offsets)


def _blocks(lengths: Ints, width: int) -> Iterator[slice]:
    """Slices of rows of one length, at least one step, that are not too large together."""
    steps, starts = np.unique(lengths, return_index=True)
    ends = np.append(starts[1:], len(lengths))
    for length, start, end in zip(steps.tolist(), starts.tolist(), ends.tolist(), strict=True):
        if length:
            many = max(_BLOCK_BYTES // (8 * width * length), 1)
            yield from (slice(at, min(at + many, end)) for at in range(start, end, many))


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """Windows of values whose spectra are taken.

    Args:
        window: steps of each. hop: steps from one to the next.
        rate_hz: steps a second. taper: that fades the ends of a window out.
    """

    window: int
    hop: int
    rate_hz: float
    taper: Taper

    @property
    def bins_hz(self) -> Floats:
        """The frequencies of a spectrum, `(Q,)`, from 0 to half the rate."""
        bins = np.arange(self.window // 2 + 1, dtype=np.float64)
        return bins * np.float64(self.rate_hz / self.window)

    def power(self, values: npt.NDArray[np.generic], spans: Spans) -> Iterator[tuple[int, Floats]]:
        """One-sided power density of the windows, in blocks: (number of the first, `(B, Q, F)`).

        Each window's mean is taken off. One with fewer steps is filled with zeros after that.

        Args:
            values: `(N, F)`.
            spans: of at most `window` steps.
        """
        many = max(_BLOCK_BYTES // (8 * self.window * values.shape[1]), 1)
        place = np.arange(self.window)
        for first in range(0, len(spans), many):
            starts, sizes = spans.starts[first : first + many], spans.sizes[first : first + many]
            index = starts[:, None] + np.minimum(place, sizes[:, None] - 1)
            inside = (place < sizes[:, None])[:, :, None]
            frames_BTF = np.where(inside, values[index].astype(np.float64), 0)
            frames_BTF -= frames_BTF.sum(axis=1, keepdims=True) / sizes[:, None, None]
            yield first, self._density(np.where(inside, frames_BTF, 0))

    def _density(self, frames_BTF: Floats) -> Floats:
        _, power_BQF = scipy_signal().periodogram(
            frames_BTF,
            fs=self.rate_hz,
            window=self.taper,
            detrend=False,
            scaling="density",
            axis=1,
        )
        return np.asarray(power_BQF, dtype=np.float64)
