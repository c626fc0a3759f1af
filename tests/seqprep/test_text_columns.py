"""Tables of text read as columns: the rows, rejections and lines of reading one by one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.domains import csv_blocks, csv_tables, parquet_tables, text_columns
from seqprep.domains.parquet_tables import as_text
from seqprep.domains.text_columns import Table
from seqprep.domains.text_tables import Columns, cell_text
from seqprep.errors import SeqprepError
from seqprep.source import Field, Source, Target
from tests.sources import read_source, write_files

Y = Field(from_="column", column="y")
PLAIN = ["one", "two words", "p", "q", "1.5"]
ODD = ["", " ", "\u00a0", "caf\xe9", "\0", "\x7f", "\x85", "\x1c", "\ufeff", "nan", "a,b", "a\tb"]
BROKEN = ["a\nb", "a\r\nb", "a\rb", 'say "so"', '"', "\\"]
CELL = st.sampled_from(PLAIN * 5 + ODD + BROKEN)
OPTIONS: list[dict[str, Any]] = [
    {"label": Y},
    {"label": Field(from_="none"), "encoding": "utf-8"},
    {"label": Y, "keep": ("z", "y"), "on_control_characters": "reject"},
    {"label": Y, "task": "regress", "on_control_characters": "drop"},
    {"label": Y, "group": Field(from_="column", column="z", pattern=r"(\w+)$")},
    {"label": Field(from_="column", column="y", values={"p": "P", "q": "Q", "one": ""})},
    {"label": Field(from_="none"), "task": "translate", "target": Target(column="y")},
]
WHOLE_LINE = st.tuples(CELL, CELL, CELL).map(lambda cells: ",".join(map(quoted, cells)))
BROKEN_LINE = st.sampled_from(
    ["", "one,p", "one,p,q,r", 'one,p,q"r', 'one,"p"x,q', 'one, "p",q', 'one,p,"open', "\r"]
)
LINES = st.lists(WHOLE_LINE, max_size=12) | st.lists(WHOLE_LINE | BROKEN_LINE, max_size=6)


def quoted(cell: str) -> str:
    """A cell as every writer of CSV puts it."""
    return '"' + cell.replace('"', '""') + '"' if set(cell) & set(',"\r\n') else cell


def table_source(folder: Path, **keys: Any) -> Source:
    return Source(**{"domain": "text", "path": str(folder), "text_column": "t", **keys})


def outcome(folder: Path, keys: dict[str, Any]) -> object:
    """The rows and what else was seen, or the error in words."""
    try:
        # NaN is not equal to itself, its name is.
        return repr(read_source(table_source(folder, **keys)))
    except SeqprepError as error:
        return str(error)


def assert_same_both_ways(folder: Path, keys: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = outcome(folder, keys)
        patch.setattr(Table, "whole", False)
        assert found == outcome(folder, keys)


@given(
    lines=LINES,
    end=st.sampled_from(["\n", "\n", "\r\n", "\r"]),
    final=st.booleans(),
    mark=st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf"]),
    damage=st.sampled_from([b""] * 6 + [b"\xff\n", b"\xc2"]),
    keys=st.sampled_from(OPTIONS),
    sizes=st.tuples(st.sampled_from([1, 30, 2**20]), st.sampled_from([1, 32])),
)
def test_csv_blocks_give_what_single_rows_give(
    lines: list[str],
    end: str,
    final: bool,
    mark: bytes,
    damage: bytes,
    keys: dict[str, Any],
    sizes: tuple[int, int],
) -> None:
    """Otherwise a row would be cut, renumbered, kept or named by the reader it happened to meet."""
    text = end.join(["t,y,z", *lines]) + (end if final else "")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        write_files(Path(folder), {"a.csv": mark + text.encode() + damage})
        patch.setattr(csv_blocks, "BLOCK_BYTES", sizes[0])
        patch.setattr("seqprep.ingestion.expand.BLOCK_BYTES", max(11, sizes[0]))
        patch.setattr(text_columns, "LEAST_ROWS", sizes[1])
        assert_same_both_ways(Path(folder), keys)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["\ufeffone,p,q", ",p,q"], [(3, "empty")]),
        (["one,p,q", "", ",p,q"], [(4, "empty")]),
        (["one,p", "", "\x7f,,q"], [(2, "ragged_row"), (4, "no_label")]),
        (['"a\rb",p,q', ",p,q"], [(4, "empty")]),
        (['"a\r\nb",p,q', ",p,q"], [(4, "empty")]),
        (['"a""\n""b",p,q', ",p,q"], [(4, "empty")]),
        (["one,p,5'' or 5\"", 'two,p,he said "so" twice', ",p,q"], [(4, "empty")]),
        (["one\0,p,q", ",p,q"], [(3, "empty")]),
    ],
)
@pytest.mark.parametrize("head", ["t,y,z", '"t","y",z'])
def test_odd_lines_are_counted_as_python_counts_them(
    tmp_path: Path, lines: list[str], expected: list[tuple[int, str]], head: str
) -> None:
    """Otherwise a person would look at another line than the one that is wrong."""
    write_files(tmp_path, {"a.csv": "\n".join([head, *lines])})
    _, seen = read_source(table_source(tmp_path, label=Y))
    assert [(line, reason) for _, line, reason in seen.reasons] == expected
    assert_same_both_ways(tmp_path, {"label": Y})


@pytest.mark.parametrize("line", ['one,"p"x,q', 'one,"p" ,q', 'one,p,"q'])
def test_quotes_that_do_not_enclose_cells_are_errors(tmp_path: Path, line: str) -> None:
    """Otherwise Arrow would take what is broken, and make one row of several."""
    write_files(tmp_path, {"a.csv": f"t,y,z\none,p,q\n{line}\none,p,q\n"})
    with pytest.raises(SeqprepError, match="is a quote left open"):
        read_source(table_source(tmp_path, label=Y))


@pytest.mark.parametrize("head", ['t,y,"z\r"', 't,y,"z\r\n"', 't,y,"z\n"'])
def test_lines_in_a_header_are_counted(tmp_path: Path, head: str) -> None:
    """Otherwise every line of the table would be off by one."""
    write_files(tmp_path, {"a.csv": f"{head}\none,p,q\n,p,q\n"})
    _, seen = read_source(table_source(tmp_path, label=Y))
    assert seen.reasons == [("a.csv", 4, "empty")]


KINDS = st.sampled_from(
    [
        (CELL, pa.string()),
        (CELL, pa.large_string()),
        (CELL, pa.dictionary(pa.int32(), pa.string())),
        (st.integers(-5, 5), pa.int16()),
        (st.sampled_from([0.0, -0.0, 0.1, 1e22, float("nan")]), pa.float32()),
        (st.booleans(), pa.bool_()),
        (st.lists(CELL, max_size=2), pa.list_(pa.string())),
        (st.dates(), pa.date32()),
    ]
)


@st.composite
def columns(draw: st.DrawFn) -> list[pa.Array]:
    """Three columns of one length, nulls among their values."""
    count = draw(st.integers(0, 8))
    made = []
    for cells, kind in (draw(KINDS), draw(KINDS), draw(KINDS)):
        values = draw(st.lists(st.none() | cells, min_size=count, max_size=count))
        made.append(pa.array(values, kind))
    return made


@given(columns(), st.sampled_from(OPTIONS), st.sampled_from([2, 1024]), st.sampled_from([0, 2**26]))
def test_parquet_batches_give_what_single_rows_give(
    arrays: list[pa.Array], keys: dict[str, Any], batch_rows: int, most_bytes: int
) -> None:
    """Otherwise a null, a number or a control character would be another thing in bulk."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        pq.write_table(pa.table(arrays, names=["t", "y", "z"]), Path(folder) / "a.parquet")
        patch.setattr(parquet_tables, "BATCH_ROWS", batch_rows)
        patch.setattr(parquet_tables, "MOST_BYTES", most_bytes)
        patch.setattr(text_columns, "LEAST_ROWS", 1)
        assert_same_both_ways(Path(folder), keys)


