"""Arithmetic of ragged rows: which steps of which rows, and how spans of them are copied.

What is kept is said by offsets and lengths, so that steps, their targets and lengths alone are cut
by the same numbers. No Python loop over rows or steps.

Legend: R rows, N steps of all rows together, F features of a step, P spans of a row, S spans.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.hashing import Ints, Keys, integers

_BLOCK = 2**18
_COPIED_BYTES = 2**19


def to_offsets(lengths: npt.ArrayLike) -> Ints:
    """Offsets `(R + 1,)` of rows with these lengths `(R,)`."""
    lengths = np.asarray(lengths, dtype=np.int64)
    offsets = np.zeros(len(lengths) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """The numbers `start, start + 1, ...` of each range, joined.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    offsets = to_offsets(lengths)
    index = np.arange(offsets[-1], dtype=np.int64)
    index += np.repeat(np.asarray(starts, dtype=np.int64) - offsets[:-1], lengths)
    return index


def cut_blocks(ends: Ints, sizes: Ints, *, most: int) -> Iterator[tuple[int, int]]:
    """Spans in turn, from a first one to before another, so many that they take about `most`.

    A longer one stands alone.

    Args:
        ends: `(S,)` sums of the sizes.
        sizes: `(S,)`, S >= 1.
        most: in the unit of the sizes.

    >>> sizes = np.array([2, 2, 9, 1])
    >>> list(cut_blocks(np.cumsum(sizes), sizes, most=4))
    [(0, 1), (1, 2), (2, 3), (3, 4)]
    """
    full = np.diff(ends // most) > 0
    cuts = np.flatnonzero(full | (sizes[:-1] > most)) + 1
    yield from pairwise([0, *cuts.tolist(), len(sizes)])


def copy_rows(values: npt.NDArray[Any], offsets: Ints, rows: Ints) -> npt.NDArray[Any]:
    """The steps of the named rows, joined in that order; possibly read-only.

    Args:
        values: `(N,)` or `(N, F)`.
        offsets: `(R + 1,)` of the rows.
        rows: which, in any order, also repeated.
    """
    starts = offsets[rows]
    return copy_spans(values, starts, offsets[rows + 1] - starts)


def copy_spans(values: npt.NDArray[Any], starts: Ints, sizes: Ints) -> npt.NDArray[Any]:
    """The steps of some spans, joined in order; possibly read-only.

    Arrow copies whole spans of bytes; an index of every step takes 2 to 40 times as long. It does
    so in blocks, whose memory it uses again, since new memory takes longer than the copy.

    Args:
        values: `(N,)` or `(N, F)`.
        starts: `(S,)` flat, in steps; in any order, also overlapping.
        sizes: `(S,)` in steps.

    Raises:
        IndexError: if a span ends behind the values: Arrow would copy what lies there.

    >>> copy_spans(np.array([5, 6, 7, 8]), np.array([2, 0]), np.array([1, 3])).tolist()
    [7, 5, 6, 7]
    """
    width = int(np.prod(values.shape[1:], dtype=np.int64)) * values.itemsize
    raw = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    starts, sizes = np.multiply(starts, width, dtype=np.int64), np.multiply(sizes, width)
    if len(starts) and (last := int((starts + sizes).max())) > len(raw):
        raise IndexError(f"a span ends at step {last // width} of {len(values)}")
    ends = np.cumsum(sizes)
    size_bytes = int(ends[-1]) if len(ends) else 0
    if size_bytes <= _COPIED_BYTES:
        flat = _copied(raw, starts, sizes, size_bytes)
    else:
        flat = np.empty(size_bytes, dtype=np.uint8)
        for begin, stop in cut_blocks(ends, sizes, most=_COPIED_BYTES):
            first = int(ends[begin - 1]) if begin else 0
            size = int(ends[stop - 1]) - first
            if stop - begin == 1:  # a long one is copied as it lies
                block = raw[int(starts[begin]) : int(starts[begin]) + size]
            else:
                block = _copied(raw, starts[begin:stop], sizes[begin:stop], size)
            flat[first : first + size] = block
    return flat.view(values.dtype).reshape(-1, *values.shape[1:])


def _copied(
    raw: npt.NDArray[np.uint8], starts: Ints, sizes: Ints, size_bytes: int
) -> npt.NDArray[np.uint8]:
    """The bytes of some spans, `size_bytes` altogether, joined.

    To Arrow they are every other item of a column: item 2 s begins where span s does and ends with
    it. The items between are never looked at, so that they may have any size, also a negative one;
    the last offset tells Arrow how long items are on average, from which it asks for its memory.
    """
    if not size_bytes:
        return raw[:0]
    edges = np.empty(2 * len(starts) + 1, dtype=np.int64)
    edges[:-1:2], edges[1::2] = starts, starts + sizes
    edges[-1] = min(int(starts[0]) + 2 * size_bytes, len(raw))
    items = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), 2 * len(starts), [None, pa.py_buffer(edges), pa.py_buffer(raw)]
    )
    odd = pa.py_buffer(np.arange(0, 2 * len(starts), 2, dtype=np.int64))
    places = pa.Array.from_buffers(pa.int64(), len(starts), [None, odd])
    taken = pc.take(items, places, boundscheck=False).buffers()[2]
    return np.frombuffer(taken, dtype=np.uint8, count=size_bytes)


