"""Maps of chunks in memory while there is room beside the chunks, then on disk beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqprep.chunk_ranks import Places
from seqprep.preparation.spill import SpillFolder


class SpilledMaps:
    """`chunk_ranks.Maps` in a folder of spilled chunks; any thread may read.

    Args:
        folder: of the chunks, which shares its room in memory.
        name: that sets its files apart from others there.
    """

    def __init__(self, folder: SpillFolder, name: str) -> None:
        self._folder, self._name = folder, name
        self._held: dict[int, Places] = {}

    @property
    def held_bytes(self) -> int:
        """Of the maps in memory."""
        return sum(places.nbytes for places in self._held.values())

    def _path(self, chunk: int) -> Path:
        return self._folder.path / f"{self._name}-{chunk}"

    def __setitem__(self, chunk: int, places: Places) -> None:
        assert places.dtype == np.int32, places.dtype
        if self._folder.claim(places.nbytes):
            self._held[chunk] = places.copy()  # a slice keeps those of other chunks alive
        else:
            places.tofile(self._path(chunk))

    def __getitem__(self, chunk: int) -> Places:
        held = self._held.get(chunk)
        return np.fromfile(self._path(chunk), np.int32) if held is None else held
