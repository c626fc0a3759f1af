"""How many rows of each split have each length: exact, and small whatever the number of rows.

Two of them add up, and what is removed can be taken off again, so that the numbers of a dataset
follow from those of its parts.

Legend: n distinct lengths, in steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqprep.ragged import Ints
from seqprep.schema import SPLITS

HISTOGRAM_BINS = 64
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
LONG_STEPS = (250, 500)
_BLOCK = 2**18


@dataclass(frozen=True, kw_only=True, slots=True)
class LengthCounts:
    """Rows by length and split.

    Args:
        values: `(n,)` distinct lengths, rising.
        counts: `(n, 3)` rows of each length by split.
    """

    values: Ints
    counts: Ints

    @classmethod
    def of(cls, lengths: npt.ArrayLike, splits: npt.ArrayLike) -> LengthCounts:
        """Count rows of these lengths `(R,)`, each in a split `(R,)`; none of a negative one.

        >>> LengthCounts.of([3, 1, 3, 9], [0, 0, 2, -1]).counts.tolist()
        [[1, 0, 0], [1, 0, 1]]
        """
        lengths, splits = np.asarray(lengths), np.asarray(splits)
        cells, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for start in range(0, len(lengths), _BLOCK):
            some, rows = _counted(lengths[start : start + _BLOCK], splits[start : start + _BLOCK])
            cells.append(some)
            counts.append(rows)
        return _of_cells(np.concatenate(cells), np.concatenate(counts))

    def to_json(self) -> dict[str, Any]:
        """Plain lists, for state that is kept.

        >>> LengthCounts.of([3], [2]).to_json()
        {'values': [3], 'counts': [0, 0, 1]}
        """
        return {"values": self.values.tolist(), "counts": self.counts.ravel().tolist()}

    @classmethod
    def from_json(cls, body: Any) -> LengthCounts:
        """Read what `to_json` gave, or the pair of lists that earlier versions kept."""
        values, counts = body if isinstance(body, list) else (body["values"], body["counts"])
        return cls(
            values=np.asarray(values, np.int64),
            counts=np.asarray(counts, np.int64).reshape(-1, len(SPLITS)),
        )

    def plus(self, other: LengthCounts, *, sign: int = 1) -> LengthCounts:
        """Both together; `sign=-1` takes the other off."""
        cells = np.concatenate([part._cells() for part in (self, other)])
        counts = np.concatenate([self.counts.ravel(), sign * other.counts.ravel()])
        return _of_cells(cells, counts)

    def of_split(self, code: int) -> LengthCounts:
        """Only the rows of one split."""
        only = np.zeros_like(self.counts)
        only[:, code] = self.counts[:, code]
        return LengthCounts(values=self.values, counts=only)

    @property
    def rows(self) -> Ints:
        """Rows of each length in any split, `(n,)`."""
        return self.counts.sum(axis=1)

    @property
    def present(self) -> tuple[Ints, Ints]:
        """Lengths that occur, and the rows of each."""
        some = self.rows > 0
        return self.values[some], self.rows[some]

    def share_above(self, limit: int) -> float:
        """The share of rows longer than `limit` steps; 0 without rows."""
        total = int(self.rows.sum())
        return float(self.rows[self.values > limit].sum() / total) if total else 0.0

    def _cells(self) -> Ints:
        return (self.values[:, None] * len(SPLITS) + np.arange(len(SPLITS))).ravel()


def sum_lengths(parts: Sequence[LengthCounts]) -> LengthCounts:
    """All parts together."""
    if not parts:
        return LengthCounts.of([], [])
    cells = np.concatenate([part._cells() for part in parts])
    return _of_cells(cells, np.concatenate([part.counts.ravel() for part in parts]))


def _counted(lengths: npt.NDArray[Any], splits: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """Numbers that stand for (length, split), and the rows of each."""
    here = splits >= 0
    cells = lengths[here].astype(np.int64) * len(SPLITS) + splits[here]
    cells.sort()  # `unique` takes several times as long
    starts = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])[: len(cells)])
    return cells[starts], np.diff(np.append(starts, len(cells)))


def _of_cells(cells: Ints, counts: Ints) -> LengthCounts:
    """From counts of numbers that stand for (length, split), each perhaps several times."""
    values, place = np.unique(cells // len(SPLITS), return_inverse=True)
    found = np.zeros((len(values), len(SPLITS)), dtype=np.int64)
    np.add.at(found, (place, cells % len(SPLITS)), counts)
    some = found.any(axis=1)
    return LengthCounts(values=values[some], counts=found[some])


def histogram(lengths: LengthCounts) -> dict[str, list[int]]:
    """Edges and counts of at most HISTOGRAM_BINS bins of lengths, the last one perhaps narrower.

    >>> histogram(LengthCounts.of([1, 2, 2], [0, 0, 0]))
    {'edges': [1, 2, 3], 'counts': [1, 2]}
    """
    values, rows = lengths.present
    if not len(values):
        return {"edges": [0, 1], "counts": [0]}
    low, high = int(values[0]), int(values[-1]) + 1
    width = -(-(high - low) // HISTOGRAM_BINS)
    bins = -(-(high - low) // width)
    counts = np.bincount((values - low) // width, weights=rows, minlength=bins).astype(np.int64)
    edges = [*(low + width * number for number in range(bins)), high]
    return {"edges": edges, "counts": counts.tolist()}


def quantiles(lengths: LengthCounts) -> dict[str, float]:
    """Lengths at QUANTILES, in steps, between two rows in proportion.

    >>> quantiles(LengthCounts.of([1, 2, 4, 4], [0, 0, 0, 0]))["0.5"]
    3.0
    """
    values, rows = lengths.present
    if not len(values):
        return {}
    ends = np.cumsum(rows)
    places = np.asarray(QUANTILES) * (ends[-1] - 1)
    below = values[np.searchsorted(ends, np.floor(places), side="right")]
    above = values[np.searchsorted(ends, np.ceil(places), side="right")]
    found = below + (above - below) * (places - np.floor(places))
    return {f"{share:g}": float(value) for share, value in zip(QUANTILES, found, strict=True)}


def long_shares(lengths: LengthCounts) -> dict[str, float]:
    """The share of rows above each of LONG_STEPS."""
    return {str(limit): lengths.share_above(limit) for limit in LONG_STEPS}
