"""Tables of labels and groups that gain lines with new files, or change those of old ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from seqprep.errors import ConfigError, SeqprepError
from seqprep.ingest import Ingested, ingest
from seqprep.prepare import Prepared, prepare
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.source import Field, Source
from seqprep.table import Table
from tests.sources import stored_rows

LABELS = [("neg", "pos")[n % 2] for n in range(60)]


def write(folder: Path, count: int, *, lines: int | None = None, change: int | None = None) -> None:
    """`count` documents, and a table that names the first `lines` of them."""
    source = folder / "in"
    source.mkdir(exist_ok=True)
    for number in range(count):
        (source / f"d{number:02}.txt").write_text(f"word{number % 7} and {number} more")
    rows = [
        f"d{n:02}.txt,{LABELS[n] if n != change else 'pos'},g{n}"
        for n in range(count if lines is None else lines)
    ]
    (source / "labels.csv").write_text("\n".join(["file,label,person", *rows]))


def taken_in(folder: Path) -> Ingested:
    source = Source(
        domain="text",
        path=str(folder / "in"),
        include="*.txt",
        label=Field(from_="table", table="labels.csv", key="file", column="label"),
        group=Field(from_="table", table="labels.csv", key="file", column="person"),
    )
    return ingest(source, dataset="d", store=folder / "store")


def made(folder: Path, *, refit: bool = False) -> Prepared:
    return prepare(
        dataset="d",
        store=folder / "store",
        domain="text",
        task="classify",
        split=Split(),
        recipe=Prepare(tokens=Tokens(unit="word"), buckets=2),
        refit=refit,
    )


def test_new_lines_for_new_files_touch_nothing_else(tmp_path: Path) -> None:
    """Everything would be read and fitted anew for each file that joins."""
    write(tmp_path, 40)
    assert taken_in(tmp_path).new_files == 40
    first = made(tmp_path)
    write(tmp_path, 46)
    assert taken_in(tmp_path).new_files == 6
    done = made(tmp_path)
    assert (done.added, done.removed, done.frozen_from) == (6, 0, first.version)
    at_once = tmp_path / "at-once"
    at_once.mkdir()
    write(at_once, 46)
    taken_in(at_once)
    rows, others = (
        {row["id"]: (row["label"], row["group"]) for row in stored_rows(folder / "store", "d")}
        for folder in (tmp_path, at_once)
    )
    assert rows == others and len(rows) == 46


def test_a_record_without_a_line_is_read_when_it_gets_one(tmp_path: Path) -> None:
    """A label that came late would never be seen, because the file did not change."""
    write(tmp_path, 40, lines=38)
    first = taken_in(tmp_path)
    assert (first.rows, first.rejections) == (38, {"no_label": 2})
    write(tmp_path, 40)
    done = taken_in(tmp_path)
    assert (done.rows, done.rejected, done.new_files) == (40, 0, 2)
    assert taken_in(tmp_path).reused


def test_a_changed_line_reads_all_and_needs_a_refit(tmp_path: Path) -> None:
    """Old records would silently get other labels, or stand in another split."""
    write(tmp_path, 40)
    taken_in(tmp_path)
    made(tmp_path)
    write(tmp_path, 40, change=2)
    assert taken_in(tmp_path).new_files == 40
    with pytest.raises(ConfigError, match=r"lines of the table of source.label .*--refit"):
        made(tmp_path)
    assert made(tmp_path, refit=True).frozen_from is None


def test_fasta_records_are_looked_up_by_name_first(tmp_path: Path) -> None:
    """A new line with a record's name would not be seen beside the line with its file."""
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.fa").write_text(">one\nACGTACGT\n")
    (source / "b.fa").write_text(">two\nCCGTACGT\n")

    def labels(*lines: str) -> dict[str, str]:
        (source / "labels.csv").write_text("\n".join(["key,label", *lines]))
        field = Field(from_="table", table="labels.csv", key="key", column="label")
        given = Source(domain="dna", path=str(source), include="*.fa", label=field)
        ingest(given, dataset="d", store=tmp_path / "store")
        return {row["id"]: row["label"] for row in stored_rows(tmp_path / "store", "d")}

    assert labels("a.fa,x", "b.fa,y") == {"a.fa#0": "x", "b.fa#0": "y"}
    assert labels("a.fa,x", "b.fa,y", "one,z") == {"a.fa#0": "z", "b.fa#0": "y"}


def test_a_table_that_is_missing_is_named_with_its_key(tmp_path: Path) -> None:
    """A person would look for the file beside the pipeline file."""
    write(tmp_path, 4)
    (tmp_path / "in" / "labels.csv").unlink()
    with pytest.raises(SeqprepError, match=r"source.label.table: 'labels.csv' does not exist in"):
        taken_in(tmp_path)


def split_lines(folder: Path, splits: dict[int, str]) -> Split:
    """A split table that says of some documents where they stand."""
    lines = [f"d{number:02}.txt,{name}" for number, name in splits.items()]
    (folder / "splits.csv").write_text("\n".join(["file,set", *lines]))
    return Split(
        by="table",
        table="splits.csv",
        key="file",
        column="set",
        train=("train",),
        validation=("dev",),
        test=("test",),
    )


