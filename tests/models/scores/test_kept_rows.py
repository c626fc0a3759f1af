"""Rows are kept whole and evenly, in bounded memory."""

from __future__ import annotations

import numpy as np

from models.scores.kept_rows import KeptRows, Rows
from seqprep.ragged import from_lists, to_lists


def rows(start: int, count: int) -> Rows:
    numbers = np.arange(start, start + count)
    return Rows(
        labels=numbers % 3,
        numbers=numbers[:, None].astype(np.float64),
        symbols=from_lists([[n] * (n % 4) for n in numbers.tolist()]),
    )


def test_all_rows_stay_while_there_is_room() -> None:
    """A baseline on a part of the rows would be weaker than it need be."""
    kept = KeptRows()
    for start in range(0, 100, 7):
        kept.add(rows(start, 7))
    assert kept.stride == 1
    assert kept.rows().numbers[:, 0].tolist() == list(range(105))


def test_memory_is_bounded_and_rows_are_spread_evenly() -> None:
    """Rows come by length: the first ones alone would be the shortest, all of them too many."""
    kept = KeptRows(most_bytes=2000)
    for start in range(0, 3000, 13):
        kept.add(rows(start, 13))
    found = kept.rows()
    assert found.size_bytes <= 2000
    numbers = found.numbers[:, 0].astype(int)
    assert len(numbers) > 2000 / (8 + 1.5 * 8) / 2 - 1
    assert set(np.diff(numbers)) == {kept.stride}
    assert (found.labels == numbers % 3).all()
    assert found.symbols is not None
    assert to_lists(found.symbols) == [[n] * (n % 4) for n in numbers.tolist()]


def test_a_row_larger_than_the_room_stays() -> None:
    """A fit on no rows would fail."""
    kept = KeptRows(most_bytes=1)
    kept.add(rows(0, 5))
    kept.add(rows(5, 5))
    assert len(kept.rows()) == 1
