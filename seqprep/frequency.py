"""How often each token occurs in the training rows, and its rank.

A chunk is counted by its local ids; `frequency_counter` merges the counts of all chunks. Rank 0 is
the most frequent token; ties are broken by the token's bytes.

Legend: V distinct tokens, N steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.ragged import Ints, Ragged, take

_BLOCK = 2**18
_SORTED = 2**16
"""About so many steps are sorted at a time, so that they stay in the cache."""
_GLANCE = 2**12
"""Steps that show which ids occur."""
_FEW = 16
"""Up to so many different tokens, comparing is faster than `bincount`."""
_BYTES = 256
"""Dictionaries of so many entries are those of letters, few of which occur."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frequency:
    """Tokens of the training rows by rank.

    Args:
        tokens: `(V,)` strings, most frequent first.
        counts: `(V,)` occurrences in training rows.
        records: `(V,)` training records that hold the token; None where no rule asks for it.
        num_records: training records.
        by_label: `(V, C)` training records of each class that hold the token; None where no rule
            asks for it.
        label_totals: `(C,)` training records of each class; None likewise.
    """

    tokens: pa.Array
    counts: Ints
    records: Ints | None
    num_records: int
    by_label: Ints | None = None
    label_totals: Ints | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    def ranks(self, tokens: pa.Array) -> Ints:
        """The rank of each token, V for those that no training row holds."""
        return places_in(tokens, self.tokens)


def count_tokens(ids: Ragged, rows: npt.NDArray[np.bool_], *, num_tokens: int) -> Ints:
    """Occurrences of each id in the marked rows, `(V,)`.

    >>> from seqprep.ragged import from_lists
    >>> rows = from_lists([[0, 1, 1], [2]])
    >>> count_tokens(rows, np.array([True, False]), num_tokens=3).tolist()
    [1, 2, 0]
    """
    counts = np.zeros(num_tokens, dtype=np.int64)
    if 2 * np.count_nonzero(rows) <= len(rows):
        for part in _parts(ids, np.flatnonzero(rows)):
            counts += _occurrences(part, num_tokens)
        return counts
    counts += _occurrences(ids.values[int(ids.offsets[0]) : int(ids.offsets[-1])], num_tokens)
    for part in _parts(ids, np.flatnonzero(~rows)):  # fewer rows are copied this way
        counts -= _occurrences(part, num_tokens)
    return counts


def _parts(ids: Ragged, rows: Ints) -> Iterator[npt.NDArray[np.integer]]:
    """The ids of some rows, some rows at a time, so that they stay in the cache."""
    ends = np.cumsum(ids.lengths[rows])
    cuts = np.flatnonzero(np.diff(ends // _BLOCK)) + 1
    for start, stop in pairwise([0, *cuts.tolist(), len(rows)]):
        if stop - start == 1:  # a long one is not copied
            yield ids.values[int(ids.offsets[rows[start]]) : int(ids.offsets[rows[start] + 1])]
        elif stop > start:
            yield take(ids, rows[start:stop]).values


def _occurrences(values: npt.NDArray[np.integer], num_tokens: int) -> Ints:
    counts = np.zeros(num_tokens, dtype=np.int64)
    known = _seen(values[:_GLANCE], num_tokens)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        left = len(block)
        if 0 < len(known) <= _FEW:
            left = _count_known(block, counts, known)
        if left:  # in blocks that fit the cache: bincount makes 64-bit copies of what it counts
            found = np.bincount(block, minlength=num_tokens)
            if left < len(block):
                found[known] = 0
            counts += found
        if left and num_tokens <= _BYTES and len(known) <= _FEW:
            known = _by_count(counts)
    return counts


def _seen(values: npt.NDArray[np.integer], num_tokens: int) -> list[int]:
    """The ids of the first steps, where few are to be expected: the most frequent first."""
    return _by_count(np.bincount(values, minlength=num_tokens)) if num_tokens <= _BYTES else []


def _by_count(counts: Ints) -> list[int]:
    found: list[int] = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)].tolist()
    return found