def made_by_table(
    folder: Path, splits: dict[int, str], *, refit: bool = False, **changed: object
) -> Prepared:
    return prepare(
        dataset="d",
        store=folder / "store",
        domain="text",
        task="classify",
        split=dataclasses.replace(split_lines(folder, splits), **changed),
        recipe=Prepare(tokens=Tokens(unit="word"), buckets=2),
        base=folder,
        refit=refit,
    )


SETS = {number: ("train", "train", "train", "dev", "test")[number % 5] for number in range(60)}


def only(count: int) -> dict[int, str]:
    return {number: SETS[number] for number in range(count)}


def placed(folder: Path, done: Prepared) -> dict[str, str]:
    """The split of each example by the name of its record."""
    examples = Table(folder / "store" / "d" / "examples-default")
    found = {}
    for file, group in examples.row_groups(done.version):
        ids = examples.read_group(file, group, ["id"])["id"].to_pylist()
        found.update(dict.fromkeys(ids, file.partition["split"]))
    return found


def test_a_split_table_may_gain_lines(tmp_path: Path) -> None:
    """Every append to a hand-made split would be refused, or would fit everything anew."""
    write(tmp_path, 40)
    taken_in(tmp_path)
    first = made_by_table(tmp_path, only(40))
    write(tmp_path, 46)
    taken_in(tmp_path)
    done = made_by_table(tmp_path, only(46))
    assert (done.added, done.removed, done.frozen_from) == (6, 0, first.version)
    again = made_by_table(tmp_path, dict(reversed(only(46).items())))
    assert (again.added, again.removed, again.frozen_from) == (0, 0, done.version)
    write(tmp_path, 50)
    taken_in(tmp_path)
    done = made_by_table(tmp_path, only(50))
    assert (done.added, done.removed) == (4, 0) and done.frozen_from is not None
    at_once = tmp_path / "at-once"
    at_once.mkdir()
    write(at_once, 50)
    taken_in(at_once)
    assert placed(tmp_path, done) == placed(at_once, made_by_table(at_once, only(50)))


def test_a_record_that_gets_a_line_of_the_split_table_joins(tmp_path: Path) -> None:
    """Its file did not change, so that it would stay outside of every split for ever."""
    write(tmp_path, 40)
    taken_in(tmp_path)
    first = made_by_table(tmp_path, only(37))
    assert first.outside == 3
    done = made_by_table(tmp_path, only(40))
    assert (done.added, done.outside, done.frozen_from) == (3, 0, first.version)
    assert placed(tmp_path, done)["d39.txt#0"] == "test"
    assert made_by_table(tmp_path, only(40)).reused


def test_lines_that_move_a_known_row_ask_for_a_refit(tmp_path: Path) -> None:
    """What was trained on would be tested on, by a line that changed, went, or came."""
    write(tmp_path, 40)
    taken_in(tmp_path)
    first = made_by_table(tmp_path, only(40))
    changed, removed = only(40) | {0: "test"}, only(40)
    del removed[39]
    with pytest.raises(ConfigError, match=r"'d00.txt#0' was in train and would be in test.*--refi"):
        made_by_table(tmp_path, changed)
    with pytest.raises(ConfigError, match=r"'d39.txt#0' was in test and would be in no split"):
        made_by_table(tmp_path, removed)
    done = made_by_table(tmp_path, changed, refit=True)
    assert (done.version, done.frozen_from) == (first.version + 1, None)


def test_a_new_line_may_move_a_row_that_trained_without_one(tmp_path: Path) -> None:
    """Rows that no line names train where `train` has no list; a line may send them to test."""
    write(tmp_path, 40)
    taken_in(tmp_path)
    lines = {number: name for number, name in only(40).items() if number != 9}
    made_by_table(tmp_path, lines, train=None)
    with pytest.raises(ConfigError, match=r"'d09.txt#0' was in train and would be in test"):
        made_by_table(tmp_path, lines | {9: "test"}, train=None)


def test_a_split_table_may_name_groups(tmp_path: Path) -> None:
    """A list of subjects would have to be written for each of their files."""
    write(tmp_path, 40)
    taken_in(tmp_path)
    first = made_by_table(tmp_path, only(40))
    by_file = placed(tmp_path, first)
    lines = [f"g{number},{name}" for number, name in only(46).items()]
    split = split_lines(tmp_path, {})
    (tmp_path / "splits.csv").write_text("\n".join(["file,set", *lines]))
    write(tmp_path, 46)
    taken_in(tmp_path)
    done = prepare(
        dataset="d",
        store=tmp_path / "store",
        domain="text",
        task="classify",
        split=split,
        recipe=Prepare(tokens=Tokens(unit="word"), buckets=2),
        base=tmp_path,
    )
    assert (done.added, done.removed, done.frozen_from) == (6, 0, first.version)
    found = placed(tmp_path, done)
    assert len(found) == 46 and found.items() >= by_file.items()


def test_a_split_table_that_names_no_record_is_refused(tmp_path: Path) -> None:
    """Keys of other records would send every record to training."""
    write(tmp_path, 40)
    taken_in(tmp_path)
    split = dataclasses.replace(split_lines(tmp_path, {}), train=None)
    (tmp_path / "splits.csv").write_text("file,set\nh1,test\nh2,dev\n")
    with pytest.raises(ConfigError, match=r"'file', as 'h1' must be a record's id \('d00.txt#0'\)"):
        prepare(
            dataset="d",
            store=tmp_path / "store",
            domain="text",
            task="classify",
            split=split,
            recipe=Prepare(tokens=Tokens(unit="word")),
            base=tmp_path,
        )
