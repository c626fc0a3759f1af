"""Bad input gives an error or a counted rejection that names file, line and reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seqprep.errors import REASONS, InputError, SeqprepError
from seqprep.ingest import ingest
from seqprep.source import Field, Source
from tests.sources import read_source, stored_rows, write_files

NO_LABEL = Field(from_="none")
PROTEIN = "MKVLAAGIVGLLLAQPSFEERDTKNWYC"


def source_of(domain: str, path: Path, **keys: object) -> Source:
    return Source(domain=domain, path=str(path), **{"label": NO_LABEL, **keys})  # type: ignore[arg-type]


def rejected(
    domain: str, tmp_path: Path, name: str, content: bytes | str, **keys: object
) -> object:
    """(line, reason) of what was rejected in one file that also holds no good record, or some."""
    write_files(tmp_path, {name: content})
    _, seen = read_source(source_of(domain, tmp_path, **keys))
    assert all(one.source == name and one.detail for one in seen.rejections)
    return [(one.line, one.reason) for one in seen.rejections]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (">a\nACGT\n>b\n>c\nGG\n", [(3, "empty")]),
        (">a\nAC\n>b\n--..\n", [(3, "empty")]),
        (">a\nAC\n>b\nAC\0GT\n", [(3, "bad_bases")]),
        (">a\nAC\n\n>b\nAC1GT\n", [(4, "bad_bases")]),
        (f">a\n{PROTEIN}\n", [(1, "protein")]),
        (">a\nMSDKRRHNSYVWDDMKSSYRRNHW\n", [(1, "protein")]),
        ("", [(None, "empty")]),
        ("\n\n", [(None, "empty")]),
    ],
)
def test_bad_fasta_records_are_rejected(
    tmp_path: Path, content: str, expected: list[tuple[int | None, str]]
) -> None:
    """Otherwise a model would learn from proteins, holes and noise as if they were DNA."""
    assert rejected("dna", tmp_path, "a.fa", content) == expected


def test_letters_that_are_all_iupac_codes_are_not_said_to_be_amino_acids(tmp_path: Path) -> None:
    """Otherwise a person with degenerate DNA would look for a protein that is not there."""
    write_files(tmp_path, {"a.fa": ">a\nRYKMSWBDHVNRYKMSWBDHVN\n>b\nACGT\n>c\nRYNNNNNNNNNNNNN\n"})
    rows, seen = read_source(source_of("dna", tmp_path))
    (one,) = seen.rejections
    assert (one.line, one.reason) == (1, "protein")
    assert "20 of 22 letters are IUPAC codes other than N" in one.detail
    assert "DNA too ambiguous to tell, or a protein" in one.detail
    assert "mostly ambiguity codes" in REASONS["protein"]
    assert [row["bases"] for row in rows] == ["ACGT", "N" * 15]


@pytest.mark.parametrize(
    ("content", "line"),
    [("ACGT\n>a\nACGT\n", 1), ("\n\n  \nACGT\n", 4), ("; c\nACGT\n", 2), (" >a\nAC\n", 1)],
)
def test_fasta_without_a_header_is_an_error(tmp_path: Path, content: str, line: int) -> None:
    """Otherwise the bases before the first header would vanish: the parser skips them."""
    with pytest.raises(InputError) as caught:
        rejected("dna", tmp_path, "a.fa", content)
    assert (caught.value.file, caught.value.line, caught.value.reason) == (
        "a.fa",
        line,
        "no_header",
    )
    beginning = content.split("\n")[line - 1]
    assert f"this file with {beginning!r}; is it FASTA?" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "keys", "expected"),
    [
        (b"", {}, [(1, "empty")]),
        (b" \n\t\n", {}, [(1, "empty")]),
        (b"ok\n\xff\xfe\x81", {"encoding": "utf-8"}, [(2, "bad_encoding")]),
        (b"a\nb\n\x81 \x8d", {}, [(3, "bad_encoding")]),
        (b"\xff\xfea", {}, [(1, "bad_encoding")]),
        (b"a\x01b", {"on_control_characters": "reject"}, [(1, "control_characters")]),
        (b"\x01\x02", {"on_control_characters": "drop"}, [(1, "empty")]),
    ],
)
def test_bad_documents_are_rejected(
    tmp_path: Path,
    content: bytes,
    keys: dict[str, str],
    expected: list[tuple[int, str]],
) -> None:
    """Otherwise empty or garbled documents would be training rows."""
    assert rejected("text", tmp_path, "a.txt", content, **keys) == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", 't,y\nok,1\n"two\nlines",1\nx\nok,1\n', [(5, "ragged_row")]),
        ("a.csv", "t\n \nok\n", [(2, "empty")]),
        ("a.csv", "t\n", [(None, "empty")]),
        (
            "a.jsonl",
            '{"t": "ok"}\n\n{"t": \n[1]\n"x"\n',
            [(3, "bad_json"), (4, "bad_json"), (5, "bad_json")],
        ),
        ("a.jsonl", '{"t": "\\ud800"}\n', [(1, "bad_json")]),
        ("a.jsonl", '{"u": "ok"}\n', [(1, "empty")]),
        ("a.jsonl", "[" * 100_000 + "\n", [(1, "bad_json")]),
    ],
)
def test_bad_rows_of_text_tables_are_rejected(
    tmp_path: Path, name: str, content: str, expected: list[tuple[int | None, str]]
) -> None:
    """Otherwise one bad line would end the whole ingest, or pass for a document."""
    assert rejected("text", tmp_path, name, content, text_column="t") == expected


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("a.csv", "u,y\n1,2\n", 1, "has no column 't'; its header is ['u', 'y']; change the"),
        ("a.csv", "tt,y\n1,2\n", 1, "its header is ['tt', 'y']; did you mean 'tt'?"),
        ("a.csv", "t;y\n1;2\n", 1, "write the table with commas, or with tabs as .tsv"),
        ("a.csv", "t,t\n1,2\n", 1, "column 't' occurs twice"),
        ("a.csv", 't\nok\n"open\nmore\n', 4, "is a quote left open"),
        ("a.parquet", "no parquet", None, "is no readable Parquet file"),
        ("a.parquet.gz", "no parquet", None, "Parquet inside gzip is not read"),
    ],
)
def test_broken_tables_are_errors(
    tmp_path: Path, name: str, content: str, line: int | None, message: str
) -> None:
    """Otherwise a wrong column or an open quote would make a dataset of nothing."""
    with pytest.raises(InputError) as caught:
        rejected("text", tmp_path, name, content, text_column="t")
    assert message in caught.value.text
    assert (caught.value.file, caught.value.line) == (name, line)


def test_a_hundred_megabytes_on_one_line_are_one_document(tmp_path: Path) -> None:
    """Otherwise a line longer than a block would be cut into several records."""
    (tmp_path / "a.jsonl").write_bytes(b'{"t": "' + b"word " * 20_000_000 + b'"}\n{"t": "b"}\n')
    rows, _ = read_source(source_of("text", tmp_path, text_column="t"))
    assert [row["length"] for row in rows] == [100_000_000, 1]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", (None, "empty")),
        ("x,y\n", (None, "empty")),
        ("x,y\n1,2\n3\n", (3, "ragged_row")),
        ("x,y\n1,2\n3,4,5\n", (3, "ragged_row")),
        ("x,y\r\n1,2\r\n\r\n3,4\r\n", (3, "missing_values")),
        ("x,y\n1,2\n3,NaN\n", (3, "missing_values")),
        ("x,y\n1,inf\n3,4\n", (2, "missing_values")),
        ("x,y\n1,2\n3,four\n", (3, "bad_number")),
        ("x;y\n1.234,5;2\n3;4\n", (2, "bad_number")),
        ("1\n2\nx\n", (3, "bad_number")),
        ("time,x\n0,1\n1,2\n0.5,3\n2,4\n", (4, "timestamp_order")),
        ("time,x\n0,1\n,2\n2,3\n", (3, "missing_values")),
        ("@relation x\n@attribute a real\n@data\n{0 1}\n", (4, "bad_number")),
    ],
)
def test_bad_recordings_are_rejected(
    tmp_path: Path, content: str, expected: tuple[int | None, str]
) -> None:
    """Otherwise holes, words or a cut row would be samples of a brain."""
    assert rejected("eeg", tmp_path, "a.csv", content) == [expected]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("time,L,Q\n0,1,2\n1,1,2\n", "wrong_channels"),
        ("time,L\n0,1\n1,2\n", "wrong_channels"),
        ("time,L,R,M\n0,1,2,3\n1,1,2,3\n", "wrong_channels"),
        ("time,L,R\n0,1,2\n0.5,1,2\n", "wrong_rate"),
    ],
)
def test_recordings_unlike_the_first_are_rejected(tmp_path: Path, second: str, reason: str) -> None:
    """Otherwise channels or rates would be mixed up between files."""
    write_files(tmp_path, {"a.csv": "time,L,R\n0,1,2\n1,3,4\n", "b.csv": second})
    rows, seen = read_source(source_of("eeg", tmp_path))
    assert len(rows) == 1
    assert [(one.source, one.reason) for one in seen.rejections] == [("b.csv", reason)]


@pytest.mark.parametrize(
    ("content", "keys", "line", "message"),
    [
        ("a,b,a\n1,2,3\n", {}, 1, "'a' occurs twice"),
        (",a\n0,1\n1,2\n", {}, 1, "a column has no name"),
        ("1,2\n3,4\n", {"channels": ("Fz",)}, 1, "has no header"),
    ],
)
def test_headers_that_cannot_be_used_are_errors(
    tmp_path: Path, content: str, keys: dict[str, object], line: int, message: str
) -> None:
    """Otherwise one of two columns of a name, or a row number, would be taken for the signal."""
    with pytest.raises(InputError) as caught:
        rejected("eeg", tmp_path, "a.csv", content, **keys)
    assert message in caught.value.text
    assert (caught.value.file, caught.value.line) == ("a.csv", line)


@pytest.mark.parametrize(
    "label", ["..", "/abs", "a" * 300, "Case", "case", "nul\0", "a/b", "caf\xe9 \u202e"]
)
def test_labels_stay_strings(tmp_path: Path, label: str) -> None:
    """Otherwise a label could name a folder outside the store, or two labels become one."""
    lines = [json.dumps({"t": "x", "y": label}), json.dumps({"t": "y", "y": "other"})]
    write_files(tmp_path / "in", {"a.jsonl": "\n".join(lines)})
    source = source_of(
        "text",
        tmp_path / "in",
        text_column="t",
        label=Field(from_="column", column="y"),
        group=Field(from_="column", column="y"),
    )
    done = ingest(source, dataset="d", store=tmp_path / "store")
    assert done.labels == {label: 1, "other": 1}
    rows = stored_rows(tmp_path / "store", "d")
    assert (rows[0]["label"], rows[0]["group"]) == (label, label)
    folders = {path.name for path in (tmp_path / "store").rglob("*") if path.is_dir()}
    assert folders == {"d", "sequences", "_delta_log", "_seals", "state"}


def test_labels_in_folders_need_folders(tmp_path: Path) -> None:
    """Otherwise files beside the folders would all carry the root's own name."""
    write_files(tmp_path, {"x.txt": "a", "pos/y.txt": "b"})
    rows, seen = read_source(Source(domain="text", path=str(tmp_path)))
    assert [row["label"] for row in rows] == ["pos"]
    assert seen.reasons == [("x.txt", 1, "no_label")]
    assert "from: file" in seen.rejections[0].detail


def test_nothing_usable_says_what_was_wrong(tmp_path: Path) -> None:
    """Otherwise a person would train on an empty table and wonder later."""
    write_files(tmp_path / "in", {"x.txt": "a", "y.txt": "b"})
    with pytest.raises(
        SeqprepError, match=r"no usable record in .*x\.txt, line 1: label: .*no_label"
    ):
        ingest(Source(domain="text", path=str(tmp_path / "in")), dataset="d", store=tmp_path / "s")
    assert not (tmp_path / "s" / "d" / "sequences" / "_delta_log").exists()
