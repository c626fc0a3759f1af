"""The shards of a split that are held in memory, read when they are asked for.

What is held stays while all of it fits the room; otherwise it goes before the next shards are read.
Needs only numpy and pyarrow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from seqprep import ragged
from seqprep.examples import Examples
from seqprep.ragged import Ints

Shards = tuple[int, ...]


class Held:
    """Examples of some shards, by number.

    Args:
        read: the rows of some shards, in their order. starts: `(S + 1,)` where each shard's rows
            begin in the split.
        sizes: `(S,)` bytes of each. room: bytes that may be held while nothing is being read.
    """

    def __init__(
        self, read: Callable[[Shards], Examples], *, starts: Ints, sizes: Ints, room: int
    ) -> None:
        self._read, self._starts, self._sizes, self._room = read, starts, sizes, room
        self._shards: Shards = ()
        self._examples: Examples | None = None

    def places(self, shards: Shards, rows: Ints) -> tuple[Examples, Ints]:
        """Examples with these shards among them, and where in it these rows of the split lie."""
        examples = self._with(shards)
        first = np.zeros(len(self._starts), np.int64)
        counts = np.diff(self._starts)[list(self._shards)]
        first[list(self._shards)] = ragged.to_offsets(counts)[:-1]
        shard = np.searchsorted(self._starts, rows, side="right") - 1
        return examples, rows - self._starts[shard] + first[shard]

    def all_of(self, shards: Shards) -> Examples:
        """All rows of these shards, shard after shard."""
        examples = self._with(shards)
        if self._shards == shards:
            return examples
        counts = np.diff(self._starts)[list(shards)]
        examples, places = self.places(shards, ragged.ranges(self._starts[list(shards)], counts))
        return examples.take(places)

    def _with(self, shards: Shards) -> Examples:
        """Examples with these shards among them."""
        missing = tuple(shard for shard in shards if shard not in self._shards)
        if self._examples is None or missing:
            if self._sizes[[*self._shards, *missing]].sum() > self._room:
                self._shards, self._examples = (), None  # let go before reading the next
                missing = shards
            new = self._read(missing)
            self._examples = new if self._examples is None else self._examples.concat(new)
            self._shards = (*self._shards, *missing)
        return self._examples
