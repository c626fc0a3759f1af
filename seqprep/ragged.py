"""Ragged arrays, and what is done to their rows as wholes: taken, cut, joined, padded.

A ragged array is a flat array of steps and the offsets of its rows. Every function works on NumPy
arrays and has no Python loop over rows or steps. The arithmetic is in `kernels`, the random numbers
are in `hashing`; what the steps of a recipe select is in `views`.

Legend: R rows, N steps of all rows together, F features of a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep.hashing import Ints, Keys, draw_keys, mix, row_keys, string_bytes, uniform
from seqprep.kernels import (
    copy_rows,
    copy_spans,
    keep_index,
    look_up,
    ranges,
    reverse_index,
    to_offsets,
)

__all__ = [
    "Ints",
    "Keys",
    "Ragged",
    "concat",
    "copy_spans",
    "cut",
    "draw_keys",
    "fill_empty",
    "first_occurrences",
    "from_lists",
    "keep_index",
    "look_up",
    "mix",
    "pad_groups",
    "ranges",
    "reverse_index",
    "row_keys",
    "string_bytes",
    "take",
    "to_lists",
    "to_offsets",
    "uniform",
]


@dataclass(frozen=True, slots=True)
class Ragged:
    """R rows of steps, one after the other.

    Args:
        values: `(N,)` for tokens or `(N, F)` for values.
        offsets: `(R + 1,)` int64; row r is `values[offsets[r]:offsets[r + 1]]`.
    """

    values: npt.NDArray[Any]
    offsets: Ints

    @property
    def lengths(self) -> Ints:
        """Steps of each row, `(R,)`."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def from_lists(rows: list[list[int]]) -> Ragged:
    """A ragged array of int64 from literal lists, for examples and tests.

    >>> from_lists([[1, 2, 3], [], [4]]).offsets.tolist()
    [0, 3, 3, 4]
    """
    flat = [value for row in rows for value in row]
    return Ragged(np.asarray(flat, dtype=np.int64), to_offsets([len(row) for row in rows]))


def to_lists(ragged: Ragged) -> list[list[int]]:
    """Literal lists of a ragged array, for examples and tests."""
    edges = ragged.offsets.tolist()
    flat = ragged.values.tolist()
    return [flat[start:stop] for start, stop in pairwise(edges)]


def take(ragged: Ragged, rows: Ints) -> Ragged:
    """The named rows, in that order.

    >>> to_lists(take(from_lists([[1, 2], [3], [4, 5]]), np.array([2, 0])))
    [[4, 5], [1, 2]]
    """
    rows = np.ascontiguousarray(rows, dtype=np.int64)
    lengths = ragged.offsets[rows + 1] - ragged.offsets[rows]
    return Ragged(copy_rows(ragged.values, ragged.offsets, rows), to_offsets(lengths))


def cut(ragged: Ragged, starts: Ints, sizes: Ints) -> Ragged:
    """P spans of each row, joined in order.

    Args:
        ragged: R rows.
        starts: `(R, P)` in steps from the row's start.
        sizes: `(R, P)` in steps.

    >>> to_lists(cut(from_lists([[1, 2, 3], [4, 5]]), np.array([[1], [0]]), np.array([[2], [1]])))
    [[2, 3], [4]]
    """
    flat = (starts + ragged.offsets[:-1, None]).ravel()
    return Ragged(copy_spans(ragged.values, flat, sizes.ravel()), to_offsets(sizes.sum(axis=1)))


def pad_groups(rows: Ragged, edges: Ints, *, fill: float = 0) -> list[npt.NDArray[Any]]:
    """Dense arrays of consecutive groups of rows, each as long as its own longest row.

    Args:
        rows: R rows.
        edges: `(G + 1,)` in rows; group g is rows `edges[g]` up to `edges[g + 1]`.
        fill: what stands after a row's end.

    >>> rows = from_lists([[1], [2, 3], [4]])
    >>> [dense.tolist() for dense in pad_groups(rows, np.array([0, 2, 3]))]
    [[[1, 0], [2, 3]], [[4]]]
    """
    lengths, sizes = rows.lengths, np.diff(edges)
    longest = np.zeros(len(sizes), dtype=np.int64)
    longest[sizes > 0] = np.maximum.reduceat(lengths, edges[:-1][sizes > 0]) if len(rows) else 0
    spare = np.repeat(longest, sizes) - lengths
    first, last = int(rows.offsets[0]), int(rows.offsets[-1])
    shape = rows.values.shape[1:]
    filler = np.full((int(spare.sum()), *shape), fill, dtype=rows.values.dtype)
    # Behind the rows lies what fills each of them up: row, filler, row, filler ...
    offsets = np.concatenate([rows.offsets - first, last - first + np.cumsum(spare)])
    order = np.arange(2 * len(rows)).reshape(2, -1).T.ravel()
    flat = copy_rows(np.concatenate([rows.values[first:last], filler]), offsets, order)
    ends = to_offsets(sizes * longest).tolist()
    return [
        flat[start:stop].reshape(size, steps, *shape)
        for start, stop, size, steps in zip(
            ends, ends[1:], sizes.tolist(), longest.tolist(), strict=False
        )
    ]


def first_occurrences(ragged: Ragged) -> npt.NDArray[np.bool_]:
    """Marks the first step of each value in each row of tokens, `(N,)`."""
    row = np.repeat(np.arange(len(ragged)), ragged.lengths)
    order = np.lexsort((ragged.values, row))
    row_sorted, value_sorted = row[order], ragged.values[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (row_sorted[1:] != row_sorted[:-1]) | (value_sorted[1:] != value_sorted[:-1])
    marks = np.zeros(len(order), dtype=bool)
    marks[order[first]] = True
    return marks


def concat(parts: list[Ragged]) -> Ragged:
    """The rows of several ragged arrays, one after the other.

    >>> to_lists(concat([from_lists([[1, 2]]), from_lists([[], [3]])]))
    [[1, 2], [], [3]]
    """
    lengths = np.concatenate([part.lengths for part in parts])
    values = [part.values[int(part.offsets[0]) : int(part.offsets[-1])] for part in parts]
    return Ragged(np.concatenate(values), to_offsets(lengths))


def fill_empty(ragged: Ragged, value: float) -> Ragged:
    """Rows without steps get one step of `value`.

    >>> to_lists(fill_empty(from_lists([[], [2, 3], []]), 1))
    [[1], [2, 3], [1]]
    """
    lengths = ragged.lengths
    offsets = to_offsets(np.maximum(lengths, 1))
    values = np.full((int(offsets[-1]), *ragged.values.shape[1:]), value, ragged.values.dtype)
    source = ranges(ragged.offsets[:-1], lengths)
    values[ranges(offsets[:-1], lengths)] = ragged.values[source]
    return Ragged(values, offsets)
