"""Spans of ragged rows that are merged to one step each: blocks, windows, segments.

Use it where a technique makes one step of several, so that steps and their targets are merged by
the same spans. Spans may overlap, and none crosses from one row into the next. No Python loop over
rows, steps or spans.

Legend: R rows, N steps of all rows together, B spans, F features of a step, K target channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqprep.kernels import ranges, to_offsets
from seqprep.ragged import Ints, Ragged
from seqprep.schema import IGNORED_LABEL

Floats = npt.NDArray[np.float64]
Merge = Literal["last", "mean", "majority"]
"""The target of a merged step: that of its last step, the mean, or the most frequent label."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spans:
    """Spans of R rows, those of a row one after the other.

    Args:
        starts: `(B,)` flat, in steps. sizes: `(B,)` in steps, at least 1.
        offsets: `(R + 1,)` in spans; row r has spans `offsets[r]` up to `offsets[r + 1]`.
    """

    starts: Ints
    sizes: Ints
    offsets: Ints

    def __len__(self) -> int:
        return len(self.starts)


def block_spans(offsets: Ints, *, block: int) -> Spans:
    """Consecutive blocks of each row; the last one has the steps that are left.

    Args:
        offsets: `(R + 1,)` of the rows, in steps.
        block: steps of a block.

    >>> spans = block_spans(np.array([0, 5, 5, 6]), block=2)
    >>> spans.starts.tolist(), spans.sizes.tolist(), spans.offsets.tolist()
    ([0, 2, 4, 5], [2, 2, 1, 1], [0, 3, 3, 4])
    """
    return window_spans(offsets, window=block, stride=block, tail=True)


def window_spans(offsets: Ints, *, window: int, stride: int, tail: bool) -> Spans:
    """Windows of each row that begin every `stride` steps; a row without steps has none.

    Args:
        offsets: `(R + 1,)` of the rows, in steps.
        window: steps of a window; a shorter row is one window.
        stride: steps from one window's start to the next's.
        tail: whether steps after the last whole window make another, shorter one.

    >>> window_spans(np.array([0, 7]), window=4, stride=2, tail=True).sizes.tolist()
    [4, 4, 3]
    >>> window_spans(np.array([0, 7]), window=4, stride=2, tail=False).sizes.tolist()
    [4, 4]
    """
    lengths = np.diff(offsets)
    spare = np.maximum(lengths - window, 0)
    counts = np.where(lengths > 0, 1 + (-(-spare // stride) if tail else spare // stride), 0)
    number = ranges(np.zeros_like(counts), counts)
    left = np.repeat(lengths, counts) - number * stride
    return Spans(
        starts=np.repeat(offsets[:-1], counts) + number * stride,
        sizes=np.minimum(left, window),
        offsets=to_offsets(counts),
    )


def segment_spans(offsets: Ints, *, segments: int) -> Spans:
    """Each row in so many parts of about the same size; a row with fewer steps in single steps.

    Part i of a row of T steps begins at step floor(i x T / segments).

    >>> segment_spans(np.array([0, 5, 7]), segments=3).sizes.tolist()
    [1, 2, 2, 1, 1]
    """
    lengths = np.diff(offsets)
    counts = np.minimum(lengths, segments)
    number = ranges(np.zeros_like(counts), counts)
    steps, parts = np.repeat(lengths, counts), np.repeat(counts, counts)
    first, end = number * steps // parts, (number + 1) * steps // parts
    return Spans(
        starts=np.repeat(offsets[:-1], counts) + first,
        sizes=end - first,
        offsets=to_offsets(counts),
    )


def span_sums(values: npt.NDArray[Any], spans: Spans) -> Floats:
    """The sum of each span, `(B,)` or `(B, F)`, added in the order of the steps as float64.

    >>> spans = window_spans(np.array([0, 3]), window=2, stride=1, tail=False)
    >>> span_sums(np.array([1, 2, 4]), spans).tolist()
    [3.0, 6.0]
    """
    wide = values.astype(np.float64)
    if not len(spans):
        return wide[:0]
    # Every other sum is that of a span; between two spans `reduceat` adds what is dropped here.
    edges = np.stack([spans.starts, spans.starts + spans.sizes], axis=1).ravel()
    if edges[-1] == len(wide):
        edges = edges[:-1]
    sums: Floats = np.add.reduceat(wide, edges, axis=0)[::2]
    return sums


def span_means(values: npt.NDArray[Any], spans: Spans) -> Floats:
    """The mean of each span, `(B,)` or `(B, F)`."""
    sums = span_sums(values, spans)
    return sums / spans.sizes.reshape(-1, *[1] * (sums.ndim - 1))


def merge_targets(targets: Ragged, spans: Spans, how: Merge) -> Ragged:
    """Per-step targets of the merged steps, of the same type.

    Args:
        targets: `(N,)` or `(N, K)`.
        spans: of the steps that are merged.
        how: `last`; `mean`; or `majority` of the labels that are not ignored, of equally many the
            smallest code.
    """
    values = targets.values
    match how:
        case "last":
            merged = values[spans.starts + spans.sizes - 1]
        case "mean":
            merged = span_means(values, spans).astype(values.dtype)
        case "majority":
            merged = _majority(values, spans)
        case _:
            raise ValueError(f"targets must be merged by last, mean or majority, got {how!r}")
    return Ragged(merged, spans.offsets)


def _majority(codes: npt.NDArray[Any], spans: Spans) -> npt.NDArray[Any]:
    best = np.full(len(spans), IGNORED_LABEL, dtype=codes.dtype)
    most = np.zeros(len(spans))
    for code in np.unique(codes[codes != IGNORED_LABEL]):  # the labels, which are few
        votes = span_sums(codes == code, spans)
        best[votes > most] = code
        most = np.maximum(most, votes)
    return best
