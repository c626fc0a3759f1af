"""What stands in a dataset twice is told, with the sides of the split on which it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seqprep.duplicate_report import (
    Repeats,
    all_pairs,
    find_repeats,
    group_table,
    summary,
)
from seqprep.errors import ConfigError
from seqprep.ingest import ingest
from seqprep.options.near_duplicates import NearDuplicates
from seqprep.recipe import Split
from seqprep.source import Field, Source
from seqprep.splits import LEFT_OUT, TEST, TRAIN, VALIDATION
from seqprep.table import Table
from tests.synthetic import write_sequences

BY_PATH = Split(by="path", train=("train",), validation=("validation",), test=("test",))
ONE = " ".join(f"a{n}" for n in range(100))
EDITED = ONE.replace("a50", "edited")
TWO = " ".join(f"b{n}" for n in range(100))
RECORDS = [
    {"source": "train/0.txt", "text": ONE, "label": "x"},
    {"source": "test/1.txt", "text": EDITED, "label": "y"},
    {"source": "validation/2.txt", "text": EDITED, "label": "y"},
    {"source": "train/3.txt", "text": TWO, "label": "x"},
    {"source": "test/4.txt", "text": "too short", "label": "x"},
    {"source": "other/5.txt", "text": TWO + " b100", "label": "x"},
]


def repeats(store: Path, records: list[dict[str, Any]] = RECORDS, **changes: Any) -> Repeats:
    table = write_sequences(store, records, chunk_rows=2)
    options: dict[str, Any] = {"domain": "text", "split": BY_PATH, "base": store, **changes}
    return find_repeats(table, 0, **options)


def test_equal_and_nearly_equal_records_are_told_apart(tmp_path: Path) -> None:
    """A copy would count as a near pair, or an edited copy not at all."""
    found = repeats(tmp_path)
    assert found.content.tolist() == [0, 1, 1, 3, 4, 5]
    assert list(zip(found.pairs.left, found.pairs.right, strict=True)) == [(0, 1), (3, 5)]
    assert found.group.tolist() == [0, 0, 0, 3, 4, 3]
    told = summary(found, examples=10)
    assert (told["records"], told["contents"]) == (6, 5)
    assert told["exact"]["copies"] == 1
    assert (told["near"]["pairs"], told["near"]["groups"], told["near"]["records"]) == (2, 2, 5)


def test_pairs_are_counted_on_the_sides_that_preparation_leaves(tmp_path: Path) -> None:
    """A leak would be told that resolving equal records mends, or a real one not."""
    found = repeats(tmp_path)
    assert found.placed.tolist() == [TRAIN, TEST, VALIDATION, TRAIN, TEST, LEFT_OUT]
    assert found.sides.tolist() == [TRAIN, VALIDATION, VALIDATION, TRAIN, TEST, LEFT_OUT]
    told = summary(found, examples=10)
    assert told["exact"]["by_splits"] == {"validation-test": 1}
    assert told["near"]["by_splits"] == {"train-validation": 1}
    assert (told["near"]["across_splits"], told["near"]["other_label"]) == (1, 1)
    first = told["near"]["examples"][0]
    assert (first["left"], first["left_split"]) == ("train/0.txt#0", "train")
    assert (first["right"], first["right_split"]) == ("test/1.txt#0", "validation")
    assert told["near"]["examples"][1]["right_split"] is None


def test_chunks_and_workers_change_nothing(tmp_path: Path) -> None:
    """The report would depend on the machine."""
    one = all_pairs(repeats(tmp_path / "a"))
    table = write_sequences(tmp_path / "b", RECORDS, chunk_rows=5)
    two = find_repeats(table, 0, domain="text", split=BY_PATH, base=tmp_path, workers=3)
    assert all_pairs(two).equals(one)
    assert one["kind"].to_pylist() == ["exact", "near", "near"]


def test_nothing_twice_is_said_so(tmp_path: Path) -> None:
    """A dataset without duplicates would fail instead of passing."""
    told = summary(repeats(tmp_path, RECORDS[3:5]), examples=3)
    assert told["exact"]["copies"] == told["near"]["pairs"] == told["near"]["largest"] == 0
    assert told["near"]["examples"] == []


def test_values_are_refused(tmp_path: Path) -> None:
    """Signals would be compared by nothing."""
    with pytest.raises(ConfigError, match="domain: eeg has values"):
        repeats(tmp_path, domain="eeg")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"threshold": 0}, "threshold"),
        ({"threshold": 1.5}, "threshold"),
        ({"shingle": 0}, "shingle"),
        ({"shingle": 40}, "shingle"),
        ({"hashes": 8}, "hashes"),
        ({"action": "drop"}, "action"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], key: str) -> None:
    """A threshold that finds all or nothing would be taken in silence."""
    with pytest.raises(ConfigError, match=f"near_duplicates.{key} must be"):
        NearDuplicates(**options)


@pytest.mark.real
def test_what_the_news_and_the_transcripts_hold_twice(datasets: Path, tmp_path: Path) -> None:
    """Isoforms and reposts on both sides of the split would pass unseen."""
    news = Source(domain="text", path=str(datasets / "text_bbc_news"))
    label = Field(from_="file", pattern="_(coding|noncoding)_")
    path = str(datasets / "dna_cpat_coding_noncoding")
    transcripts = Source(domain="dna", path=path, label=label)
    figures = {}
    for name, source in (("news", news), ("transcripts", transcripts)):
        ingest(source, dataset=name, store=tmp_path)
        found = find_repeats(
            Table(tmp_path / name / "sequences"),
            0,
            domain=source.domain,
            split=Split(train=0.7, validation=0.1, test=0.2),
            base=tmp_path,
            workers=2,
        )
        told = summary(found, examples=0)
        figures[name] = (told["exact"]["copies"], told["near"]["pairs"])
        assert told["near"]["across_splits"] > 15
        assert told["near"]["other_label"] == 0
    assert figures == {"news": (98, 58), "transcripts": (2, 661)}


def test_groups_that_stand_are_joined_and_never_torn(tmp_path: Path) -> None:
    """Likes would be kept together by tearing a person's records apart, or the other way round."""
    people = ["ann", "bob", "cyd", "dee", "ann", "eve"]
    records = [{**row, "group": name} for row, name in zip(RECORDS, people, strict=True)]
    table = group_table(repeats(tmp_path, records))
    assert table["id"].to_pylist() == [f"{row['source']}#0" for row in RECORDS]
    assert table["group"].to_pylist() == ["ann", "ann", "ann", "dee", "ann", "dee"]
    names = table["group"].to_pylist()
    again = [{**row, "group": name} for row, name in zip(RECORDS, names, strict=True)]
    assert group_table(repeats(tmp_path / "again", again)).equals(table)
