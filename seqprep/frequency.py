"""How often each token occurs in the training rows, and its rank.

Counting takes each chunk's local ids and dictionary; dictionaries merge in chunk order, so that one
tokenising pass is enough. Rank 0 is the most frequent token; ties are broken by the token's bytes.

Legend: V distinct tokens, N steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.ragged import Ints, Ragged, take

Ranks = npt.NDArray[np.int32]
"""`(V,)` the rank of each local id; as many as there are ranks for a token without one."""

_BLOCK = 2**18
_FEW = 16
"""Up to so many different tokens, comparing is faster than `bincount`."""
_FOLD_TOKENS = 4_000_000
"""Dictionary entries that may wait before they are merged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frequency:
    """Tokens of the training rows by rank.

    Args:
        tokens: `(V,)` strings, most frequent first.
        counts: `(V,)` occurrences in training rows.
        records: `(V,)` training records that hold the token; None where no rule asks for it.
        num_records: training records.
    """

    tokens: pa.Array
    counts: Ints
    records: Ints | None
    num_records: int

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
    if not rows.any():
        return np.zeros(num_tokens, dtype=np.int64)
    values = (ids if rows.all() else take(ids, np.flatnonzero(rows))).values
    counts = np.zeros(num_tokens, dtype=np.int64)
    count = _count_few if num_tokens <= _FEW else _count_many
    for start in range(0, len(values), _BLOCK):
        count(values[start : start + _BLOCK], counts)
    return counts


def _count_many(block: npt.NDArray[np.integer], counts: Ints) -> None:
    # In blocks that fit the cache: bincount makes 64-bit copies of what it counts.
    counts += np.bincount(block, minlength=len(counts))


def _count_few(block: npt.NDArray[np.integer], counts: Ints) -> None:
    """Count id by id until all are found; bases come before the rare ambiguity codes."""
    left = len(block)
    for token in range(len(counts)):
        found = int(np.count_nonzero(block == token))
        counts[token] += found
        left -= found
        if not left:
            return


def count_records(ids: Ragged, rows: npt.NDArray[np.bool_], *, num_tokens: int) -> Ints:
    """Marked rows that hold each id, `(V,)`."""
    row = np.repeat(np.arange(len(ids), dtype=np.int64), ids.lengths)
    marked = np.repeat(rows, ids.lengths)
    pairs = np.unique(row[marked] * num_tokens + ids.values[marked].astype(np.int64))
    return np.bincount(pairs % num_tokens, minlength=num_tokens).astype(np.int64)


class FrequencyCounter:
    """Merges the dictionaries and counts of chunks.

    Args:
        with_records: whether records are counted beside occurrences.
    """

    def __init__(self, *, with_records: bool) -> None:
        self._tokens = pa.array([], pa.large_string())
        self._counts = np.zeros(0, np.int64)
        self._records = np.zeros(0, np.int64) if with_records else None
        self._num_records = 0
        self._waiting: list[tuple[pa.Array, Ints, Ints | None]] = []
        self._maps: list[Ranks] = []

    def add(self, tokens: pa.Array, counts: Ints, records: Ints | None, *, rows: int) -> None:
        """Add the next chunk.

        Args:
            tokens: `(V,)` its local dictionary.
            counts: `(V,)` occurrences in its training rows.
            records: `(V,)` training rows with the token, if they are counted.
            rows: its training rows.
        """
        self._waiting.append((tokens.cast(pa.large_string()), counts, records))
        self._num_records += rows
        if sum(len(tokens) for tokens, _, _ in self._waiting) > max(
            _FOLD_TOKENS, 2 * len(self._tokens)
        ):
            self._fold()

    def _fold(self) -> None:
        parts = [self._tokens, *(tokens for tokens, _, _ in self._waiting)]
        coded = pa.concat_arrays(parts).dictionary_encode()
        ids = coded.indices.to_numpy(zero_copy_only=False)
        known, self._tokens = len(self._tokens), coded.dictionary
        self._counts = _grown(self._counts, len(self._tokens))
        if self._records is not None:
            self._records = _grown(self._records, len(self._tokens))
        start = known
        for tokens, counts, records in self._waiting:
            places = ids[start : start + len(tokens)]
            start += len(tokens)
            self._maps.append(places)
            self._counts[places] += counts
            if self._records is not None and records is not None:
                self._records[places] += records
        self._waiting = []

    def finish(self, known: pa.Array | None = None) -> tuple[Frequency, list[Ranks]]:
        """The merged table, and for each chunk the rank of each local id (V: not in training).

        Args:
            known: `(V,)` tokens whose places are the ranks instead, where they were fitted before.
        """
        self._fold()
        order = pc.sort_indices(
            pa.table({"count": self._counts, "token": self._tokens.cast(pa.large_binary())}),
            sort_keys=[("count", "descending"), ("token", "ascending")],
        ).to_numpy()
        order = order[: int((self._counts > 0).sum())]
        rank = np.full(len(self._tokens), len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        frequency = Frequency(
            tokens=self._tokens.take(pa.array(order)),
            counts=self._counts[order],
            records=None if self._records is None else self._records[order],
            num_records=self._num_records,
        )
        if known is not None:
            rank = places_in(self._tokens, known).astype(np.int32)
        return frequency, [rank[places] for places in self._maps]


def places_in(tokens: pa.Array, known: pa.Array) -> Ints:
    """The place of each token in `known`, as many as there are for one that it lacks.

    >>> places_in(pa.array(["b", "x"]), pa.array(["a", "b"])).tolist()
    [1, 2]
    """
    found = pc.index_in(tokens.cast(pa.large_string()), value_set=known.cast(pa.large_string()))
    return pc.fill_null(found, len(known)).to_numpy(zero_copy_only=False).astype(np.int64)


def _grown(counts: Ints, size: int) -> Ints:
    return np.concatenate([counts, np.zeros(size - len(counts), np.int64)])
