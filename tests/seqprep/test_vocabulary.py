"""Counts, ranks and what the rules leave of a vocabulary."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.frequency import Frequency, count_records, count_tokens
from seqprep.frequency_counter import ChunkCounts, FrequencyCounter
from seqprep.preparation.transform import Transform
from seqprep.ragged import Ragged, to_offsets
from seqprep.schema import OOV, PAD
from seqprep.transforms.summarize import Summarize
from seqprep.vocabulary import build_vocabulary, complement_ids, complement_ranks

WORDS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), min_size=1, max_size=9)


def counted(
    rows: list[list[str]], *, chunk: int, training: list[bool], memory_bytes: int = 2**20
) -> Frequency:
    counter = FrequencyCounter(memory_bytes=memory_bytes)
    for start in range(0, len(rows), chunk):
        part, marks = rows[start : start + chunk], np.array(training[start : start + chunk])
        strings = sorted({word for row in part for word in row}, reverse=True)
        flat = [strings.index(word) for row in part for word in row]
        ids = Ragged(np.array(flat, np.int32), to_offsets([len(row) for row in part]))
        total = len(strings)
        counter.add(
            ChunkCounts(
                tokens=pa.array(strings, pa.string()),
                counts=count_tokens(ids, marks, num_tokens=total),
                records=count_records(ids, marks, num_tokens=total),
                rows=int(marks.sum()),
            )
        )
    return counter.finish()[0]


def test_a_token_that_stands_twice_in_a_dictionary_is_counted_whole() -> None:
    """Bytes that mean one letter would be counted once for all of them."""
    counter = FrequencyCounter({})
    counter.add(ChunkCounts(tokens=pa.array(["N", "A", "N"]), counts=np.array([2, 4, 3]), rows=1))
    found, ranks = counter.finish()
    assert found.tokens.to_pylist() == ["N", "A"] and found.counts.tolist() == [5, 4]
    assert ranks[0].tolist() == [0, 1, 0]


@given(WORDS, st.integers(1, 4), st.data())
def test_ranks_equal_a_sorted_counter(
    rows: list[list[str]], chunk: int, data: st.DataObject
) -> None:
    """Ranks would depend on chunks, on ties, or on rows outside training (mistake 8)."""
    training = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))
    inside = [row for row, mark in zip(rows, training, strict=True) if mark]
    counts = Counter(word for row in inside for word in row)
    records = Counter(word for row in inside for word in set(row))
    expected = sorted(counts, key=lambda word: (-counts[word], word))
    found = counted(rows, chunk=chunk, training=training)
    assert found.tokens.to_pylist() == expected
    assert found.counts.tolist() == [counts[word] for word in expected]
    assert found.records is not None
    assert found.records.tolist() == [records[word] for word in expected]
    assert found.num_records == len(inside)


def test_folding_early_changes_nothing() -> None:
    """Merging dictionaries in parts, which bounds memory, would move ranks."""
    rows = [["b", "a"], ["c", "a"], ["b", "d", "d"], ["a"]]
    whole = counted(rows, chunk=1, training=[True] * 4)
    parts = counted(rows, chunk=1, training=[True] * 4, memory_bytes=0)
    assert whole.tokens.equals(parts.tokens)
    assert whole.counts.tolist() == parts.counts.tolist()


TABLE = Frequency(
    tokens=pa.array(["the", "cat", "sat", "mat", "hat"]),
    counts=np.array([9, 4, 2, 2, 1]),
    records=np.array([4, 3, 2, 1, 1]),
    num_records=4,
)


@pytest.mark.parametrize(
    ("rules", "ids"),
    [
        ([{}], [2, 3, 4, 5, 6, OOV]),
        ([{"drop_top": 2}], [0, 0, 2, 3, 4, OOV]),
        ([{"min_count": 2}], [2, 3, 4, 5, 0, 0]),
        ([{"min_records": 2}], [2, 3, 4, 0, 0, 0]),
        ([{"max_share": 0.75}], [0, 2, 3, 4, 5, OOV]),
        ([{"max_vocab": 2}], [2, 3, OOV, OOV, OOV, OOV]),
        ([{"drop_top": 1, "min_count": 2, "max_vocab": 2}], [0, 2, 3, OOV, 0, 0]),
        ([{"drop_top": 1, "min_count": 2, "max_vocab": 3}], [0, 2, 3, 4, 0, 0]),
        ([{"drop_top": 1}, {"min_count": 2}], [0, 2, 3, 4, 0, 0]),
        ([{"max_vocab": 3}, {"min_count": 5}], [2, 0, 0, 0, 0, 0]),
        ([{"max_vocab": 3}, {"min_count": 2}], [2, 3, 4, 0, 0, 0]),
    ],
)
def test_rules_leave_the_right_ids(rules: list[dict[str, int]], ids: list[int]) -> None:
    """Unknown and removed tokens would be confused, or an id never be used."""
    steps: list[Transform] = [Summarize(**rule) for rule in rules]  # type: ignore[arg-type]
    found = build_vocabulary(TABLE, steps)
    assert np.where(found.removed, 0, found.ids).tolist() == ids
    assert PAD not in found.ids.tolist()


@pytest.mark.parametrize(("share", "records"), [(0.29, 29), (0.57, 57), (0.07, 7)])
def test_a_share_is_not_more_than_itself(share: float, records: int) -> None:
    """0.29 of 100 is a little below 29 in floating point, and the token would go."""
    counts = np.array([records + 1, records])
    table = Frequency(
        tokens=pa.array(["more", "same"]), counts=counts, records=counts, num_records=100
    )
    found = build_vocabulary(table, [Summarize(max_share=share)])
    assert found.removed.tolist() == [True, False, False]


def test_padding_and_unknown_are_two_ids() -> None:
    """A word that training lacks would look like padding (mistake 3)."""
    assert PAD != OOV
    ids = build_vocabulary(TABLE, []).ids
    assert ids[len(TABLE)] == OOV
    assert PAD not in ids.tolist()


def test_a_cap_of_tokens_counts_after_the_rules() -> None:
    """`tokens.max_vocab` would count tokens that the rules have removed."""
    capped = build_vocabulary(TABLE, [Summarize(drop_top=1)], max_vocab=2)
    assert capped.ids.tolist() == [OOV, 2, 3, OOV, OOV, OOV]
    assert capped.removed.tolist() == [True, False, False, False, False, False]
    assert capped.tokens.to_pylist() == ["cat", "sat"]
    assert capped.size == 4


def test_complements_of_unseen_kmers_are_unknown() -> None:
    """A view of the other strand would hold ids that do not exist."""
    table = Frequency(
        tokens=pa.array(["AC", "AA", "GT"]), counts=np.array([3, 2, 1]), records=None, num_records=1
    )
    assert complement_ranks(table).tolist() == [2, 3, 0, 3]
    assert complement_ids(build_vocabulary(table, [])).tolist() == [0, 1, 4, OOV, 2]
