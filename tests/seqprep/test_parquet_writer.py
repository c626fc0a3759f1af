"""Our writer of Parquet: what any reader finds in its files is what was written."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.parquet import values as packed
from seqprep.parquet import writer
from seqprep.parquet.writer import PageWriter

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("note", pa.string()),
        pa.field("digest", pa.binary(), nullable=False),
        pa.field("key", pa.int64(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("score", pa.float64()),
        pa.field("label", pa.int32()),
        pa.field("tokens", pa.list_(pa.int8()), nullable=False),
        pa.field("words", pa.list_(pa.int16()), nullable=False),
        pa.field("ids", pa.list_(pa.int32())),
        pa.field("values", pa.list_(pa.float32())),
    ]
)


def rows_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values of a column's type."""
    if pa.types.is_list(kind):
        return st.lists(rows_of(kind.value_type), max_size=9)
    if pa.types.is_integer(kind):
        top = 2 ** (kind.bit_width - 1)
        return st.integers(-top, top - 1) | st.integers(0, 3)
    if pa.types.is_floating(kind):
        return st.floats(width=kind.bit_width, allow_nan=False)
    return st.text(max_size=5) if pa.types.is_string(kind) else st.binary(max_size=5)


ROW = st.fixed_dictionaries(
    {
        field.name: (st.none() | rows_of(field.type)) if field.nullable else rows_of(field.type)
        for field in SCHEMA
    }
)


def write(path: Path, groups: list[pa.Table], schema: pa.Schema) -> None:
    with PageWriter(path, schema, statistics=("length",)) as file:
        for table in groups:
            file.write_table(table)


@given(st.lists(st.lists(ROW, min_size=1, max_size=6), max_size=3), st.integers(1, 9))
def test_files_hold_what_was_written(groups: list[list[dict[str, Any]]], page: int) -> None:
    """Otherwise rows, nulls, empty lists or the edges of pages would come back as others."""
    tables = [pa.Table.from_pylist(rows, schema=SCHEMA) for rows in groups]
    whole = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "PAGE_ENTRIES", page)
        patch.setattr(writer, "PAGE_LETTERS", page)
        path = Path(folder, "a.parquet")
        write(path, tables, SCHEMA)
        read = pq.ParquetFile(path, page_checksum_verification=True)
        assert read.schema_arrow == SCHEMA
        assert read.num_row_groups == len(tables)
        assert read.read() == whole
        if tables:
            assert pl.read_parquet(path).to_dicts() == whole.to_pylist()


FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=9)


@given(st.lists(st.lists(st.none() | FLOATS, max_size=4), max_size=5), st.integers(4, 64))
def test_floats_in_several_chunks_are_one_column(
    chunks: list[list[list[float] | None]], page_bytes: int
) -> None:
    """Otherwise values of the next record would stand in a page beside the wrong rows."""
    kind = pa.list_(pa.float32())
    table = pa.table({"values": pa.chunked_array([pa.array(rows, kind) for rows in chunks], kind)})
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "PAGE_BYTES", page_bytes)
        path = Path(folder, "a.parquet")
        write(path, [table], table.schema)
        assert pq.ParquetFile(path, page_checksum_verification=True).read() == table
        assert pl.read_parquet(path)["values"].to_list() == table["values"].to_pylist()


