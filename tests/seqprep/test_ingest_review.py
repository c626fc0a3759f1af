"""What an ingest must never do silently: drop, mislabel, or take an option that means nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seqprep.errors import ConfigError, InputError, SeqprepError
from seqprep.ingest import Ingested, ingest
from seqprep.ingestion.record_builder import LISTED
from seqprep.new_files import read_records
from seqprep.source import Field, Source, Target
from seqprep.table import Table
from tests.sources import read_source, write_files

BY_TABLE = Field(from_="table", table="labels.csv", key="id", column="v")
BY_COLUMN = Field(from_="column", column="l")


def run(tmp_path: Path, **keys: Any) -> Ingested:
    source = Source(path=str(tmp_path / "in"), **keys)
    return ingest(source, dataset="d", store=tmp_path / "store")


def rejections(tmp_path: Path) -> list[dict[str, Any]]:
    table = Table(tmp_path / "store" / "d" / "sequences")
    lines = table.state.get(table.info().state["rejections"]).splitlines()
    return [json.loads(line) for line in lines]


def test_a_document_of_several_categories_has_no_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its folder in the corpus, `test` or `training`, would become its label."""
    nltk = pytest.importorskip("nltk")
    files = {"test/1": "trade", "test/2": "grain wheat", "training/3": "cocoa"}
    cats = "test/1 trade\ntest/2 grain wheat\ntraining/3 cocoa\n"
    write_files(tmp_path / "corpora" / "reuters", {**files, "cats.txt": cats})
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    rows, seen = read_source(Source(domain="text", nltk="reuters"))
    assert {row["id"]: row["label"] for row in rows} == {
        "test/1#0": "trade",
        "training/3#0": "cocoa",
    }
    assert [one.reason for one in seen.rejections] == ["no_label"]
    assert "2 categories: grain, wheat" in seen.rejections[0].detail
    rows, _ = read_source(Source(domain="text", nltk="reuters", exclude=("test",)))
    assert [row["id"] for row in rows] == ["training/3#0"]


def test_fasta_rejections_of_label_and_group_have_a_line(tmp_path: Path) -> None:
    """Otherwise a person would search a file of a million records for the one that is meant."""
    write_files(tmp_path, {"c/a.fa": ">x|1\nAC\nGT\n>y\nGG\n>z|2\nTT\n"})
    header = Field(from_="header", pattern=r"\|(\d)")
    for keys in ({"label": header}, {"group": header}):
        rows, seen = read_source(Source(domain="dna", path=str(tmp_path), **keys))  # type: ignore[arg-type]
        assert [(one.record, one.line) for one in seen.rejections] == [(1, 4)]
        assert len(rows) == 2


def test_wrong_channels_are_rejected_with_the_headers_line(tmp_path: Path) -> None:
    """Otherwise the message would not lead to what must be mended."""
    write_files(tmp_path, {"a.csv": "a,b\n1,2\n2,3\n", "b.csv": "\na,c\n1,2\n2,3\n"})
    _, seen = read_source(Source(domain="eeg", path=str(tmp_path), label=Field(from_="none")))
    assert [(one.line, one.reason) for one in seen.rejections] == [(2, "wrong_channels")]
    assert "the dataset has a, b" in seen.rejections[0].detail


def test_channels_that_no_row_has_any_longer_bind_nothing(tmp_path: Path) -> None:
    """Otherwise a dataset whose files were all replaced could never be ingested again."""
    write_files(tmp_path / "in", {"x/m.csv": "a,b\n1,2\n2,3\n"})
    assert run(tmp_path, domain="eeg").channels == ("a", "b")
    write_files(tmp_path / "in", {"x/m.csv": "c,d\n1,2\n2,3\n"})
    assert run(tmp_path, domain="eeg").channels == ("c", "d")


