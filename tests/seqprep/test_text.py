"""Documents and tables of documents: what is read, by which encoding, and what is counted."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
import zipfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.domains import json_lines
from seqprep.domains.text_columns import Table
from seqprep.errors import ConfigError, SeqprepError
from seqprep.source import Field, Source, Target
from tests.sources import read_source, write_files

NO_LABEL = Field(from_="none")
Y = Field(from_="column", column="y")


def text_source(path: Path, **keys: object) -> Source:
    return Source(domain="text", path=str(path), **{"label": NO_LABEL, **keys})  # type: ignore[arg-type]


def documents(tmp_path: Path, files: dict[str, bytes | str], **keys: object) -> list[str]:
    rows, _ = read_source(text_source(write_files(tmp_path, files), **keys))
    return [row["text"] for row in rows]


def test_a_file_is_a_document_and_its_folder_the_label(tmp_path: Path) -> None:
    """Otherwise the simplest dataset would need a table of labels."""
    write_files(tmp_path, {"pos/a.txt": "good film", "neg/a.txt": "bad film\n"})
    rows, _ = read_source(Source(domain="text", path=str(tmp_path)))
    assert [(row["id"], row["label"], row["text"], row["length"]) for row in rows] == [
        ("neg/a.txt#0", "neg", "bad film\n", 9),
        ("pos/a.txt#0", "pos", "good film", 9),
    ]


@pytest.mark.parametrize(
    ("data", "text", "fallback"),
    [
        (b"caf\xe9", "caf\xe9", True),
        ("caf\xe9".encode(), "caf\xe9", False),
        ("caf\xe9".encode("utf-16"), "caf\xe9", False),
        ("caf\xe9".encode("utf-8-sig"), "caf\xe9", False),
        (b"a\r\nb\rc", "a\nb\nc", False),
    ],
)
def test_bytes_become_text_by_the_stated_policy(
    tmp_path: Path, data: bytes, text: str, fallback: bool
) -> None:
    """Otherwise the same words would be different tokens, by who typed them."""
    rows, seen = read_source(text_source(write_files(tmp_path, {"a.txt": data})))
    assert [row["text"] for row in rows] == [text]
    assert seen.oddities == ({"fallback_encoding": 1} if fallback else {})


@pytest.mark.parametrize(("form", "text"), [("none", "e\u0301"), ("NFC", "\xe9")])
def test_the_normal_form_is_left_alone_unless_named(tmp_path: Path, form: str, text: str) -> None:
    """Otherwise texts would be changed without being asked, or not when asked."""
    assert documents(tmp_path, {"a.txt": "e\u0301"}, normalize=form) == [text]


@pytest.mark.parametrize(
    ("policy", "texts"), [("keep", ["a\0b"]), ("drop", ["ab"]), ("reject", [])]
)
def test_control_characters_follow_the_policy(
    tmp_path: Path, policy: str, texts: list[str]
) -> None:
    """Otherwise they would be tokens of their own, unseen on any screen."""
    write_files(tmp_path, {"a.txt": "a\0b", "b.txt": "tab\tand\nline"})
    rows, seen = read_source(text_source(tmp_path, on_control_characters=policy))
    assert [row["text"] for row in rows] == [*texts, "tab\tand\nline"]
    assert seen.oddities == {"control_characters": 1}
    assert [one.reason for one in seen.rejections] == (
        ["control_characters"] if policy == "reject" else []
    )


def test_controls_beyond_ascii_are_counted(tmp_path: Path) -> None:
    """Otherwise C1 characters would pass because the text is not ASCII."""
    _, seen = read_source(text_source(write_files(tmp_path, {"a.txt": "caf\xe9 \x85"})))
    assert seen.oddities == {"control_characters": 1}


ROWS = [("one, two", "p"), ('say "so"\nand so', "q"), ("caf\xe9", "p")]


def table_bytes(suffix: str) -> bytes:
    """The same three rows as each kind of table."""
    if suffix in ("csv", "tsv"):
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter="," if suffix == "csv" else "\t")
        writer.writerows([("t", "y"), *ROWS])
        return out.getvalue().encode()
    if suffix == "jsonl":
        return "".join(json.dumps({"t": t, "y": y, "z": [1]}) + "\n" for t, y in ROWS).encode()
    out_bytes = io.BytesIO()
    pl.DataFrame(ROWS, schema=["t", "y"], orient="row").write_parquet(out_bytes)
    return out_bytes.getvalue()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_every_kind_of_table_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    """Otherwise a dataset would change with the format it is handed around in."""
    write_files(tmp_path, {f"a.{suffix}": table_bytes(suffix)})
    rows, _ = read_source(text_source(tmp_path, text_column="t", label=Y, keep=("y",)))
    assert [(row["text"], row["label"]) for row in rows] == ROWS
    assert [row["attributes"] for row in rows] == [json.dumps({"y": y}) for _, y in ROWS]
    assert [row["record"] for row in rows] == [0, 1, 2]


@given(
    st.lists(
        st.tuples(st.text(min_size=1, max_size=30), st.sampled_from("pq")), min_size=1, max_size=8
    ),
    st.sampled_from(["csv", "jsonl"]),
)
def test_cells_come_back_as_they_were(rows: list[tuple[str, str]], suffix: str) -> None:
    """Otherwise quotes, commas or line ends in a document would break its row."""
    rows = [(text.encode("utf-8", "replace").decode() + "x", label) for text, label in rows]
    if suffix == "csv":
        out = io.StringIO(newline="")
        csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("t", "y"), *rows])
        data = out.getvalue()
    else:
        data = "\n".join(json.dumps({"t": text, "y": label}) for text, label in rows)
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {f"a.{suffix}": data})
        found, _ = read_source(text_source(Path(folder), text_column="t", label=Y))
    expected = [text.replace("\r\n", "\n").replace("\r", "\n") for text, _ in rows]
    assert [row["text"] for row in found] == expected


LINE = st.one_of(
    st.fixed_dictionaries(
        {"t": st.one_of(st.text(max_size=6), st.none(), st.just("a\tb\n"), st.integers())},
        optional={"y": st.one_of(st.sampled_from(["p", "q", ""]), st.integers(0, 2))},
    ).map(json.dumps),
    st.fixed_dictionaries({"t": st.just("plain"), "y": st.just("p")}).map(json.dumps),
    st.sampled_from(["", "  ", "[1]", '{"t": "a"} {"t": "b"}', '{"t": "a", "t": "b", "y": "p"}']),
    st.sampled_from(['{"t": "\\ud800", "y": "p"}', '{"t": "\\u0000", "y": "p"}', '{"t":', "nul"]),
)


@given(st.lists(LINE, max_size=6), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_whole_blocks_give_what_single_lines_give(lines: list[str], final: bool, end: str) -> None:
    """Otherwise the fast way would accept, count or number other records than the slow one."""
    data = end.join(lines) + (end if final else "")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        write_files(Path(folder), {"a.jsonl": data.encode("utf-8", "surrogatepass")})
        source = text_source(Path(folder), text_column="t", label=Y)
        fast, fast_seen = read_source(source)
        patch.setattr(Table, "whole", False)
        slow, slow_seen = read_source(source)
    assert fast == slow
    assert fast_seen == slow_seen


def test_plain_blocks_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the fast way could be lost without any other test noticing."""
    write_files(tmp_path, {"a.jsonl": table_bytes("jsonl")})

    def refuse(*_: object) -> None:
        raise AssertionError("read line by line")

    monkeypatch.setattr(json_lines, "json_row", refuse)
    rows, _ = read_source(text_source(tmp_path, text_column="t", label=Y))
    assert [(row["text"], row["label"]) for row in rows] == ROWS


