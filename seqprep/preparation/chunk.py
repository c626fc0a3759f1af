"""A chunk of rows on its way through a chain, and what a technique may know beside it.

Legend: R rows, N steps of all rows together, F features of a step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqprep import ragged
from seqprep.ragged import Ints, Keys, Ragged
from seqprep.schema import SPLITS

Kind = Literal["selects", "merges", "maps", "views", "cuts"]
"""What a technique does: selects steps, merges steps, maps each step to another, makes a view, or
cuts a row into rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """R rows of steps with everything that must stay beside them.

    Args:
        steps: tokens `(N,)` or values `(N, F)`.
        targets: per-step targets with the same row lengths, `(N,)` or `(N, K)`; None without.
        keys: `(R,)` hash of the record each row belongs to.
        rows: `(R,)` number of that record in the chunk's table.
        splits: `(R,)` index into SPLITS.
        views: `(R,)` number of the view. windows: `(R,)` number of the window.
    """

    steps: Ragged
    targets: Ragged | None = None
    keys: Keys
    rows: Ints
    splits: npt.NDArray[np.int8]
    views: Ints
    windows: Ints

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def lengths(self) -> Ints:
        """Steps of each row, `(R,)`."""
        return self.steps.lengths

    @property
    def first_views(self) -> Ints:
        """The first view that each row's split holds (1 where training lost view 0), `(R,)`."""
        lowest = np.full(len(SPLITS), np.iinfo(np.int64).max)
        np.minimum.at(lowest, self.splits, self.views)
        return lowest[self.splits]

    def by_split(self, numbers: npt.NDArray[Any]) -> Ints:
        """Sums of `numbers` `(R,)` by split, `(3,)`."""
        return np.bincount(self.splits, weights=numbers, minlength=len(SPLITS)).astype(np.int64)

    def keep(self, marks: npt.NDArray[np.bool_]) -> Chunk:
        """The same rows with the marked steps, `(N,)`; targets by the same marks."""
        targets = self.targets and ragged.keep(self.targets, marks)
        return replace(self, steps=ragged.keep(self.steps, marks), targets=targets)

    def cut(self, starts: Ints, sizes: Ints) -> Chunk:
        """The same rows with P spans of each, `(R, P)`; targets by the same spans."""
        targets = self.targets and ragged.cut(self.targets, starts, sizes)
        return replace(self, steps=ragged.cut(self.steps, starts, sizes), targets=targets)

    def take(self, rows: Ints) -> Chunk:
        """The named rows, in that order; a row may be named more than once."""
        return Chunk(
            steps=ragged.take(self.steps, rows),
            targets=self.targets and ragged.take(self.targets, rows),
            keys=self.keys[rows],
            rows=self.rows[rows],
            splits=self.splits[rows],
            views=self.views[rows],
            windows=self.windows[rows],
        )


def concat(chunks: list[Chunk]) -> Chunk:
    """The rows of several chunks, one after the other."""
    first = chunks[0]
    targets = None
    if first.targets is not None:
        targets = ragged.concat([chunk.targets for chunk in chunks if chunk.targets is not None])
    return Chunk(
        steps=ragged.concat([chunk.steps for chunk in chunks]),
        targets=targets,
        keys=np.concatenate([chunk.keys for chunk in chunks]),
        rows=np.concatenate([chunk.rows for chunk in chunks]),
        splits=np.concatenate([chunk.splits for chunk in chunks]),
        views=np.concatenate([chunk.views for chunk in chunks]),
        windows=np.concatenate([chunk.windows for chunk in chunks]),
    )
