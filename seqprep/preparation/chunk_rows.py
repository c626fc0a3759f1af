"""The records of one chunk as the roster decided on them: all that a pass must know of it.

Legend: R records of the chunk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from seqprep.preparation.roster import Roster
from seqprep.splits import Codes
from seqprep.staging import StagedFile


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkRows:
    """R records.

    Args:
        number: of the chunk. place: the file and the row group that hold it.
        splits: `(R,)` index into SPLITS; LEFT_OUT for records that give no example.
        labels: `(R,)` class codes or numbers; None for tasks without. num_labels: of all records.
    """

    number: int
    place: tuple[StagedFile, int]
    splits: Codes
    labels: npt.NDArray[np.generic] | None
    num_labels: int

    @classmethod
    def of(cls, roster: Roster, number: int) -> Self:
        """The records of a chunk of a roster."""
        rows = roster.rows(number)
        return cls(
            number=number,
            place=roster.chunks[number],
            splits=roster.splits[rows],
            labels=None if roster.labels is None else roster.labels[rows],
            num_labels=len(roster.names),
        )