@pytest.mark.parametrize("size", [1, 7, 50])
def test_blocks_are_whole_lines(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a document across two blocks would be cut in two."""
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", size)
    monkeypatch.setattr("seqprep.ingestion.expand.BLOCK_BYTES", 11)
    write_files(tmp_path, {"a.jsonl": table_bytes("jsonl") + b"\n" + table_bytes("jsonl")[:-1]})
    rows, _ = read_source(text_source(tmp_path, text_column="t", label=Y))
    assert [(row["text"], row["label"]) for row in rows] == ROWS * 2
    assert [row["record"] for row in rows] == list(range(6))


def test_columns_by_position_mean_no_header(tmp_path: Path) -> None:
    """Otherwise the first document of a table without a header would be lost."""
    label = Field(from_="column", column=0)
    write_files(tmp_path, {"a.csv": "p,one\nq,two\n"})
    rows, _ = read_source(text_source(tmp_path, text_column=1, label=label))
    assert [(row["label"], row["text"]) for row in rows] == [("p", "one"), ("q", "two")]


def test_other_json_types_become_text_as_json_writes_them(tmp_path: Path) -> None:
    """Otherwise the label 1 of one file and "1" of another would be two classes."""
    lines = [{"t": "a", "y": 1}, {"t": "b", "y": "1"}, {"t": "c", "y": True}, {"t": "d"}]
    write_files(tmp_path, {"a.jsonl": "\n".join(json.dumps(line) for line in lines)})
    rows, seen = read_source(text_source(tmp_path, text_column="t", label=Y))
    assert [row["label"] for row in rows] == ["1", "1", "true"]
    assert seen.reasons == [("a.jsonl", 4, "no_label")]


def test_numbers_are_labels_of_regression(tmp_path: Path) -> None:
    """Otherwise a number would be a class, or a word a number."""
    write_files(tmp_path, {"a.csv": "t,y\nx,1.5\ny,much\nz,inf\n"})
    rows, seen = read_source(text_source(tmp_path, text_column="t", label=Y, task="regress"))
    assert [row["label"] for row in rows] == [1.5]
    assert [one.reason for one in seen.rejections] == ["bad_target", "bad_target"]


def test_a_table_that_is_not_utf8_is_read_as_cp1252_and_counted(tmp_path: Path) -> None:
    """Otherwise one pound sign would make a whole table unreadable."""
    write_files(tmp_path, {"a.csv": b"t\n\xa3 5\n", "b.jsonl": b'{"t": "\xa3 5"}\n{"t": "x"}\n'})
    rows, seen = read_source(text_source(tmp_path, text_column="t"))
    assert [row["text"] for row in rows] == ["\xa3 5", "\xa3 5", "x"]
    assert seen.oddities == {"fallback_encoding": 2}


def test_tables_in_utf16_are_read(tmp_path: Path) -> None:
    """Otherwise what spreadsheets call Unicode text would be refused."""
    write_files(tmp_path, {"a.csv": "t,y\ncaf\xe9,p\n".encode("utf-16")})
    rows, _ = read_source(text_source(tmp_path, text_column="t", label=Y))
    assert [(row["text"], row["label"]) for row in rows] == [("caf\xe9", "p")]


def test_targets_come_from_columns_and_files(tmp_path: Path) -> None:
    """Otherwise translation could be learnt from one layout only."""
    write_files(tmp_path / "t", {"a.csv": "t,y\nx,X\ny,\n"})
    target = Target(from_="column", column="y")
    source = text_source(tmp_path / "t", text_column="t", task="translate", target=target)
    rows, seen = read_source(source)
    assert [(row["text"], row["target_text"]) for row in rows] == [("x", "X")]
    assert seen.reasons == [("a.csv", 3, "bad_target")]
    write_files(tmp_path / "f", {"a.txt": "x", "a.out": "X\n", "b.txt": "y"})
    target = Target(from_="file", suffix=".out")
    rows, seen = read_source(text_source(tmp_path / "f", task="translate", target=target))
    assert [(row["text"], row["target_text"]) for row in rows] == [("x", "X")]
    assert [one.reason for one in seen.rejections] == ["bad_target"]


def test_several_gzip_members_are_counted(tmp_path: Path) -> None:
    """Otherwise a file that was cut between two members would look whole, unsaid."""
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one ") + gzip.compress(b"two"))
    rows, seen = read_source(text_source(tmp_path))
    assert [row["text"] for row in rows] == ["one two"]
    assert seen.oddities == {"several_gzip_members": 1}


def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny `movie_reviews` in a folder that is NLTK_DATA."""
    nltk = pytest.importorskip("nltk")
    write_files(
        tmp_path / "corpora" / "movie_reviews",
        {"neg/cv000_1.txt": "bad", "pos/cv000_2.txt": "good", "README": "note"},
    )
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])


