"""Which rows go together: the settings and the list of the batches of an epoch, as numbers only.

Needs only numpy.

Legend: R rows of a split, N batches.
Source: token-budget sampling by length, as in Ott et al. 2018, doi:10.18653/v1/W18-6301.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from seqprep.ragged import Ints, Keys, to_offsets


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSettings:
    """What decides the batches beside the data.

    Args:
        batch_tokens: rows x longest of a batch is at most this; a longer row is a batch of its own.
        max_rows: and at most this many rows; None for no such limit.
        seed: of the order and the composition.
        memory: bytes of examples held at once; more is read in windows of shards.
        jitter: relative width of the random change of a length before sorting, which mixes the
            composition of batches; each hundredth costs about as much padding.
    """

    batch_tokens: int = 16_384
    max_rows: int | None = 64
    seed: int = 0
    memory: int = 2**30
    jitter: float = 0.01

    def __post_init__(self) -> None:
        for name in ("batch_tokens", "max_rows", "memory"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        if not 0 <= self.jitter < 1:
            raise ValueError(f"jitter must be in [0, 1), got {self.jitter}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The global batches of an epoch.

    Args:
        epoch: from 0.
        order: `(R,)` row numbers; batch i holds `order[edges[i]:edges[i + 1]]`.
        edges: `(N + 1,)`.
        window: `(N,)` which window of shards a batch belongs to. windows: shard numbers of each.
        lengths: `(R,)` steps of each row in this epoch, by row number.
        overlong: batches of one row that is longer than `batch_tokens`.
    """

    epoch: int
    order: Ints
    edges: Ints
    window: Ints
    windows: tuple[tuple[int, ...], ...]
    lengths: Ints
    overlong: int

    def __len__(self) -> int:
        return len(self.edges) - 1

    def rows(self, index: int) -> Ints:
        """Row numbers of one batch."""
        return self.order[self.edges[index] : self.edges[index + 1]]

    def steps_of(self, lengths: Ints, batches: range) -> list[int]:
        """Steps of each of some neighbouring batches, by `(R,)` steps of each row."""
        edges = self.edges[batches.start : batches.stop + 1]
        rows = self.order[edges[0] : edges[-1]]
        steps: list[int] = np.add.reduceat(lengths[rows], edges[:-1] - edges[0]).tolist()
        return steps

    @property
    def padding_share(self) -> float:
        """Padded steps over all computed steps, of the whole epoch."""
        if not len(self):
            return 0.0
        longest = np.maximum.reduceat(self.lengths[self.order], self.edges[:-1])
        computed = int((longest * np.diff(self.edges)).sum())
        return 1.0 - int(self.lengths.sum()) / computed


def cut(lengths: Ints, *, batch_tokens: int, max_rows: int | None, first: float = 1.0) -> Ints:
    """Cut rows that lie in about rising length into batches within the budget.

    Args:
        lengths: `(R,)` steps.
        batch_tokens: rows x longest of a batch is at most this.
        max_rows: and at most this many rows.
        first: share of its room that the first batch may use; moves all later edges.

    Returns:
        Edges `(N + 1,)`.

    >>> cut(np.array([2, 2, 3, 9]), batch_tokens=6, max_rows=None).tolist()
    [0, 2, 3, 4]
    """
    # The longest row so far stands for the longest of a batch: what rises can be searched.
    longest = np.maximum(np.maximum.accumulate(lengths), 1).tolist()
    edges, start, room = [0], 0, max_rows or batch_tokens
    while start < len(longest):
        most = min(room, batch_tokens // longest[start], len(longest) - start)
        count = max(1, _rows_within(longest, start, most, batch_tokens))
        if start == 0:
            count = max(1, int(count * first))
        start += count
        edges.append(start)
    return np.asarray(edges, dtype=np.int64)


def _rows_within(longest: Sequence[int], start: int, most: int, batch_tokens: int) -> int:
    """How many rows from `start` on, at most `most`, fit the budget."""
    if not most:
        return 0
    # so many fit if all are as long as the last
    least = min(most, batch_tokens // longest[start + most - 1])
    counts = range(least + 1, most + 1)
    return least + bisect_right(counts, batch_tokens, key=lambda n: n * longest[start + n - 1])


def together(order: Ints, sizes: Ints, windows: Ints, views: Ints, records: Keys) -> Ints:
    """Put the windows of a record that meet in a batch side by side, in order of window.

    Args:
        order: `(R,)` row numbers, batch after batch.
        sizes: `(N,)` rows of each batch.
        windows: of each row, by row number; all 0: the order stays as it is.
        views: likewise.
        records: likewise, what tells one record from another.

    Returns:
        `(R,)` the same rows in the same batches.
    """
    if not windows[order].any():
        return order
    batch = np.repeat(np.arange(len(sizes)), sizes)
    return order[np.lexsort((windows[order], views[order], records[order], batch))]


def group(
    shards: Ints, sizes: Ints, *, room: int, first: int | None = None
) -> tuple[tuple[int, ...], ...]:
    """Windows of shards whose sizes fit the room together; a larger shard goes alone.

    Args:
        shards: numbers, in the order in which they are read.
        sizes: bytes of each shard, by its number.
        room: bytes.
        first: bytes of the first window; each has four times the room of the one before.

    >>> group(np.array([2, 0, 1]), np.array([3, 4, 5]), room=8)
    ((0, 2), (1,))
    >>> group(np.arange(7), np.ones(7, int), room=8, first=1)
    ((0,), (1, 2, 3, 4), (5, 6))
    """
    windows: list[list[int]] = []
    left, next_room = 0, room if first is None else min(first, room)
    for shard in shards.tolist():
        if not windows or sizes[shard] > left:
            windows.append([])
            left, next_room = next_room, min(room, 4 * next_room)
        windows[-1].append(shard)
        left -= int(sizes[shard])
    return tuple(tuple(sorted(window)) for window in windows)


def blocks(plan: Plan, lengths: Ints, *, start: int, most_steps: int) -> Iterator[range]:
    """Runs of batches of one window that are gathered together: many small copies cost time.

    Args:
        plan: of an epoch.
        lengths: `(R,)` steps of each row as it is stored.
        start: the first batch.
        most_steps: of a run, unless a batch alone has more.
    """
    while start < len(plan):
        first = start
        last = int(np.searchsorted(plan.window, plan.window[first], side="right"))
        done = to_offsets(plan.steps_of(lengths, range(first, last)))
        while start < last:
            within = np.searchsorted(done, done[start - first] + most_steps, side="right") - 1
            stop = max(start + 1, first + int(within))
            yield range(start, stop)
            start = stop