def test_rejections_are_all_counted_and_the_first_ones_listed(tmp_path: Path) -> None:
    """Otherwise a file of nothing but bad records would fill memory and disk."""
    bad = LISTED + 500
    write_files(tmp_path / "in", {"c/a.fa": ">ok\nACGT\n" + ">a\n" * bad, "c/b.fa": ">b\n"})
    done = run(tmp_path, domain="dna")
    assert (done.rows, done.rejected, done.rejections) == (1, bad + 1, {"empty": bad + 1})
    listed = rejections(tmp_path)
    assert [one["line"] for one in listed[:2]] == [3, 4]
    assert [one["source"] for one in listed].count("c/a.fa") == LISTED
    write_files(tmp_path / "in", {"c/c.fa": ">c\nAC\n"})
    assert run(tmp_path, domain="dna").rejected == bad + 1
    assert rejections(tmp_path) == listed


def test_a_prediction_lists_every_rejection(tmp_path: Path) -> None:
    """Otherwise rejected records would be missing among the predictions."""
    write_files(tmp_path, {"a.fa": ">a\n" * (LISTED + 5)})
    source = Source(domain="dna", path="unused")
    found = [one for _, some in read_records(source, [tmp_path / "a.fa"]) for one in some]
    assert len(found) == LISTED + 5


@pytest.mark.parametrize("table", ["labels.csv", "./labels.csv", "x/../labels.csv"])
def test_the_label_table_is_no_source_file_however_it_is_written(
    tmp_path: Path, table: str
) -> None:
    """Otherwise the table of labels would be read as a recording."""
    files = {"x/a.csv": "a\n1\n2\n", "labels.csv": "id,v\nx/a.csv,1\n"}
    write_files(tmp_path / "in", files)
    label = Field(from_="table", table=table, key="id", column="v")
    assert run(tmp_path, domain="eeg", label=label).files == 1


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    """Otherwise the files in it would silently be missing."""
    write_files(tmp_path / "in", {"x/a.txt": "hi"})
    (tmp_path / "in" / "z").symlink_to("x")
    with pytest.raises(InputError, match="z: is a link to a folder"):
        run(tmp_path, domain="text")
    assert run(tmp_path, domain="text", exclude=("z",)).rows == 1


@pytest.mark.parametrize(
    "lines",
    [
        '{"t":"c","l":"y"}{"t":"d","l":"y"}\n\n{"t":"e","l":"y"}\n',
        '{"t":"c",\n"l":"y"}\n{"t":"d","l":"y"}{"t":"e","l":"y"}\n',
        '{"t":"c","l":"y","l":"z"}\n',
        '{"t":"c","l":"y"}\r\n{"t":"d","l":"y"}\r\n',
        '{"t":"c","l":"y"}\n {"t":"d","l":"y"} \n',
    ],
)
def test_json_lines_give_the_same_rows_whole_and_one_by_one(tmp_path: Path, lines: str) -> None:
    """Otherwise one odd line would change what its neighbours mean."""
    write_files(tmp_path / "a", {"a.jsonl": lines})
    write_files(tmp_path / "b", {"a.jsonl": lines})
    keys: dict[str, Any] = {"domain": "text", "text_column": "t", "label": BY_COLUMN}
    fast, seen = read_source(Source(path=str(tmp_path / "a"), **keys))
    # A normal form that changes nothing here is enough for the slow way.
    slow, other = read_source(Source(path=str(tmp_path / "b"), normalize="NFC", **keys))
    assert fast == slow
    assert seen.rejections == other.rejections


def test_columns_outside_a_table_are_refused(tmp_path: Path) -> None:
    """Otherwise a wrong position would end in a traceback."""
    write_files(tmp_path / "in", {"a.csv": "a,b\nc,d\n"})
    label = Field(from_="column", column=0)
    with pytest.raises(InputError, match="has no column 5, only 2"):
        run(tmp_path, domain="text", text_column=5, label=label)


def test_a_column_is_a_channel_once_and_not_the_time(tmp_path: Path) -> None:
    """Otherwise the clock would be learnt from, or one channel count twice."""
    write_files(tmp_path / "in", {"x/a.csv": "time,b\n0,2\n1,3\n"})
    for channels in (("time", "b"), ("b", 1)):
        with pytest.raises(InputError, match=r"a.csv, line 1: channel '(time|b)' is"):
            run(tmp_path, domain="eeg", channels=channels)
    done = run(tmp_path, domain="eeg", channels=("time", "b"), time_column="none")
    assert done.channels == ("time", "b")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf16_fasta_is_called_by_its_name(tmp_path: Path, encoding: str) -> None:
    """Otherwise the message would speak of a missing header, or of letters nobody sees."""
    write_files(tmp_path / "in", {"c/a.fa": ">a\nACGT\n".encode(encoding)})
    with pytest.raises(InputError, match="is UTF-16 text"):
        run(tmp_path, domain="dna")