def _count_known(block: npt.NDArray[np.integer], counts: Ints, known: list[int]) -> int:
    """Count id by id until all are found, frequent ones first; how many are left."""
    left = len(block)
    for token in known:
        found = int(np.count_nonzero(block == token))
        counts[token] += found
        left -= found
        if not left:
            break
    return left


def count_records(ids: Ragged, rows: npt.NDArray[np.bool_], *, num_tokens: int) -> Ints:
    """Marked rows that hold each id, `(V,)`."""
    tokens, _ = _held(ids, rows, num_tokens=num_tokens)
    return np.bincount(tokens, minlength=num_tokens).astype(np.int64)


def count_by_label(
    ids: Ragged, rows: npt.NDArray[np.bool_], labels: Ints, *, num_tokens: int, num_labels: int
) -> Ints:
    """Marked rows of each class that hold each id, `(V, C)`.

    Args:
        ids: R rows.
        rows: `(R,)` which count.
        labels: `(R,)` the class of each.
        num_tokens: V.
        num_labels: C.

    >>> from seqprep.ragged import from_lists
    >>> rows = from_lists([[0, 1, 1], [1]])
    >>> count_by_label(
    ...     rows, np.array([True, True]), np.array([0, 1]), num_tokens=2, num_labels=2).tolist()
    [[1, 0], [1, 1]]
    """
    tokens, row = _held(ids, rows, num_tokens=num_tokens)
    cells = tokens * num_labels + labels[row]
    counts = np.bincount(cells, minlength=num_tokens * num_labels).astype(np.int64)
    return counts.reshape(num_tokens, num_labels)


def _held(ids: Ragged, rows: npt.NDArray[np.bool_], *, num_tokens: int) -> tuple[Ints, Ints]:
    """(token, row) of every id that a marked row holds, each pair once."""
    marked = np.flatnonzero(rows)
    kept = take(ids, marked)
    cuts = np.flatnonzero(np.diff(kept.offsets[:-1] // _SORTED)) + 1
    tokens, places = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start, stop in pairwise([0, *cuts.tolist(), len(kept)]):
        offsets = kept.offsets[start : stop + 1]
        values = kept.values[int(offsets[0]) : int(offsets[-1])]
        token, row = _distinct(values, np.diff(offsets), num_tokens=num_tokens)
        tokens.append(token)
        places.append(marked[row + start])
    return np.concatenate(tokens), np.concatenate(places)


def _distinct(
    values: npt.NDArray[np.integer], lengths: Ints, *, num_tokens: int
) -> tuple[Ints, Ints]:
    """(token, row) of the rows that stand in `values` one after the other, each pair once.

    A pair is one number, the row before the token; those of 32 bits sort in half the time.
    """
    bits = max(num_tokens - 1, 1).bit_length()
    kind = np.int32 if len(lengths) << bits < 2**31 else np.int64
    heads = np.arange(len(lengths), dtype=np.int64) << bits
    pairs = np.repeat(heads.astype(kind), lengths)
    pairs |= values
    pairs.sort()
    first = np.ones(len(pairs), dtype=bool)
    np.not_equal(pairs[1:], pairs[:-1], out=first[1:])
    pairs = pairs[np.flatnonzero(first)].astype(np.int64)
    return pairs & ((1 << bits) - 1), pairs >> bits


def places_in(tokens: pa.Array, known: pa.Array) -> Ints:
    """The place of each token in `known`, as many as there are for one that it lacks.

    >>> places_in(pa.array(["b", "x"]), pa.array(["a", "b"])).tolist()
    [1, 2]
    """
    found = pc.index_in(tokens.cast(pa.large_string()), value_set=known.cast(pa.large_string()))
    return pc.fill_null(found, len(known)).to_numpy(zero_copy_only=False).astype(np.int64)
