"""Steps that are chosen one by one, and rows that are turned round, in bounded memory.

What stays is said by a mark, a byte a step; an index would take eight. All else is worked on in
blocks of rows, and a row that is longer than a block in blocks of its steps, so that a chromosome
costs little more than its bases. The spans that a technique cuts are in `kernels`.

Legend: R rows, N steps of all rows together, F features of a step, V values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep.hashing import Ints, Keys, mix
from seqprep.kernels import cut_blocks, look_up, ranges, to_offsets

Bools = npt.NDArray[np.bool_]

BLOCK = 2**18
"""About so many steps at a time."""
_BITS = 16
"""Of a draw, by which those of a long row are counted."""


def row_blocks(offsets: Ints) -> Iterator[tuple[int, int]]:
    """Rows from a first one to before another, about BLOCK steps in all; a longer one alone.

    Args:
        offsets: `(R + 1,)`.
    """
    return cut_blocks(offsets[1:] - offsets[0], np.diff(offsets), most=BLOCK)


def step_blocks(start: int, stop: int) -> Iterator[slice]:
    """Steps from `start` to before `stop`, BLOCK at a time."""
    for at in range(start, stop, BLOCK):
        yield slice(at, min(at + BLOCK, stop))


def keep_marked(
    values: npt.NDArray[Any], offsets: Ints, marks: Bools
) -> tuple[npt.NDArray[Any], Ints]:
    """The marked steps, joined, and the offsets of their rows.

    Args:
        values: `(N,)` or `(N, F)`.
        offsets: `(R + 1,)`, from 0 to N.
        marks: `(N,)`.

    >>> values, offsets = keep_marked(np.array([5, 6, 7]), np.array([0, 2, 3]), np.eye(3)[1] < 1)
    >>> values.tolist(), offsets.tolist()
    ([5, 7], [0, 1, 2])
    """
    kept = np.empty((np.count_nonzero(marks), *values.shape[1:]), dtype=values.dtype)
    edges, before, row = np.empty_like(offsets), 0, 0
    for block in step_blocks(0, len(values)):
        index = np.flatnonzero(marks[block])
        kept[before : before + len(index)] = values[block][index]
        end = row + int(np.searchsorted(offsets[row:], block.stop))
        edges[row:end] = before + np.searchsorted(index, offsets[row:end] - block.start)
        before, row = before + len(index), end
    edges[row:] = before
    return kept, edges


def thin_marks(offsets: Ints, *, length: int, keys: Keys) -> Bools:
    """Marks `length` random steps of each row, `(N,)`; a shorter row is marked as a whole.

    Each step draws a number from (key of the row, place in it); the smallest are chosen.

    Args:
        offsets: `(R + 1,)`, the first 0.
        length: steps to mark.
        keys: `(R,)`.
    """
    lengths = np.diff(offsets)
    marks = np.zeros(int(offsets[-1]), dtype=bool)
    for begin, stop in row_blocks(offsets):
        first, last = int(offsets[begin]), int(offsets[stop])
        if (lengths[begin:stop] <= length).all():
            marks[first:last] = True
        elif stop - begin == 1:
            _mark_fewest(marks[first:last], int(lengths[begin]), length, keys[begin : begin + 1])
        else:
            sizes = lengths[begin:stop]
            row = np.repeat(np.arange(begin, stop), sizes)
            place = np.arange(first, last) - offsets[row]
            order = np.lexsort((_draws(keys[row], place), row))
            chosen = ranges(to_offsets(sizes)[:-1], np.minimum(sizes, length))
            marks[first + order[chosen]] = True
    return marks


def _draws(keys: Keys, place: Ints) -> Keys:
    return mix(keys ^ mix(place.astype(np.uint64), 3), 0)


def _mark_fewest(marks: Bools, size: int, count: int, key: Keys) -> None:
    """Mark the `count` smallest draws of one row, of equal ones the first.

    A long row is passed over twice: to count draws by their upper bits, which tells where the last
    one to be chosen lies, and to mark those below and look closer at those beside it.
    """
    shift = np.uint64(64 - _BITS)
    counts = np.zeros(2**_BITS, dtype=np.int64)
    for block in step_blocks(0, size):
        draws = _draws(key, np.arange(block.start, block.stop))
        counts += np.bincount((draws >> shift).astype(np.int64), minlength=len(counts))
    sums = np.cumsum(counts)
    last = int(np.searchsorted(sums, count))
    places, drawn = [], []
    for block in step_blocks(0, size):
        draws = _draws(key, np.arange(block.start, block.stop))
        upper = draws >> shift
        marks[block] = upper < last
        beside = np.flatnonzero(upper == last)
        places.append(beside + block.start)
        drawn.append(draws[beside])
    left = count - int(sums[last] - counts[last])
    order = np.argsort(np.concatenate(drawn), kind="stable")[:left]
    marks[np.concatenate(places)[order]] = True


def first_marks(values: npt.NDArray[np.integer], offsets: Ints) -> Bools:
    """Marks the first step of each value in each row of tokens, `(N,)`.

    Args:
        values: `(N,)`, not negative.
        offsets: `(R + 1,)`, the first 0.

    >>> first_marks(np.array([5, 6, 5, 5]), np.array([0, 3, 4])).tolist()
    [True, True, False, True]
    """
    marks = np.zeros(int(offsets[-1]), dtype=bool)
    for begin, stop in row_blocks(offsets):
        first, last = int(offsets[begin]), int(offsets[stop])
        if stop - begin == 1:
            _mark_first(values[first:last], marks[first:last])
            continue
        block = values[first:last]
        row = np.repeat(np.arange(stop - begin), np.diff(offsets[begin : stop + 1]))
        order = np.lexsort((block, row))
        new = np.ones(len(order), dtype=bool)
        new[1:] = (np.diff(row[order]) != 0) | (np.diff(block[order]) != 0)
        marks[first + order[new]] = True
    return marks


def _mark_first(values: npt.NDArray[np.integer], marks: Bools) -> None:
    """The same for one row, of which each block knows what stood before it."""
    seen = np.zeros(int(values.max(initial=-1)) + 1, dtype=bool)
    for block in step_blocks(0, len(values)):
        found, place = np.unique(values[block], return_index=True)
        marks[block.start + place[~seen[found]]] = True
        seen[found] = True


def turn_rows(
    values: npt.NDArray[Any], offsets: Ints, rows: Bools, *, table: npt.NDArray[Any] | None = None
) -> npt.NDArray[Any]:
    """The steps with some rows reversed, and each of their values looked up.

    Args:
        values: `(N,)` or `(N, F)`.
        offsets: `(R + 1,)`.
        rows: `(R,)` which are turned.
        table: `(V,)` what becomes of each value of theirs; None: it stays.

    >>> turn_rows(np.array([0, 1, 2]), np.array([0, 2, 3]), np.array([True, False])).tolist()
    [1, 0, 2]
    """
    turned = values.copy()
    table = None if table is None else table.astype(values.dtype)
    for begin, stop in row_blocks(offsets):
        some = begin + np.flatnonzero(rows[begin:stop])
        if not len(some):
            continue
        if stop - begin == 1:
            part = turned[int(offsets[begin]) : int(offsets[stop])]
            part[:] = values[int(offsets[begin]) : int(offsets[stop])][::-1]
            if table is not None:
                look_up(table, part, out=part)
            continue
        sizes = offsets[some + 1] - offsets[some]
        places = ranges(offsets[some], sizes)
        mirrored = np.repeat(offsets[some] + offsets[some + 1] - 1, sizes) - places
        found = values[mirrored]
        turned[places] = found if table is None else table[found]
    return turned
