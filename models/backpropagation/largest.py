"""The largest batches that any epoch can bring, from lengths alone.

Epochs cut their batches elsewhere, so what is checked is not a plan but every pair of rows and
steps that the settings allow. What is drawn in training only ever shortens a row, to any length.

Legend: R rows of a split.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.backpropagation.activations import Size
from seqprep.plan import BatchSettings
from seqprep.ragged import Ints

_FINE = 64
"""Numbers of rows up to which each is tried; beyond, in steps of a sixteenth."""


def largest(
    lengths: Ints,
    settings: BatchSettings,
    *,
    drawn: bool = False,
    world: int = 1,
    symbols: int = 0,
) -> list[Size]:
    """For each number of rows the longest batch that may have so many, in one of its processes.

    Args:
        lengths: `(R,)` steps of each row as it is stored.
        settings: of the batches.
        drawn: whether epochs draw steps of the rows.
        world: processes that share a batch.
        symbols: of the longest target; 0 without.

    >>> [(s.rows, s.steps) for s in largest(np.array([2, 2, 3, 9]), BatchSettings(batch_tokens=6))]
    [(1, 9), (2, 3)]
    >>> [s.steps for s in largest(np.array([9, 9, 9]), BatchSettings(batch_tokens=6), drawn=True)]
    [9, 3, 2]
    """
    rising = np.sort(lengths)
    sizes = []
    for rows, most in _counts(min(settings.max_rows or len(rising), len(rising))):
        room = settings.batch_tokens // rows
        within = int(np.searchsorted(rising, room, side="right"))
        if rows == 1:
            steps = int(rising[-1])  # a longer row is a batch of its own
        elif drawn:
            steps = min(room, int(rising[-1]))
        elif within < rows:
            break
        else:
            steps = int(rising[within - 1])
        sizes.append(Size(rows=-(-most // world), steps=max(1, steps), symbols=symbols))
    return sizes


def _counts(most: int) -> Iterator[tuple[int, int]]:
    """Numbers of rows, each with the last one that it stands for."""
    rows = 1
    while rows <= most:
        last = rows if rows <= _FINE else min(most, rows + rows // 16)
        yield rows, last
        rows = last + 1
