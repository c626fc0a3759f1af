"""Ingest: what is skipped, replaced, appended, kept and counted; the same rows on every machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqprep.errors import ConfigError, SeqprepError
from seqprep.ingest import Ingested, ingest
from seqprep.ingestion import source_chunks
from seqprep.ingestion.records import SourceFacts
from seqprep.new_files import read_records
from seqprep.source import Field, Generator, Source, Target
from seqprep.table import Table
from tests.conftest import ROOT
from tests.sources import stored_rows, write_files

NO_LABEL = Field(from_="none")
FILES = {"neg/a.txt": "bad", "neg/b.txt": "worse", "pos/a.txt": "good", "pos/c.txt": "best"}


def text_source(tmp_path: Path, **keys: Any) -> Source:
    return Source(domain="text", path=str(tmp_path / "in"), **keys)


def run(tmp_path: Path, source: Source | None = None, **keys: Any) -> Ingested:
    return ingest(source or text_source(tmp_path), dataset="d", store=tmp_path / "store", **keys)


def texts(tmp_path: Path, version: int | None = None) -> dict[str, str]:
    return {row["id"]: row["text"] for row in stored_rows(tmp_path / "store", "d", version)}


def test_the_same_files_are_reused(tmp_path: Path) -> None:
    """Otherwise every run would read everything again and make a version of nothing new."""
    write_files(tmp_path / "in", FILES)
    first = run(tmp_path)
    os.utime(tmp_path / "in" / "neg" / "a.txt", (0, 0))
    again = run(tmp_path)
    assert (first.reused, first.version, first.new_files) == (False, 0, 4)
    assert (again.reused, again.version, again.new_files) == (True, 0, 0)
    assert replace(again, seconds=0, reused=False, new_files=4) == replace(first, seconds=0)


def test_the_roots_place_does_not_matter(tmp_path: Path) -> None:
    """Otherwise moving a dataset would make all of its versions stale."""
    write_files(tmp_path / "in", FILES)
    run(tmp_path)
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    moved = Source(domain="text", path="elsewhere")
    assert run(tmp_path, moved, base=tmp_path).reused


def test_new_files_are_appended_and_old_parquet_files_stay(tmp_path: Path) -> None:
    """Otherwise one new file would cost reading all old ones."""
    write_files(tmp_path / "in", FILES)
    run(tmp_path)
    table = Table(tmp_path / "store" / "d" / "sequences")
    before = {file.path for file in table.files()}
    write_files(tmp_path / "in", {"pos/d.txt": "superb"})
    done = run(tmp_path)
    assert (done.version, done.rows, done.new_files) == (1, 5, 1)
    assert before < {file.path for file in table.files()}
    assert done.labels == {"neg": 2, "pos": 3}
    assert len(texts(tmp_path, 0)) == 4


def test_changed_files_replace_their_rows_only(tmp_path: Path) -> None:
    """Otherwise a corrected file would stand beside its old self, or take others with it."""
    write_files(tmp_path / "in", FILES)
    run(tmp_path)
    write_files(tmp_path / "in", {"neg/b.txt": "dreadful"})
    done = run(tmp_path)
    assert (done.version, done.new_files, done.rows) == (1, 1, 4)
    assert texts(tmp_path)["neg/b.txt#0"] == "dreadful"
    assert {**texts(tmp_path), "neg/b.txt#0": "worse"} == texts(tmp_path, 0)
    table = Table(tmp_path / "store" / "d" / "sequences")
    assert sorted(path for file in table.files() for path in file.sources) == sorted(FILES)
    assert run(tmp_path).reused


def test_files_that_are_gone_keep_their_rows_unless_pruned(tmp_path: Path) -> None:
    """Otherwise a folder that was not mounted would empty a dataset."""
    write_files(tmp_path / "in", FILES)
    run(tmp_path)
    (tmp_path / "in" / "pos" / "c.txt").unlink()
    done = run(tmp_path)
    assert (done.reused, done.rows, done.missing_files) == (True, 4, ("pos/c.txt",))
    done = run(tmp_path, prune=True)
    assert (done.reused, done.rows, done.version) == (False, 3, 1)
    assert "pos/c.txt#0" not in texts(tmp_path)
    assert len(texts(tmp_path, 0)) == 4


def test_changed_options_replace_everything_in_one_commit(tmp_path: Path) -> None:
    """Otherwise rows cleaned in two ways would stand side by side."""
    write_files(tmp_path / "in", {**FILES, "pos/e.txt": "e\u0301"})
    run(tmp_path)
    done = run(tmp_path, text_source(tmp_path, normalize="NFC"))
    assert (done.version, done.new_files, done.rows) == (1, 5, 5)
    assert texts(tmp_path)["pos/e.txt#0"] == "\xe9"
    assert texts(tmp_path, 0)["pos/e.txt#0"] == "e\u0301"


def test_options_that_change_no_row_make_a_version_of_the_same_rows(tmp_path: Path) -> None:
    """Otherwise files that keep their name would be taken out, or the commit be refused."""
    write_files(tmp_path / "in", FILES)
    run(tmp_path)
    done = run(tmp_path, text_source(tmp_path, max_expanded_bytes=10**9))
    assert (done.version, done.rows, done.reused) == (1, 4, False)
    assert texts(tmp_path) == texts(tmp_path, 0)
    assert run(tmp_path).version == 2


def test_a_changed_label_table_is_noticed(tmp_path: Path) -> None:
    """Otherwise corrected labels would never arrive."""
    label = Field(from_="table", table="y.csv", key="id", column="y")
    write_files(tmp_path / "in", {"a.txt": "x", "y.csv": "id,y\na.txt,p\n"})
    source = text_source(tmp_path, label=label)
    assert run(tmp_path, source).labels == {"p": 1}
    write_files(tmp_path / "in", {"y.csv": "id,y\na.txt,q\n"})
    assert run(tmp_path, source).labels == {"q": 1}


def test_accepted_and_rejected_are_all_that_was_seen(tmp_path: Path) -> None:
    """Otherwise records could vanish between the files and the table."""
    write_files(
        tmp_path / "in", {"a.fa": ">1\nACGT\n>2\n>3\nAC!\n>4\nGG\n", "b.fa": ">5\nEFILPQ\n"}
    )
    source = Source(domain="dna", path=str(tmp_path / "in"), label=NO_LABEL)
    done = run(tmp_path, source)
    assert (done.rows, done.rejected) == (2, 3)
    assert done.rejections == {"bad_bases": 1, "empty": 1, "protein": 1}
    table = Table(tmp_path / "store" / "d" / "sequences")
    stored = table.state.get(table.info().state["rejections"]).splitlines()
    lines = [json.loads(line) for line in stored]
    assert [(one["source"], one["record"], one["line"]) for one in lines] == [
        ("a.fa", 1, 3),
        ("a.fa", 2, 4),
        ("b.fa", 0, 1),
    ]


def test_rejections_of_changed_files_are_replaced(tmp_path: Path) -> None:
    """Otherwise a mended record would be counted as rejected for ever."""
    source = Source(domain="dna", path=str(tmp_path / "in"), label=NO_LABEL)
    write_files(tmp_path / "in", {"a.fa": ">1\n>2\nAC\n", "b.fa": ">3\n>4\nGG\n"})
    assert run(tmp_path, source).rejections == {"empty": 2}
    write_files(tmp_path / "in", {"a.fa": ">1\nTT\n>2\nAC\n"})
    done = run(tmp_path, source)
    assert (done.rows, done.rejections) == (3, {"empty": 1})


def test_a_plain_file_and_its_compressed_copy_both_count(tmp_path: Path) -> None:
    """Otherwise which of the two was read would be a matter of order."""
    write_files(tmp_path / "in", {"p/a.txt": "x", "p/a.txt.gz": "x"})
    assert run(tmp_path).rows == 2
    rows = stored_rows(tmp_path / "store", "d")
    assert rows[0]["content_hash"] == rows[1]["content_hash"]


def test_facts_of_signals_hold_for_appended_files(tmp_path: Path) -> None:
    """Otherwise files added later could bring other channels or renumber the classes."""
    source = Source(
        domain="eeg", path=str(tmp_path / "in"), task="label_steps", target=Target(column="s")
    )
    write_files(tmp_path / "in", {"b.csv": "time,x,s\n0,1,m\n1,2,z\n"})
    first = run(tmp_path, source)
    write_files(
        tmp_path / "in",
        {"a.csv": "time,x,s\n0,1,a\n1,2,m\n", "c.csv": "time,y,s\n0,1,a\n1,2,m\n"},
    )
    done = run(tmp_path, source)
    assert (first.channels, done.channels, done.rate_hz) == (("x",), ("x",), 1.0)
    assert done.rejections == {"wrong_channels": 1}
    info = Table(tmp_path / "store" / "d" / "sequences").info()
    assert info.params["target_classes"] == ["m", "z", "a"]
    rows = {row["source"]: row["targets"] for row in stored_rows(tmp_path / "store", "d")}
    assert rows == {"b.csv": [0, 1], "a.csv": [2, 0]}


def test_names_of_datasets_cannot_leave_the_store(tmp_path: Path) -> None:
    """Otherwise `../x` would write beside the store."""
    write_files(tmp_path / "in", FILES)
    with pytest.raises(ConfigError, match="dataset must match"):
        ingest(text_source(tmp_path), dataset="../x", store=tmp_path / "store")


def test_progress_reaches_the_number_of_files(tmp_path: Path) -> None:
    """Otherwise a long ingest would look stuck, or never done."""
    write_files(tmp_path / "in", FILES)
    calls: list[tuple[str, int, int]] = []
    run(tmp_path, progress=lambda *call: calls.append(call))
    assert calls[-1] == ("reading files", 4, 4)


def test_chunks_depend_on_the_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise another number of workers would give other Parquet files."""
    monkeypatch.setattr(source_chunks, "CHUNK_FILES", 3)
    write_files(tmp_path / "in", FILES)
    run(tmp_path)
    files = Table(tmp_path / "store" / "d" / "sequences").files()
    assert [(file.path[:11], file.rows) for file in files] == [
        ("chunk-00000", 3),
        ("chunk-00001", 1),
    ]