@given(columns())
def test_cells_of_parquet_become_the_text_of_each(arrays: list[pa.Array]) -> None:
    """Otherwise the label 1.0 of one file and 1 of another would be two classes, or one."""
    for array in arrays:
        assert as_text(array).to_pylist() == [cell_text(cell) for cell in array.to_pylist()]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_plain_rows_are_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """Otherwise the fast way could be lost without any other test noticing."""
    rows = [("one\r\ntwo", "p", "5'"), ("caf\xe9, \u20ac", "q", ""), ('say "so"', "p", "x")] * 20
    if suffix == "parquet":
        pq.write_table(
            pa.table(list(zip(*rows, strict=True)), ["t", "y", "z"]), tmp_path / "a.parquet"
        )
    else:
        cut = "," if suffix == "csv" else "\t"
        lines = [cut.join(map(quoted, row)) + "\r\n" for row in [("t", "y", "z"), *rows]]
        write_files(tmp_path, {f"a.{suffix}": "".join(lines)})

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("read row by row")

    monkeypatch.setattr(Columns, "row", refuse)
    monkeypatch.setattr(csv_tables, "_csv_rows", refuse)
    found, seen = read_source(table_source(tmp_path, label=Y, keep=("z",)))
    assert [(row["text"], row["label"]) for row in found] == [
        (text.replace("\r\n", "\n"), label) for text, label, _ in rows
    ]
    assert found[0]["attributes"] == '{"z": "5\'"}'
    assert not seen.rejections


