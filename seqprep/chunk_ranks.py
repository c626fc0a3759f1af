"""The ranks of chunks' local ids, worked out chunk by chunk when they are needed.

While chunks are counted nobody knows a rank: what is kept of each is the place of its local ids
among all tokens. Places and ranks of all chunks together would grow with the data.

Legend: V distinct tokens of all chunks, L local ids of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.int32]
"""`(L,)` the rank of each local id; as many as there are ranks for a token without one."""
Places = npt.NDArray[np.int32]
"""`(L,)` the place of each local id among all tokens."""


class Maps(Protocol):
    """Where the places of chunks wait, by the chunk's number; a dict keeps them in memory."""

    def __setitem__(self, chunk: int, places: Places, /) -> None:
        """Keep those of a chunk."""

    def __getitem__(self, chunk: int, /) -> Places:
        """Those of a chunk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkRanks:
    """The rank of each local id of any chunk.

    Args:
        ranks: `(V,)` of all tokens.
        maps: the places of each chunk's local ids among them.

    >>> maps = {7: np.array([2, 0], np.int32)}
    >>> ChunkRanks(ranks=np.array([5, 6, 4], np.int32), maps=maps)[7].tolist()
    [4, 5]
    """

    ranks: Ranks
    maps: Maps

    def __getitem__(self, chunk: int) -> Ranks:
        return self.ranks[self.maps[chunk]]