def stored_files(store: Path) -> list[tuple[str, str]]:
    return [(file.path, file.sha256) for file in Table(store / "d" / "sequences").files()]


def test_any_number_of_workers_writes_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a dataset would depend on the machine that made it."""
    monkeypatch.setattr(source_chunks, "PARALLEL_BYTES", 0)
    source = Source(
        domain="prices", generator=Generator(series=4, test_series=1, steps=80_000, differences=64)
    )
    for workers in (1, 2):
        ingest(source, dataset="d", store=tmp_path / str(workers), workers=workers)
    assert stored_files(tmp_path / "1") == stored_files(tmp_path / "2")
    assert len(stored_files(tmp_path / "1")) == 5


SCRIPT = """
import sys
from pathlib import Path
from seqprep.ingest import ingest
from seqprep.source import Source
ingest(Source(domain="text", path=sys.argv[1]), dataset="d", store=Path(sys.argv[2]))
"""


def test_clock_locale_folder_and_hash_seed_change_nothing(tmp_path: Path) -> None:
    """Otherwise two people could not compare their datasets."""
    write_files(tmp_path / "in", {**FILES, "pos/x.txt": b"caf\xe9", "pos/I.txt": "I"})
    run(tmp_path)
    other = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONUTF8": "0"}
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "in"), str(tmp_path / "other")],
        check=True,
        cwd=tmp_path / "in" / "pos",
        env={**os.environ, **other, "PYTHONPATH": str(ROOT)},
    )
    assert stored_files(tmp_path / "store") == stored_files(tmp_path / "other")


def predicted(source: Source, *paths: Path, **keys: Any) -> tuple[list[dict[str, Any]], list[Any]]:
    rows: list[dict[str, Any]] = []
    rejections: list[Any] = []
    for table, rejected in read_records(source, paths, **keys):
        rows.extend(table.to_pylist())
        rejections.extend(rejected)
    return rows, rejections


def test_records_to_predict_need_no_label_and_keep_their_number(tmp_path: Path) -> None:
    """Otherwise new data could not be predicted before it was labelled."""
    write_files(tmp_path, {"new.fa": ">1\nACGU\n>2\n>3\nGG\n"})
    source = Source(domain="dna", path="unused", label=Field(from_="header", pattern="y=(.)"))
    rows, rejections = predicted(source, tmp_path / "new.fa")
    assert [(row["id"], row["label"], row["bases"]) for row in rows] == [
        ("new.fa#0", None, "ACGT"),
        ("new.fa#2", None, "GG"),
    ]
    assert [(one.record, one.line, one.reason) for one in rejections] == [(1, 3, "empty")]


def test_files_of_one_name_in_two_folders_keep_apart(tmp_path: Path) -> None:
    """Otherwise two predictions would have one id."""
    write_files(tmp_path, {"a/x.txt": "1", "b/x.txt": "2", "b/c/y.txt": "3"})
    rows, _ = predicted(
        Source(domain="text", path="unused"), tmp_path / "a" / "x.txt", tmp_path / "b"
    )
    assert [row["id"] for row in rows] == ["a/x.txt#0", "b/c/y.txt#0", "b/x.txt#0"]


def test_channels_to_predict_are_those_of_the_training(tmp_path: Path) -> None:
    """Otherwise a model would be fed the labels, or the channels in another order."""
    write_files(tmp_path, {"x.csv": "s,R,L\n1,2,3\n0,4,5\n", "y.csv": "R\n1\n"})
    source = Source(domain="eeg", path="unused", task="label_steps", target=Target(column="s"))
    rows, rejections = predicted(source, tmp_path, facts=SourceFacts(channels=("L", "R")))
    assert [row["values"] for row in rows] == [[3.0, 2.0, 5.0, 4.0]]
    assert [(one.source, one.reason) for one in rejections] == [("y.csv", "wrong_channels")]
    rows, _ = predicted(source, tmp_path / "x.csv")
    assert [row["values"] for row in rows] == [[2.0, 3.0, 4.0, 5.0]]


def test_targets_are_not_needed_to_predict(tmp_path: Path) -> None:
    """Otherwise a translation could only be predicted where it is known."""
    write_files(tmp_path, {"x.csv": "t\nhello\n", "y.fa": ">a\nTAA\n"})
    text = Source(
        domain="text", path="unused", text_column="t", task="translate", target=Target(column="u")
    )
    rows, _ = predicted(text, tmp_path / "x.csv")
    assert [(row["text"], row["target_text"]) for row in rows] == [("hello", None)]
    dna = Source(domain="dna", path="unused", task="translate", target=Target(from_="codons"))
    rows, _ = predicted(dna, tmp_path / "y.fa")
    assert [(row["bases"], row["target_text"]) for row in rows] == [("TAA", None)]


def test_prices_cannot_be_predicted_from_files(tmp_path: Path) -> None:
    """Otherwise the files that were given would be ignored silently."""
    with pytest.raises(SeqprepError, match="prices are generated"):
        predicted(Source(domain="prices"), tmp_path)


def test_changed_options_refuse_to_lose_files_that_are_gone(tmp_path: Path) -> None:
    """Otherwise rows that were kept on purpose would vanish with an unrelated option."""
    write_files(tmp_path / "in", FILES)
    run(tmp_path)
    (tmp_path / "in" / "neg" / "a.txt").unlink()
    assert run(tmp_path).missing_files == ("neg/a.txt",)
    changed = text_source(tmp_path, normalize="NFC")
    with pytest.raises(SeqprepError, match=r"1 of them are gone: neg/a\.txt; .* --prune"):
        run(tmp_path, changed)
    assert run(tmp_path, changed, prune=True).rows == 3


def test_files_that_options_leave_out_are_not_lost(tmp_path: Path) -> None:
    """Otherwise a narrower `include` would need --prune although all files are there."""
    write_files(tmp_path / "in", FILES)
    run(tmp_path)
    assert run(tmp_path, text_source(tmp_path, include=("a.txt",))).rows == 2


def test_a_file_in_the_place_of_the_store_is_told(tmp_path: Path) -> None:
    """A slip in --store would be told as a full disk, or write beside a person's file."""
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ConfigError, match="notes: is a file, where the folder of the store"):
        ingest(Source(domain="text", path=str(tmp_path)), dataset="d", store=tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine"
