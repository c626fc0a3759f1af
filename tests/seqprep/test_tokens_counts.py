"""Counting tokens: as a plain loop would, whichever rows are marked."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep import frequency
from seqprep.frequency import count_by_label, count_records, count_tokens
from seqprep.ragged import from_lists

NUM_TOKENS = st.sampled_from([1, 2, 17, 2**12])
ROWS = st.lists(
    st.tuples(st.lists(st.integers(0, 20), max_size=8), st.booleans(), st.integers(0, 2)),
    max_size=12,
)


@given(ROWS, NUM_TOKENS, st.integers(1, 9))
def test_counts_equal_a_plain_loop(
    drawn: list[tuple[list[int], bool, int]], num_tokens: int, block: int
) -> None:
    """Ranks, informativeness and usefulness would follow from wrong counts."""
    rows = [[token % num_tokens for token in tokens] for tokens, _, _ in drawn]
    marked = np.array([mark for _, mark, _ in drawn], dtype=bool)
    labels = np.array([label for _, _, label in drawn], dtype=np.int64)
    expected, records, cells = Counter[int](), Counter[int](), Counter[tuple[int, int]]()
    for tokens, mark, label in zip(rows, marked, labels.tolist(), strict=True):
        if mark:
            expected.update(tokens)
            records.update(set(tokens))
            cells.update((token, label) for token in set(tokens))
    ids = from_lists(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frequency, "_SORTED", block)
        patch.setattr(frequency, "_BLOCK", block)
        found = count_tokens(ids, marked, num_tokens=num_tokens)
        held = count_records(ids, marked, num_tokens=num_tokens)
        by_label = count_by_label(ids, marked, labels, num_tokens=num_tokens, num_labels=3)
    assert {n: found[n] for n in np.flatnonzero(found).tolist()} == expected
    assert {n: held[n] for n in np.flatnonzero(held).tolist()} == records
    places = zip(*(axis.tolist() for axis in np.nonzero(by_label)), strict=True)
    assert {place: by_label[place] for place in places} == cells


def test_pairs_beyond_32_bits_are_counted() -> None:
    """Many rows with a large vocabulary would overflow into one another's tokens."""
    rows = [[2**21 - 1, 5], *([] for _ in range(2**11 - 1)), [2**21 - 1]]
    held = count_records(from_lists(rows), np.ones(len(rows), dtype=bool), num_tokens=2**21)
    assert {n: int(held[n]) for n in np.flatnonzero(held).tolist()} == {5: 1, 2**21 - 1: 2}