def test_a_corpus_of_nltk_is_read_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a person with NLTK's data would have to find its folder and files."""
    corpus(tmp_path, monkeypatch)
    rows, _ = read_source(Source(domain="text", nltk="movie_reviews"))
    assert [(row["id"], row["label"], row["text"]) for row in rows] == [
        ("neg/cv000_1.txt#0", "neg", "bad"),
        ("pos/cv000_2.txt#0", "pos", "good"),
    ]


def test_a_corpus_still_in_its_zip_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise what NLTK's downloader leaves zipped would have to be unpacked by hand."""
    nltk = pytest.importorskip("nltk")
    (tmp_path / "corpora").mkdir()
    with zipfile.ZipFile(tmp_path / "corpora" / "gutenberg.zip", "w") as archive:
        archive.writestr("gutenberg/", "")
        archive.writestr("gutenberg/austen.txt", "Emma")
        archive.writestr("gutenberg/README", "note")
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path)])
    rows, _ = read_source(Source(domain="text", nltk="gutenberg", label=Field(from_="file")))
    assert [(row["id"], row["label"], row["text"]) for row in rows] == [
        ("austen.txt#0", "austen", "Emma")
    ]


def test_a_corpus_that_is_not_there_is_named_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a run without network would hang or print a page of NLTK's advice."""
    corpus(tmp_path, monkeypatch)
    with pytest.raises(SeqprepError, match=r"'inaugural' is not in NLTK_DATA"):
        read_source(Source(domain="text", nltk="inaugural", label=NO_LABEL))
    with pytest.raises(SeqprepError, match="no corpus 'no_such'"):
        read_source(Source(domain="text", nltk="no_such", label=NO_LABEL))


@pytest.mark.parametrize("keys", [{}, {"include": "*.csv"}])
def test_a_table_without_a_named_column_is_refused(tmp_path: Path, keys: dict[str, object]) -> None:
    """A whole table would be read as one document."""
    write_files(tmp_path, {"reviews.csv": "text,label\ngood,pos\n"})
    with pytest.raises(ConfigError, match=r"reviews.csv is a table: .*source.text_column"):
        read_source(text_source(tmp_path, **keys))


def test_a_table_beside_documents_is_left_alone(tmp_path: Path) -> None:
    """A list of labels beside the documents would stop them from being read."""
    assert documents(tmp_path, {"a.txt": "one", "labels.csv": "id,label\n"}) == ["one"]