def test_odd_rows_keep_their_line_among_plain_ones(tmp_path: Path) -> None:
    """Otherwise a person would look for an empty document many lines away from it."""
    plain = '"two\nlines",p,x\n' * 50
    write_files(tmp_path, {"a.csv": f"t,y,z\n{plain},p,x\n{plain}one,,x\none,q,x\n"})
    rows, seen = read_source(table_source(tmp_path, label=Y))
    assert [row["record"] for row in rows] == [*range(50), *range(51, 101), 102]
    assert seen.reasons == [("a.csv", 102, "empty"), ("a.csv", 203, "no_label")]


@pytest.mark.parametrize("names", [["t", "y"], ["y", "t"]])
def test_parquet_strings_that_are_no_utf8_are_an_error(tmp_path: Path, names: list[str]) -> None:
    """Otherwise they would end in a traceback, or in rows that cannot be stored."""
    offsets = pa.py_buffer(b"\0\0\0\0\1\0\0\0")
    broken = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(b"\xff"))
    pq.write_table(pa.table([broken, pa.array(["a"])], names), tmp_path / "a.parquet")
    with pytest.raises(SeqprepError, match=r"a\.parquet: cannot be read: .*UTF8"):
        read_source(table_source(tmp_path, label=Y))


def test_a_row_without_an_end_is_not_held_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a large table with the line ends of old Macs would have to fit in memory."""
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 8)
    monkeypatch.setattr(csv_blocks, "MOST_BYTES", 64)
    monkeypatch.setattr("seqprep.ingestion.expand.BLOCK_BYTES", 16)
    write_files(tmp_path, {"a.csv": "t,y\r" + "one,p\r" * 99})
    held: list[int] = []

    def cut_rows(data: bytes, *args: Any, **keys: Any) -> csv_blocks.RowBlock:
        held.append(len(data))
        return cut(data, *args, **keys)

    cut = csv_blocks.cut_rows
    monkeypatch.setattr(csv_blocks, "cut_rows", cut_rows)
    rows, _ = read_source(table_source(tmp_path, label=Y))
    assert len(rows) == 99
    assert max(held) <= 2 * 64
