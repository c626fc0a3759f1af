"""Vectorised kernels on ragged arrays: the one place with index arithmetic.

A ragged array is a flat array of steps and the offsets of its rows. Every kernel works on NumPy
arrays, has no Python loop over rows or steps, and draws its numbers from (seed, key of the record,
view), so that the same record gives the same result in any order, on any worker, on any platform.

Legend: R rows, N steps of all rows together, F features of a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep.hashing import Ints, Keys, draw_keys, mix, row_keys, string_bytes, uniform
from seqprep.kernels import (
    copy_rows,
    copy_spans,
    cut_spans,
    keep_index,
    look_up,
    piece_spans,
    ranges,
    reverse_index,
    shift_spans,
    thin_index,
    to_offsets,
)

__all__ = [
    "Ints",
    "Keys",
    "Ragged",
    "apply_view",
    "concat",
    "copy_spans",
    "cut",
    "draw_keys",
    "fill_empty",
    "first_occurrences",
    "from_lists",
    "keep_index",
    "look_up",
    "mirrored_rows",
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
    "view_index",
    "view_lengths",
    "view_spans",
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


def _fold(keys: Keys, views: Ints | int) -> Keys:
    """Keys that also depend on the view, `(R,)`; view 0 and every other differ."""
    salt = np.broadcast_to(np.asarray(views, dtype=np.int64), keys.shape).astype(np.uint64)
    return mix(keys.astype(np.uint64) ^ mix(salt, 7), 0)


def _step_keys(step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int) -> Keys:
    return mix(_fold(keys, view), seed, step["position"])


def mirrored_rows(
    step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> npt.NDArray[np.bool_]:
    """Which rows a `reverse_complement` step turns round: each with probability `p`, `(R,)`."""
    return uniform(_step_keys(step, keys, seed=seed, view=view), 0) < step["p"]


def view_spans(
    lengths: Ints, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> tuple[Ints, Ints] | None:
    """The spans that one step of a chain selects, `(R, P)` starts and sizes; None if not spans.

    Args:
        lengths: `(R,)` of the rows.
        step: its `name`, its `position` in the chain, and its options.
        keys: `(R,)`, see `row_keys` and `draw_keys`.
        seed: of the recipe.
        view: number of the view, one or `(R,)`; on the fly: of the epoch.
    """
    keys = _step_keys(step, keys, seed=seed, view=view)
    match step["name"]:
        case "truncate":
            return cut_spans(lengths, length=step["length"], keep=step["keep"], keys=keys)
        case "subsequences":
            return piece_spans(
                lengths,
                pieces=step["pieces"],
                piece=step["piece"],
                overlap=step["overlap"],
                keys=keys,
            )
        case "shift":
            return shift_spans(lengths, most=step["max"], stride=step["stride"], keys=keys)
        case "remove_steps" | "reverse_complement":
            return None
        case name:
            raise ValueError(f"no kernel for step {name!r}")


def view_index(
    offsets: Ints, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> tuple[Ints, Ints]:
    """Flat index of what a step selects that does not select spans, and the new lengths.

    Steps and per-step targets of the same rows are selected by the same index.

    Args:
        offsets: `(R + 1,)` of the rows.
        step: as for `view_spans`.
        keys: as for `view_spans`.
        seed: as for `view_spans`.
        view: as for `view_spans`.
    """
    if step["name"] == "remove_steps":
        drawn = _step_keys(step, keys, seed=seed, view=view)
        return thin_index(offsets, length=step["length"], keys=drawn)
    turned = mirrored_rows(step, keys, seed=seed, view=view)
    return reverse_index(offsets, turned), np.diff(offsets)


def view_lengths(
    lengths: Ints, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> Ints:
    """Lengths of the rows after the step, without touching any row, `(R,)`."""
    lengths = np.asarray(lengths, dtype=np.int64)
    spans = view_spans(lengths, step, keys, seed=seed, view=view)
    if spans is not None:
        return spans[1].sum(axis=1)
    if step["name"] == "remove_steps":
        return np.minimum(lengths, step["length"])
    return lengths


def apply_view(
    ragged: Ragged, step: Mapping[str, Any], keys: Keys, *, seed: int, view: Ints | int
) -> Ragged:
    """The rows after one step of a chain: what is stored as a view, or drawn for an epoch.

    Args:
        ragged: tokens `(N,)` or values `(N, F)`.
        step: as for `view_spans`; `reverse_complement` also needs `complement`, the id of each
            id's complement.
        keys: as for `view_spans`.
        seed: as for `view_spans`.
        view: as for `view_spans`.

    >>> step = {"name": "truncate", "position": 0, "length": 2, "keep": "tail"}
    >>> rows = from_lists([[1, 2, 3], [4]])
    >>> to_lists(apply_view(rows, step, np.zeros(2, np.uint64), seed=0, view=0))
    [[2, 3], [4]]
    """
    spans = view_spans(ragged.lengths, step, keys, seed=seed, view=view)
    if spans is not None:
        return cut(ragged, *spans)
    index, lengths = view_index(ragged.offsets, step, keys, seed=seed, view=view)
    values = ragged.values[index]
    if step["name"] == "reverse_complement":
        turned = np.repeat(mirrored_rows(step, keys, seed=seed, view=view), lengths)
        complement = np.asarray(step["complement"], dtype=ragged.values.dtype)
        values = np.where(turned, complement[values], values)
    return Ragged(values, to_offsets(lengths))


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
