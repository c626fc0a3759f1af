"""What preparation counts while rows pass: steps, rows, unknown tokens, lengths.

Legend: R rows of a chunk; arrays `(3,)` are by split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqprep.preparation.chunk import Chunk
from seqprep.ragged import Ints
from seqprep.schema import OOV, SPLITS

Lengths = npt.NDArray[np.int32] | Ints

HISTOGRAM_BINS = 64
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
LONG_STEPS = (250, 500)


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """Numbers of one chunk or of all.

    Args:
        rows: `(3,)` stored rows. records: `(3,)` that they come from.
        steps: `(3,)` stored. unknown: `(3,)` OOV among them.
        whole: `(3,)` steps of view 0, those in two windows once, for the share that the chain
            keeps.
        emptied: records that were left without steps.
        lengths: `(R,)` of the rows. units: `(R,)` that decide the bucket. splits: `(R,)`.
    """

    rows: Ints
    records: Ints
    steps: Ints
    unknown: Ints
    whole: Ints
    emptied: int
    lengths: npt.NDArray[np.int32]
    units: npt.NDArray[np.int32]
    splits: npt.NDArray[np.int8]


def count_chunk(chunk: Chunk, units: Ints, *, emptied: int, tokens: bool, stride: int) -> Totals:
    """Numbers of one finished chunk.

    Args:
        chunk: R finished rows.
        units: `(R,)` the lengths that decide the buckets.
        emptied: records that were left without steps.
        tokens: whether steps are tokens.
        stride: steps from one window to the next; 0 where rows are not windows.
    """
    lowest = chunk.views == chunk.first_views
    first = (chunk.windows == 0) & lowest
    whole = np.where(lowest, _own_steps(chunk, stride), 0)
    unknown = np.zeros(len(chunk), dtype=np.int64)
    if tokens:
        places = np.flatnonzero(chunk.steps.values == OOV)
        unknown = np.diff(np.searchsorted(places, chunk.steps.offsets))
    return Totals(
        rows=chunk.by_split(np.ones(len(chunk))),
        records=chunk.by_split(first),
        steps=chunk.by_split(chunk.lengths),
        unknown=chunk.by_split(unknown),
        whole=chunk.by_split(whole),
        emptied=emptied,
        lengths=chunk.lengths.astype(np.int32),
        units=units.astype(np.int32),
        splits=chunk.splits.copy(),  # not a view, which keeps the whole chunk in memory
    )


def merge_totals(parts: Sequence[Totals]) -> Totals:
    """Numbers of all chunks."""
    return Totals(
        rows=_sum([part.rows for part in parts]),
        records=_sum([part.records for part in parts]),
        steps=_sum([part.steps for part in parts]),
        unknown=_sum([part.unknown for part in parts]),
        whole=_sum([part.whole for part in parts]),
        emptied=sum(part.emptied for part in parts),
        lengths=np.concatenate([part.lengths for part in parts]),
        units=np.concatenate([part.units for part in parts]),
        splits=np.concatenate([part.splits for part in parts]),
    )


def histogram(lengths: Lengths) -> dict[str, list[int]]:
    """Edges and counts of at most HISTOGRAM_BINS bins of lengths, the last one perhaps narrower.

    >>> histogram(np.array([1, 2, 2]))
    {'edges': [1, 2, 3], 'counts': [1, 2]}
    """
    if not len(lengths):
        return {"edges": [0, 1], "counts": [0]}
    low, high = int(lengths.min()), int(lengths.max()) + 1
    width = -(-(high - low) // HISTOGRAM_BINS)
    bins = -(-(high - low) // width)
    counts = np.bincount((lengths - low) // width, minlength=bins)
    edges = [*(low + width * number for number in range(bins)), high]
    return {"edges": edges, "counts": counts.tolist()}


def quantiles(lengths: Lengths) -> dict[str, float]:
    """Lengths at QUANTILES, in steps."""
    if not len(lengths):
        return {}
    values = np.quantile(lengths, QUANTILES)
    return {f"{share:g}": float(value) for share, value in zip(QUANTILES, values, strict=True)}


def long_shares(lengths: Lengths) -> dict[str, float]:
    """The share of rows above each of LONG_STEPS."""
    return {
        str(limit): float((lengths > limit).mean()) if len(lengths) else 0.0 for limit in LONG_STEPS
    }


def named(numbers: Ints) -> dict[str, int]:
    """Numbers `(3,)` by the name of the split."""
    return dict(zip(SPLITS, (int(number) for number in numbers), strict=True))


def _own_steps(chunk: Chunk, stride: int) -> Ints:
    """Steps of each row that the next window of its record does not hold, too, `(R,)`."""
    if not stride or not len(chunk):
        return chunk.lengths
    order = np.lexsort((chunk.windows, chunk.views, chunk.splits, chunk.rows))
    follows = np.append(chunk.windows[order][1:] > 0, False)
    result = chunk.lengths.copy()
    result[order[follows]] = np.minimum(result[order[follows]], stride)
    return result


def _sum(parts: Sequence[Ints]) -> Ints:
    return np.sum(np.stack(parts), axis=0)
