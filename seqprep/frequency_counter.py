"""The counts of chunks, each with a dictionary of its own, merged to one table of frequencies.

Dictionaries merge in chunk order, so that one tokenising pass is enough and the table does not
depend on who counted. Those that wait take a part of the memory that the recipe gives.

Legend: V distinct tokens, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.chunk_ranks import ChunkRanks, Maps
from seqprep.frequency import Frequency, places_in
from seqprep.ragged import Ints

_WAITING_SHARE = 4
"""The part of the memory, one in so many, that dictionaries may take before they are merged."""
_NO_IDS = np.zeros(0, np.int32)
_COUNTED = ("counts", "records", "by_label")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkCounts:
    """What one chunk counts of its training rows.

    Args:
        tokens: `(V,)` its local dictionary. counts: `(V,)` occurrences.
        records: `(V,)` rows that hold the token; by_label: `(V, C)` of each class; None where they
            are not counted.
        label_totals: `(C,)` rows of each class. rows: how many there are.
    """

    tokens: pa.Array
    counts: Ints
    records: Ints | None = None
    by_label: Ints | None = None
    label_totals: Ints | None = None
    rows: int

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        counted = (getattr(self, name) for name in _COUNTED)
        return int(self.tokens.nbytes) + sum(one.nbytes for one in counted if one is not None)


class FrequencyCounter:
    """Merges the dictionaries and counts of chunks, which all count the same.

    Args:
        maps: keeps the place of each chunk's local ids among all tokens, so that `finish` can tell
            their ranks; None where nobody asks for them.
        memory_bytes: of which a part may hold dictionaries that wait, or what is merged twice over.
    """

    def __init__(self, maps: Maps | None = None, *, memory_bytes: int = 512 * 2**20) -> None:
        self._waiting_bytes = memory_bytes // _WAITING_SHARE
        self._tokens = pa.array([], pa.large_string())
        self._sums: dict[str, Ints] = {}
        self._label_totals: Ints | None = None
        self._num_records = 0
        self._waiting: list[tuple[int, ChunkCounts]] = []
        self._maps = maps

    def add(self, part: ChunkCounts, *, chunk: int = 0) -> None:
        """Add the next chunk; its number is that of its map."""
        self._waiting.append((chunk, part))
        self._num_records += part.rows
        if part.label_totals is not None:
            known = self._label_totals
            self._label_totals = part.label_totals + (0 if known is None else known)
        waiting = sum(part.size_bytes for _, part in self._waiting)
        # No more often than what is merged doubles, or all would be merged again for every chunk.
        if waiting > max(self._waiting_bytes, self._merged_bytes):
            self._fold()

    @property
    def _merged_bytes(self) -> int:
        return int(self._tokens.nbytes) + sum(sums.nbytes for sums in self._sums.values())

    def _fold(self) -> None:
        parts = [part.tokens.cast(pa.large_string()) for _, part in self._waiting]
        # Encoded where they lie, in chunks that share one dictionary: strings are not copied.
        coded = pa.chunked_array([self._tokens, *parts]).dictionary_encode().chunks
        ids = np.concatenate([_NO_IDS, *(chunk.indices.to_numpy() for chunk in coded)])
        start = len(self._tokens)
        if coded:
            self._tokens = coded[0].dictionary
        self._sums = {name: _grown(sums, len(self._tokens)) for name, sums in self._sums.items()}
        for chunk, part in self._waiting:
            places = ids[start : start + len(part.tokens)]
            start += len(part.tokens)
            if self._maps is not None:
                self._maps[chunk] = places
            for name in _COUNTED:
                counts = getattr(part, name)
                if counts is not None:
                    shape = (len(self._tokens), *counts.shape[1:])
                    sums = self._sums.setdefault(name, np.zeros(shape, np.int64))
                    np.add.at(sums, places, counts)  # a token may stand twice in a dictionary
        self._waiting = []

    def finish(self, known: pa.Array | None = None) -> tuple[Frequency, ChunkRanks]:
        """The merged table, and by chunk the rank of each local id (V: not in training).

        Args:
            known: `(V,)` tokens whose places are the ranks instead, where they were fitted before.
        """
        self._fold()
        counts = self._sums.get("counts", np.zeros(0, np.int64))
        order = pc.sort_indices(
            pa.table({"count": counts, "token": self._tokens.cast(pa.large_binary())}),
            sort_keys=[("count", "descending"), ("token", "ascending")],
        ).to_numpy()
        order = order[: int((counts > 0).sum())]
        rank = np.full(len(self._tokens), len(order), dtype=np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        sums = {name: found[order] for name, found in self._sums.items()}
        frequency = Frequency(
            tokens=self._tokens.take(pa.array(order)),
            counts=counts[order],
            records=sums.get("records"),
            num_records=self._num_records,
            by_label=sums.get("by_label"),
            label_totals=self._label_totals,
        )
        if known is not None:
            rank = places_in(self._tokens, known).astype(np.int32)
        return frequency, ChunkRanks(ranks=rank, maps={} if self._maps is None else self._maps)


def _grown(counts: Ints, size: int) -> Ints:
    return np.concatenate([counts, np.zeros((size - len(counts), *counts.shape[1:]), np.int64)])
