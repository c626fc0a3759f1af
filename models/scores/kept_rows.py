"""What is kept of training rows until an estimator is fitted on all of them at once.

Use it for estimators that need every row's numbers together, as a regression does; those that need
sums alone keep sums. Memory stays bounded however many rows there are.

Legend: R rows, P numbers of a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep import ragged
from seqprep.ragged import Ints, Ragged

MOST_BYTES = 2**24
"""Of numbers and symbols; a fit reads them some hundred times."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Some rows, as an estimator sees them.

    Args:
        labels: `(R,)` codes. numbers: `(R, P)` float64. symbols: R ragged rows, or None.
    """

    labels: npt.NDArray[np.integer]
    numbers: npt.NDArray[np.float64]
    symbols: Ragged | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size_bytes(self) -> int:
        """Of numbers and symbols."""
        values: npt.NDArray[Any] | None = None if self.symbols is None else self.symbols.values
        return self.numbers.nbytes + (0 if values is None else values.nbytes)

    def take(self, rows: Ints) -> Rows:
        """The named rows, in that order."""
        return replace(
            self,
            labels=self.labels[rows],
            numbers=self.numbers[rows],
            symbols=None if self.symbols is None else ragged.take(self.symbols, rows),
        )


class KeptRows:
    """Every training row; once they outgrow the room every second, then every fourth, and so on.

    Rows are stored by length, so the first ones alone would be the shortest.

    Args:
        most_bytes: the room.

    >>> kept = KeptRows(most_bytes=24)
    >>> for start in (0, 3):
    ...     numbers = np.arange(start, start + 3.0)[:, None]
    ...     kept.add(Rows(labels=np.zeros(3, np.int32), numbers=numbers))
    >>> kept.rows().numbers[:, 0].tolist()
    [0.0, 2.0, 4.0]
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self.stride = 1
        self._seen = 0
        self._parts: list[Rows] = []

    def add(self, rows: Rows) -> None:
        """Keep some more rows, all or every `stride`-th."""
        mine = np.arange(-self._seen % self.stride, len(rows), self.stride)
        self._seen += len(rows)
        self._parts.append(rows.take(mine))
        while sum(part.size_bytes for part in self._parts) > self.most_bytes:
            whole = self.rows()
            if len(whole) < 2:
                break
            self._parts = [whole.take(np.arange(0, len(whole), 2))]
            self.stride *= 2

    def rows(self) -> Rows:
        """All that is kept."""
        symbols = [part.symbols for part in self._parts if part.symbols is not None]
        return Rows(
            labels=np.concatenate([part.labels for part in self._parts]),
            numbers=np.concatenate([part.numbers for part in self._parts]),
            symbols=ragged.concat(symbols) if symbols else None,
        )
