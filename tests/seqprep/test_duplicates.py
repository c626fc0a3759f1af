"""Equal records: one stays, none on two sides, training independent of the rest."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep import duplicates
from seqprep.duplicates import Resolved, count_distinct, resolve_duplicates, resolve_records
from seqprep.hashing import mix

RECORDS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)), min_size=1, max_size=14
)
Records = list[tuple[int, int, int]]


def resolved(records: Records, keep: Literal["one", "all"]) -> Resolved:
    content, splits, labels = (np.array(column) for column in zip(*records, strict=True))
    places = np.arange(len(records))
    return resolve_duplicates(content, splits, labels, lambda: places, keep=keep)


def plain(records: Records, keep: str) -> tuple[list[bool], list[bool]]:
    conflicting = [len({r[2] for r in records if r[:2] == record[:2]}) > 1 for record in records]
    stays = []
    for number, record in enumerate(records):
        rivals = [
            (r[1], n) for n, r in enumerate(records) if r[0] == record[0] and not conflicting[n]
        ]
        best = min(rivals, default=None)
        chosen = best is not None and (
            best == (record[1], number) if keep == "one" else best[0] == record[1]
        )
        stays.append(chosen and not conflicting[number])
    return stays, conflicting


@pytest.mark.parametrize("keep", ["one", "all"])
@given(records=RECORDS)
def test_what_stays_equals_a_plain_loop(records: Records, keep: Literal["one", "all"]) -> None:
    """A copy too many would stay, or the wrong one go."""
    found = resolved(records, keep)
    stays, conflicting = plain(records, keep)
    assert found.kept.tolist() == stays
    assert found.conflicting.tolist() == conflicting


@pytest.mark.parametrize("keep", ["one", "all"])
@given(records=RECORDS)
def test_no_content_is_in_two_splits(records: Records, keep: Literal["one", "all"]) -> None:
    """The test would hold what training has seen."""
    found = resolved(records, keep)
    places: dict[int, set[int]] = {}
    for record, stays in zip(records, found.kept.tolist(), strict=True):
        if stays:
            places.setdefault(record[0], set()).add(record[1])
    assert all(len(where) == 1 for where in places.values())


@pytest.mark.parametrize("keep", ["one", "all"])
@given(records=RECORDS, other=RECORDS)
def test_training_rows_do_not_depend_on_other_splits(
    records: Records, other: Records, keep: Literal["one", "all"]
) -> None:
    """Adding test records would change what is trained on."""
    training = [(content, 0, label) for content, _, label in records]
    held = [(content, 1 + split % 2, label) for content, split, label in other]
    alone = resolved(training, keep).kept.tolist()
    beside = resolved([*training, *held], keep).kept.tolist()
    assert beside[: len(training)] == alone


@pytest.mark.parametrize("keep", ["one", "all"])
@given(records=RECORDS, rows=st.integers(1, 20), clash=st.booleans())
def test_parts_of_records_settle_as_all_together(
    records: Records, keep: Literal["one", "all"], rows: int, clash: bool
) -> None:
    """Equal records would lie in two parts, or records with half a digest in common be equal."""
    content, splits, labels = (np.array(column) for column in zip(*records, strict=True))
    digests = mix(content.astype(np.uint64), 0)
    low, high = digests, mix(content.astype(np.uint64) // 2, 0) if clash else digests
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_PART_ROWS", rows)
        assert sum(len(rows) for (rows,) in duplicates.hash_parts(high)) == len(records)
        found = resolve_records(
            high,
            lambda: low,
            splits.astype(np.int8),
            labels,
            lambda some: np.argsort(np.argsort(some)),
            keep=keep,
        )
    wanted = resolved(records, keep)
    assert found.kept.tolist() == wanted.kept.tolist()
    assert found.conflicting.tolist() == wanted.conflicting.tolist()


@given(st.lists(st.integers(0, 5)))
def test_distinct_numbers_are_counted_once(numbers: list[int]) -> None:
    """The number of groups would be wrong."""
    assert count_distinct(np.array(numbers, np.uint64)) == len(set(numbers))
