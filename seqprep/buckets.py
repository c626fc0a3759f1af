"""Length buckets: the boundaries that make least padding (P14, CONTRACT 19).

The boundaries minimise the padded steps of all training rows when each row is padded to the limit
of its bucket: an exact dynamic programme over the histogram of lengths. Rows longer than the last
limit go to bucket 0, which has none.

Legend: n distinct lengths (bins), B buckets, R rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqprep.ragged import Ints, ranges, to_offsets

MAX_BINS = 4096
UNLIMITED = 0
"""The bucket of rows longer than every limit."""


def bin_lengths(lengths: Ints, rows: Ints | None = None) -> tuple[Ints, Ints]:
    """Distinct lengths, rounded up to at most MAX_BINS values, and the rows of each, `(n,)`.

    Args:
        lengths: `(R,)` in steps.
        rows: `(R,)` how many there are of each; default one.

    >>> edges, rows = bin_lengths(np.array([3, 1, 3]))
    >>> edges.tolist(), rows.tolist()
    ([1, 3], [1, 2])
    """
    longest = int(lengths.max(initial=1))
    width = -(-longest // MAX_BINS)
    counts = np.bincount(-(-lengths // width), weights=rows, minlength=1).astype(np.int64)
    bins = np.flatnonzero(counts)
    return np.minimum(bins * width, longest), counts[bins]


def best_limits(edges: Ints, rows: Ints, *, count: int) -> tuple[int, ...]:
    """The upper limits of at most `count` buckets with the fewest padded steps.

    Args:
        edges: `(n,)` distinct lengths, rising.
        rows: `(n,)` rows of each length.
        count: buckets.

    >>> best_limits(np.array([1, 2, 9, 10]), np.array([5, 5, 5, 5]), count=2)
    (2, 10)
    """
    total = len(edges)
    if total == 0:
        return (1,)
    limits, before = edges.astype(np.int64), to_offsets(rows)
    cost = before[1:] * limits  # one bucket for the first j + 1 lengths
    back: list[Ints] = []
    for _ in range(1, min(count, total)):
        cost, choice = _one_more(cost, before, limits)
        back.append(choice)
    return _trace(edges, back)


def _one_more(cost: Ints, before: Ints, limits: Ints) -> tuple[Ints, Ints]:
    """The least cost with one bucket more, and the last length of the bucket before; -1: none.

    A new bucket for lengths i + 1 .. j costs (N_j - N_i) x limit_j beside the cost up to i. The
    best i never falls while j rises, so the best of every other j bounds those between them: log n
    rounds of about 2 n candidates, in whole numbers.

    Source: divide and conquer over a totally monotone matrix, Aggarwal et al. 1987,
    doi:10.1007/BF01840359
    """
    total = len(cost)
    best, choice = cost.copy(), np.full(total, -1, dtype=np.int64)
    if total < 2:
        return best, choice
    found = np.full(total + 1, total - 1, dtype=np.int64)  # the best i of each j that was asked
    found[0] = 0
    step = 1 << (total - 1).bit_length()
    while step:
        asked = np.arange(step, total, 2 * step)
        low = found[asked - step]
        high = np.minimum(found[np.minimum(asked + step, total)], asked - 1)
        sizes = high - low + 1
        i, row = ranges(low, sizes), np.repeat(np.arange(len(asked)), sizes)
        j = asked[row]
        costs = cost[i] + (before[j + 1] - before[i + 1]) * limits[j]
        starts = to_offsets(sizes)[:-1]
        least = np.minimum.reduceat(costs, starts) if len(asked) else costs
        first = np.flatnonzero(costs == least[row])
        found[asked] = i[first[np.searchsorted(first, starts)]]
        fewer = least < best[asked]
        best[asked[fewer]], choice[asked[fewer]] = least[fewer], found[asked[fewer]]
        step //= 2
    return best, choice


def _trace(edges: Ints, back: list[Ints]) -> tuple[int, ...]:
    place, limits = len(edges) - 1, [int(edges[-1])]
    for choice in reversed(back):
        if choice[place] >= 0:
            place = int(choice[place])
            limits.append(int(edges[place]))
    return tuple(reversed(limits))


def bucket_of(lengths: Ints, limits: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """The limit of each row's bucket, UNLIMITED for rows longer than all, `(R,)`.

    >>> bucket_of(np.array([1, 4, 5, 99]), (4, 10)).tolist()
    [4, 4, 10, 0]
    """
    named = np.array([*limits, UNLIMITED], dtype=np.int32)
    return named[np.searchsorted(np.asarray(limits, dtype=np.int64), lengths)]


def padded_steps(units: Ints, limits: tuple[int, ...], rows: Ints | None = None) -> int:
    """Steps when every row is padded to its bucket's limit.

    Rows of the bucket without limit are padded to the longest of them.

    Args:
        units: `(R,)` the length that decides each row's bucket.
        limits: of the buckets.
        rows: `(R,)` how many there are of each; default one.

    >>> padded_steps(np.array([2, 4, 9]), (4,))
    17
    """
    limit = bucket_of(units, limits).astype(np.int64)
    padded = np.where(limit == UNLIMITED, int(units.max(initial=0)), limit)
    return int((padded if rows is None else padded * rows).sum())


def padding_share(steps: int, padded: int) -> float:
    """Share of padding among `padded` steps, of which `steps` are real.

    >>> padding_share(6, 8)
    0.25
    """
    return 1 - steps / padded if padded else 0.0
