"""Ragged arrays, and what is done to their rows as wholes: taken, cut, joined, padded.

A ragged array is a flat array of steps and the offsets of its rows. Every function works on NumPy
arrays and has no Python loop over rows or steps. The arithmetic is in `kernels` (spans) and in
`marks` (single steps), the random numbers are in `hashing`; what the steps of a recipe select is in
`views`.

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
    copy_filled,
    copy_rows,
    copy_spans,
    look_up,
    ranges,
    to_offsets,
)
from seqprep.marks import first_marks, keep_marked, turn_rows

__all__ = [
    "Ints",
    "Keys",
    "Ragged",
    "concat",
    "copy_spans",
    "cut",
    "draw_keys",
    "fill_empty",
    "first_marks",
    "from_lists",
    "keep",
    "look_up",
    "mix",
    "pad_groups",
    "ranges",
    "row_keys",
    "string_bytes",
    "take",
    "to_lists",
    "to_offsets",
    "turn_rows",
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

    def lengths_of(self, rows: Ints) -> Ints:
        """Steps of some rows, in the order in which they are named."""
        found: Ints = self.offsets[rows + 1] - self.offsets[rows]
        return found

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
    return Ragged(
        copy_rows(ragged.values, ragged.offsets, rows), to_offsets(ragged.lengths_of(rows))
    )


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


def pad_groups(
    ragged: Ragged, edges: Ints, *, rows: Ints | None = None, fill: float = 0
) -> list[npt.NDArray[Any]]:
    """Dense arrays of groups of rows, each as long as its own longest row; possibly read-only.

    Args:
        ragged: R rows.
        edges: `(G + 1,)`; group g is `rows[edges[g]:edges[g + 1]]`.
        rows: which rows, group after group; None for all of them as they lie.
        fill: what stands after a row's end.

    >>> some = from_lists([[1], [2, 3], [4]])
    >>> [dense.tolist() for dense in pad_groups(some, np.array([0, 2, 3]))]
    [[[1, 0], [2, 3]], [[4]]]
    >>> pad_groups(some, np.array([0, 2]), rows=np.array([1, 2]))[0].tolist()
    [[2, 3], [4, 0]]
    """
    rows = np.arange(len(ragged)) if rows is None else rows
    starts, lengths = ragged.offsets[rows], ragged.lengths_of(rows)
    sizes = np.diff(edges)
    longest = np.zeros(len(sizes), dtype=np.int64)
    longest[sizes > 0] = np.maximum.reduceat(lengths, edges[:-1][sizes > 0]) if len(lengths) else 0
    steps = np.repeat(longest, sizes)
    flat = copy_filled(ragged.values, starts, lengths, steps, fill=fill)
    ends = to_offsets(sizes * longest).tolist()
    return [
        flat[start:stop].reshape(size, length, *ragged.values.shape[1:])
        for start, stop, size, length in zip(
            ends, ends[1:], sizes.tolist(), longest.tolist(), strict=False
        )
    ]


def keep(ragged: Ragged, marks: npt.NDArray[np.bool_]) -> Ragged:
    """The rows with their marked steps.

    Args:
        ragged: R rows.
        marks: `(N,)`.

    >>> to_lists(keep(from_lists([[1, 2], [3, 4]]), np.array([True, False, True, True])))
    [[1], [3, 4]]
    """
    first, last = int(ragged.offsets[0]), int(ragged.offsets[-1])
    offsets = ragged.offsets - first
    return Ragged(*keep_marked(ragged.values[first:last], offsets, marks[first:last]))


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