def test_parquet_columns_of_bytes_are_refused(tmp_path: Path) -> None:
    """Otherwise the text would be how Python prints bytes."""
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"t": [b"x", b"y"], "l": ["a", "b"]}), tmp_path / "in" / "a.parquet")
    with pytest.raises(InputError, match="column 't' holds bytes, not text"):
        run(tmp_path, domain="text", text_column="t", label=BY_COLUMN)


@pytest.mark.parametrize("label", ["1_0", "\u0663", "nan"])
def test_a_label_that_is_no_plain_number_is_rejected(tmp_path: Path, label: str) -> None:
    """Otherwise a mistyped number would be learnt as another one."""
    write_files(tmp_path, {"a.csv": f"t,l\nx,1.5\ny,{label}\n"})
    keys: dict[str, Any] = {"text_column": "t", "label": BY_COLUMN, "task": "regress"}
    rows, seen = read_source(Source(domain="text", path=str(tmp_path), **keys))
    assert [row["label"] for row in rows] == [1.5]
    assert [one.reason for one in seen.rejections] == ["bad_target"]


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    """Otherwise an empty list of files would end in a traceback."""
    with pytest.raises(SeqprepError, match="no file or folder was named"):
        list(read_records(Source(domain="text", path="."), []))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"domain": "text", "text_column": -1}, "positions count from 0"),
        ({"domain": "text", "encoding": "nonsense"}, "no text encoding"),
        ({"domain": "text", "encoding": "hex"}, "no text encoding"),
        ({"domain": "text", "path": None, "nltk": "x", "label": BY_TABLE}, "a corpus has none"),
        ({"domain": "eeg", "channels": ("a", "a")}, "listed twice"),
        ({"domain": "eeg", "channels": ("a", "t"), "time_column": "t"}, "source.time_column, too"),
        ({"domain": "eeg", "rate_hz": float("nan")}, "rate_hz must be"),
        ({"domain": "eeg", "rate_hz": float("inf")}, "rate_hz must be"),
        ({"domain": "dna", "keep": ("a",)}, "source.keep needs a table"),
        ({"domain": "text", "keep": ("a",)}, "source.keep needs a table"),
        ({"domain": "dna", "label": BY_COLUMN}, "needs a table"),
        ({"domain": "text", "group": BY_COLUMN}, "set source.text_column"),
        ({"domain": "text", "label": Field(from_="header")}, "header of FASTA"),
        ({"domain": "text", "on_repeated_name": "drop"}, "no meaning for domain: text"),
        (
            {"domain": "text", "task": "translate", "target": Target(columns=("a",))},
            "one target `column`",
        ),
    ],
)
def test_options_without_meaning_are_refused(keys: dict[str, Any], message: str) -> None:
    """Otherwise a person would believe that something was done that was not."""
    with pytest.raises(ConfigError, match=message):
        Source(**{"path": ".", **keys})


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (Field, {"from_": "folder", "table": "a.csv"}),
        (Field, {"from_": "folder", "key": "id"}),
        (Field, {"from_": "none", "pattern": "(a)"}),
        (Field, {"from_": "none", "values": {"a": "b"}}),
        (Target, {"from_": "codons", "column": "a"}),
        (Target, {"from_": "codons", "suffix": ".x"}),
        (Target, {"from_": "column", "column": "a", "suffix": ".x"}),
        (Target, {"from_": "file", "suffix": ".x", "columns": ("a",)}),
    ],
)
def test_fields_refuse_what_they_do_not_use(kind: Any, keys: dict[str, Any]) -> None:
    """Otherwise a label table that is never opened would seem to give the labels."""
    with pytest.raises(ConfigError, match="has no meaning with from"):
        kind(**keys)