def copy_filled(
    values: npt.NDArray[Any], starts: Ints, sizes: Ints, steps: Ints, *, fill: float
) -> npt.NDArray[Any]:
    """Some spans, each filled up to a number of steps, joined in order.

    Little is filled up where rows of like length lie together. So what follows a span is copied
    with it and then written over, which costs one copy; else the filler is laid between the spans.

    Args:
        values: `(N,)` or `(N, F)`.
        starts: `(S,)` flat, in steps.
        sizes: `(S,)` in steps.
        steps: `(S,)`, at least the sizes.
        fill: what stands behind each span.

    >>> values, starts, sizes = np.array([5, 6, 7, 8]), np.array([2, 0]), np.array([1, 2])
    >>> copy_filled(values, starts, sizes, np.array([2, 2]), fill=0).tolist()
    [7, 0, 5, 6]
    """
    spare = steps - sizes
    some, every = int(spare.sum()), int(steps.sum())
    if not some:
        return copy_spans(values, starts, sizes)
    if 8 * some <= every and int((starts + steps).max()) <= len(values):
        flat = copy_spans(values, starts, steps)
        flat = flat if flat.flags.writeable else flat.copy()
        flat[ranges(to_offsets(steps)[:-1] + sizes, spare)] = fill
        return flat
    filler = np.full((some, *values.shape[1:]), fill, dtype=values.dtype)
    every_step = np.concatenate([copy_spans(values, starts, sizes), filler])
    # Behind the spans lies what fills each of them up: span, filler, span, filler ...
    offsets = np.concatenate([to_offsets(sizes), every - some + np.cumsum(spare)])
    return copy_rows(every_step, offsets, np.arange(2 * len(sizes)).reshape(2, -1).T.ravel())


def look_up(
    table: npt.NDArray[Any],
    places: npt.NDArray[np.integer],
    *,
    out: npt.NDArray[Any] | None = None,
) -> npt.NDArray[Any]:
    """`table[places]`; several times faster where both are bytes. Places are not negative.

    In blocks: NumPy makes 64-bit copies of the places, and new memory is dear. Of bytes Arrow does
    it, for a table of all bytes needs no check of the places.

    Args:
        table: what stands at each place.
        places: `(N,)` to look up.
        out: `(N,)` where to put it, of the table's type; also `places` themselves.

    >>> look_up(np.array([5, 7], np.int8), np.array([1, 0, 1], np.int8)).tolist()
    [7, 5, 7]
    """
    found = np.empty(len(places), table.dtype) if out is None else out
    small = table.itemsize == places.itemsize == 1 and len(table) <= 256
    every = None
    if small:
        filled = np.zeros(256, np.uint8)
        filled[: len(table)] = table.view(np.uint8)
        every = pa.array(filled)
    for start in range(0, len(places), _BLOCK):
        part = places[start : start + _BLOCK]
        if every is not None:
            taken = pc.take(every, pa.array(part.view(np.uint8)), boundscheck=False)
            block = taken.to_numpy().view(table.dtype)
        else:
            block = np.take(table, part)
        found[start : start + _BLOCK] = block
    return found


