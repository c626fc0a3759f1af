"""Equal records: one copy stays, and none is on two sides of a split (CONTRACT 8).

Records are equal when their content hashes are (DNA: the hash is that of the smaller strand). What
happens to training rows never depends on rows of another split.

Legend: R records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqprep.ragged import Ints, Keys

Bools = npt.NDArray[np.bool_]
_PART_ROWS = 2**18
"""About so many records are sorted at a time, at most 256 parts of all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """What becomes of each record.

    Args:
        duplicate: `(R,)` left out because an equal record was kept.
        conflicting: `(R,)` left out because equal records of its split have different labels or
            targets.
    """

    duplicate: Bools
    conflicting: Bools

    @property
    def kept(self) -> Bools:
        """Records that stay, `(R,)`."""
        return ~(self.duplicate | self.conflicting)


def resolve_duplicates(
    content: Ints,
    splits: npt.NDArray[np.integer],
    labels: npt.NDArray[np.generic],
    order: Callable[[], Ints],
    *,
    keep: Literal["one", "all"],
) -> Resolved:
    """Decide which of equal records stay.

    Equal records of one split with different labels all go. Of the others the copy in the first
    split (train, validation, test) stays, in it the first by `order`; with `keep="all"` every copy
    in that split. Copies in later splits go in either case: moving them would tear their group.

    Args:
        content: `(R,)` number of each record's content; equal records have the same.
        splits: `(R,)` index into SPLITS.
        labels: `(R,)` label codes or numbers, or hashes of targets.
        order: gives `(R,)` the place of each record by (path, record number); asked only where
            records are equal.
        keep: `one` copy or `all` of one split.

    >>> one = np.array([7, 7, 7]); where = np.array([1, 0, 0]); no = np.zeros(3)
    >>> resolve_duplicates(one, where, no, lambda: np.arange(3), keep="one").kept.tolist()
    [False, True, False]
    """
    if count_distinct(content) == len(content):
        none = np.zeros(len(content), dtype=bool)
        return Resolved(duplicate=none, conflicting=none)
    ranking = np.lexsort((order(), splits, content))
    sorted_content, sorted_splits = content[ranking], splits[ranking]
    cell_start = _changes(sorted_content, sorted_splits)
    cell = np.cumsum(cell_start) - 1
    first_label = labels[ranking][cell_start][cell] if len(ranking) else labels
    differs = np.zeros(int(cell_start.sum()), dtype=bool)
    np.logical_or.at(differs, cell, labels[ranking] != first_label)
    conflicting = np.zeros(len(content), dtype=bool)
    conflicting[ranking] = differs[cell]
    ranking = ranking[~differs[cell]]
    sorted_content, sorted_splits = content[ranking], splits[ranking]
    starts = _changes(sorted_content)
    stays = starts
    if keep == "all":
        first = np.flatnonzero(starts)[np.cumsum(starts) - 1]
        stays = sorted_splits == sorted_splits[first]
    duplicate = np.zeros(len(content), dtype=bool)
    duplicate[ranking] = ~stays
    return Resolved(duplicate=duplicate, conflicting=conflicting)


def resolve_records(
    high: Keys,
    low: Callable[[], Keys],
    splits: npt.NDArray[np.int8],
    labels: npt.NDArray[np.generic],
    order: Callable[[Ints], Ints],
    *,
    keep: Literal["one", "all"],
) -> Resolved:
    """The same for very many records, of which only equal ones are looked at, a part at a time.

    Args:
        high: `(R,)` 8 bytes of each content's digest.
        low: gives `(R,)` 8 more; asked only where the first are equal.
        splits: `(R,)` index into SPLITS.
        labels: as for `resolve_duplicates`.
        order: gives the place of some records by (path, record number).
        keep: as for `resolve_duplicates`.
    """
    duplicate, conflicting = (np.zeros(len(high), dtype=bool) for _ in range(2))
    for (part,) in hash_parts(high):
        rows = part[_repeated(high[part])]
        if len(rows):
            found = resolve_duplicates(
                number_contents(high[rows], low()[rows]),
                splits[rows],
                labels[rows],
                partial(order, rows),
                keep=keep,
            )
            duplicate[rows], conflicting[rows] = found.duplicate, found.conflicting
    return Resolved(duplicate=duplicate, conflicting=conflicting)


def hash_parts(*hashes: Keys) -> Iterator[tuple[Ints, ...]]:
    """The numbers of the records of several lists, in parts by the highest bits of their hashes.

    Equal hashes are in one part, so that parts may be sorted one after the other.

    >>> [[some.tolist() for some in part] for part in hash_parts(np.array([9, 1, 9], np.uint64))]
    [[[0, 1, 2]]]
    """
    bits = min((max(map(len, hashes)) // _PART_ROWS).bit_length(), 8)
    if not bits:
        yield tuple(np.arange(len(keys)) for keys in hashes)
        return
    highest = [_highest(keys, bits) for keys in hashes]
    for number in range(2**bits):
        yield tuple(np.flatnonzero(high == number) for high in highest)


def _highest(keys: Keys, bits: int) -> npt.NDArray[np.uint8]:
    high = np.empty(len(keys), dtype=np.uint8)
    for start in range(0, len(keys), _PART_ROWS):
        high[start : start + _PART_ROWS] = keys[start : start + _PART_ROWS] >> np.uint64(64 - bits)
    return high


def _repeated(keys: Keys) -> Bools:
    """Which keys are not the only one of their kind, `(R,)`."""
    ordered = np.sort(keys)
    twice = ordered[1:][~_changes(ordered)[1:]]
    if not len(twice):
        return np.zeros(len(keys), dtype=bool)
    place = np.minimum(np.searchsorted(twice, keys), len(twice) - 1)
    return twice[place] == keys


def number_contents(high: Keys, low: Keys) -> Ints:
    """A number for each digest, equal for equal ones, `(R,)`.

    Args:
        high: `(R,)` 8 bytes of each digest.
        low: `(R,)` 8 more.

    >>> three = np.array([4, 9, 4], np.uint64)
    >>> number_contents(three, np.array([1, 1, 1], np.uint64)).tolist()
    [0, 1, 0]
    """
    if count_distinct(high) == len(high):
        return np.arange(len(high))
    order = np.lexsort((low, high))
    result = np.empty(len(high), dtype=np.int64)
    result[order] = np.cumsum(_changes(high[order], low[order])) - 1
    return result


def count_distinct(numbers: npt.NDArray[np.generic]) -> int:
    """How many different numbers there are; NumPy's `unique` takes several times as long.

    >>> count_distinct(np.array([4, 9, 4]))
    2
    """
    return int(_changes(np.sort(numbers)).sum())


def _changes(*columns: npt.NDArray[np.generic]) -> Bools:
    """Marks the first of each run of equal rows."""
    marks = np.zeros(len(columns[0]), dtype=bool)
    marks[:1] = True
    for column in columns:
        marks[1:] |= column[1:] != column[:-1]
    return marks