def test_pages_that_threads_pack_are_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a long record would come back in pieces that changed places."""
    values = pa.array(np.arange(5000, dtype=np.float32))
    lists = pa.ListArray.from_arrays(pa.array([0, 4000, 4000, 5000], pa.int32()), values)
    table = pa.table({"values": lists})
    monkeypatch.setattr(writer, "PAGE_BYTES", 400)
    for packers in (1, 2):
        monkeypatch.setattr(writer, "PACKERS", packers)
        write(tmp_path / f"{packers}", [table], table.schema)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert pq.read_table(tmp_path / "2").equals(table)


@pytest.mark.parametrize("distinct", [1, 2, 3, 4, 5, 16, 17, 256])
@pytest.mark.parametrize("kind", [np.int8, np.int16])
@pytest.mark.parametrize("is_signed", [True, False])
def test_every_number_of_distinct_values_is_packed(
    tmp_path: Path,
    distinct: int,
    kind: type[np.signedinteger[Any]],
    is_signed: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a larger alphabet would be cut to the bits of a smaller one."""
    monkeypatch.setattr(packed, "_WORDS", 16)
    low = -(distinct // 2) if is_signed else 2
    values = (np.arange(1003) * 7 % distinct + low).astype(kind)
    lists = pa.ListArray.from_arrays(pa.array([0, 0, 1000, 1003], pa.int32()), pa.array(values))
    table = pa.table({"tokens": lists})
    write(tmp_path / "a.parquet", [table], table.schema)
    assert pq.read_table(tmp_path / "a.parquet").equals(table)


@given(
    st.lists(st.sampled_from([0, 1, 7, 255, 256, 300, 70_000]), max_size=3),
    st.integers(0, 400),
    st.integers(0, 9),
)
def test_strings_of_any_length_come_back(extra: list[int], count: int, most: int) -> None:
    """Otherwise lengths of more than a block, or of other widths, would be read as others."""
    sizes = [*(np.arange(count) * 5 % (most + 1)).tolist(), *extra]
    table = pa.table({"text": pa.array(["é" * size for size in sizes], pa.string())})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.parquet")
        write(path, [table], table.schema)
        assert pq.read_table(path).equals(table)
        assert pl.read_parquet(path)["text"].to_list() == table["text"].to_pylist()


def test_a_slice_of_a_table_is_written_as_it_reads(tmp_path: Path) -> None:
    """Otherwise the rows before a slice would be written in its place."""
    table = pa.table(
        {"id": ["a", "b", "c"], "tokens": pa.array([[1], [2, 3], []], pa.list_(pa.int8()))}
    )
    write(tmp_path / "a.parquet", [table.slice(1)], table.schema)
    assert pq.read_table(tmp_path / "a.parquet").to_pylist() == table.slice(1).to_pylist()


def test_a_column_without_values_has_no_statistics(tmp_path: Path) -> None:
    """Otherwise a group without a length, or without rows, could not be written."""
    schema = pa.schema([("length", pa.int32())])
    tables = [pa.table({"length": pa.array(rows, pa.int32())}) for rows in ([None], [], [4])]
    write(tmp_path / "a.parquet", tables, schema)
    found = pq.ParquetFile(tmp_path / "a.parquet").metadata
    kept = [found.row_group(number).column(0).statistics for number in range(3)]
    assert [one is not None and one.min for one in kept] == [False, False, 4]
    assert pq.read_table(tmp_path / "a.parquet")["length"].to_pylist() == [None, 4]


def test_lengths_have_statistics_and_pages_have_checksums(tmp_path: Path) -> None:
    """Otherwise readers could not skip row groups, nor notice a flipped bit."""
    path = tmp_path / "a.parquet"
    table = pa.table(
        {
            "length": pa.array([3, 1], pa.int32()),
            "tokens": pa.array([[7] * 50] * 2, pa.list_(pa.int8())),
        }
    )
    write(path, [table], table.schema)
    found = pq.ParquetFile(path).metadata.row_group(0)
    assert (found.column(0).statistics.min, found.column(0).statistics.max) == (1, 3)
    data = bytearray(path.read_bytes())
    # The last bytes of the column's only data page.
    data[found.column(1).file_offset + found.column(1).total_compressed_size - 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match="CRC"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


def test_a_file_that_broke_off_cannot_be_read(tmp_path: Path) -> None:
    """Otherwise the rows before an error would pass for all there are."""
    schema, path = pa.schema([("n", pa.int32())]), tmp_path / "a.parquet"
    with pytest.raises(KeyError), PageWriter(path, schema) as file:
        file.write_table(pa.table({"n": pa.array([1], pa.int32())}))
        file.write_table(pa.table({"m": pa.array([2], pa.int32())}))
    assert path.stat().st_size > 4
    with pytest.raises(pa.ArrowInvalid, match="magic bytes not found in footer"):
        pq.read_table(path)
