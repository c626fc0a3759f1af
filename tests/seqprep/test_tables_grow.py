"""Tables of labels and groups that gain lines with new files, or change those of old ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqprep.errors import ConfigError
from seqprep.ingest import Ingested, ingest
from seqprep.prepare import Prepared, prepare
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.source import Field, Source
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