def find_number(numbers: npt.NDArray[np.integer], number: int) -> Ints:
    """Where a number stands, in order.

    In blocks: what a comparison of all of them needs is new memory, which takes longer than it.

    >>> find_number(np.array([7, 5, 7]), 7).tolist()
    [0, 2]
    """
    blocks = range(0, len(numbers), _BLOCK)
    found = [np.flatnonzero(numbers[at : at + _BLOCK] == number) + at for at in blocks]
    return np.concatenate([np.zeros(0, dtype=np.int64), *found])


def count_numbers(numbers: npt.NDArray[np.integer], *, size: int) -> Ints:
    """How often each number in 0..size - 1 occurs, `(size,)`.

    In blocks: NumPy's `bincount` makes a 64-bit copy of what it counts.

    >>> count_numbers(np.array([2, 0, 2], np.int8), size=4).tolist()
    [1, 0, 2, 0]
    """
    counts = np.zeros(size, dtype=np.int64)
    for start in range(0, len(numbers), _BLOCK):
        counts += np.bincount(numbers[start : start + _BLOCK], minlength=size)
    return counts


def cut_spans(lengths: Ints, *, length: int, keep: str, keys: Keys) -> tuple[Ints, Ints]:
    """The span or spans that truncation to `length` steps keeps, `(R, P)` starts and sizes.

    Args:
        lengths: `(R,)` steps.
        length: to keep of each row, in steps.
        keep: `head`, `tail`, `middle`, `random` (one span) or `head_tail` (two; of an odd length
            the head has one step more).
        keys: `(R,)`, used by `random` only.
    """
    kept = np.minimum(lengths, length)
    spare = lengths - kept
    if keep == "head_tail":
        head = np.where(spare > 0, (kept + 1) // 2, kept)
        tail = kept - head
        return np.stack([np.zeros_like(head), lengths - tail], 1), np.stack([head, tail], 1)
    match keep:
        case "head":
            starts = np.zeros_like(spare)
        case "tail":
            starts = spare
        case "middle":
            starts = spare // 2
        case "random":
            starts = integers(keys, spare, 0)
        case _:
            raise ValueError(f"keep must be head, tail, middle, head_tail or random, got {keep!r}")
    return starts[:, None], kept[:, None]


def piece_spans(
    lengths: Ints, *, pieces: int, piece: int, overlap: str, keys: Keys
) -> tuple[Ints, Ints]:
    """Random pieces of each row in the order in which they stand there, `(R, P)`.

    `forbid`: a placement of P disjoint pieces in T steps is a P-subset of T - P x piece + P places
    (each piece shrunk to one place), drawn by Floyd's algorithm, so every placement is as likely
    and none is rejected; a record with fewer steps than the total stays whole. `allow`: starts are
    drawn independently and sorted; a record of at most one piece's length stays whole.

    Source: Floyd's sampling, Bentley & Floyd 1987, doi:10.1145/30401.315746
    """
    rows = np.arange(len(lengths))
    if overlap == "allow":
        whole = lengths <= piece
        spare = np.maximum(lengths - piece, 0)
        draws = [integers(keys, spare, number) for number in range(pieces)]
        starts = np.sort(np.stack(draws, axis=1), axis=1)
    else:
        whole = lengths < pieces * piece
        places = np.maximum(lengths - pieces * piece, 0) + pieces
        chosen = np.full((len(rows), pieces), -1, dtype=np.int64)
        for number in range(pieces):
            last = places - pieces + number
            drawn = integers(keys, last, number)
            taken = (chosen[:, :number] == drawn[:, None]).any(axis=1)
            chosen[:, number] = np.where(taken, last, drawn)
        starts = np.sort(chosen, axis=1) + np.arange(pieces) * (piece - 1)
    sizes = np.full_like(starts, piece)
    first = np.arange(pieces) == 0
    starts = np.where(whole[:, None], 0, starts)
    return starts, np.where(whole[:, None], np.where(first, lengths[:, None], 0), sizes)


def shift_spans(lengths: Ints, *, most: int, stride: int, keys: Keys) -> tuple[Ints, Ints]:
    """Rows without a random 0..most steps at the head, a multiple of `stride`; one step stays."""
    limit = np.clip(lengths - 1, 0, most) // stride
    drop = integers(keys, limit, 0) * stride
    return drop[:, None], (lengths - drop)[:, None]
