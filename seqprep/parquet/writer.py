"""Parquet files of rows that hold long lists of numbers, written a page at a time.

Arrow's own writer holds ten bytes for each number of a row group, and a row cannot be cut: a record
of 250 million bases took 3 GB; and it handles them one by one. This one holds a page, and takes a
quarter of the time. Use it for tables with list columns; for others Arrow's writer does as well.
Any reader of Parquet reads the files: data pages of version 1, with checksums, packed by zstd.
Source: https://github.com/apache/parquet-format (parquet.thrift, version 2.11)

Legend: R rows of a row group, N values of a column, E entries (see `levels`).
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqprep.arrays import as_array
from seqprep.parquet.levels import Column, column_of, page_levels
from seqprep.parquet.thrift import FALSE, TRUE, Value, binary, i8, i16, i32, i64, items, struct
from seqprep.parquet.values import PLAIN, RLE, encoder

PAGE_ENTRIES = 2**20
ZSTD_LEVEL = 1
_MAGIC = b"PAR1"
_ZSTD = 6
_REQUIRED, _OPTIONAL, _REPEATED = range(3)
_PHYSICAL = {
    **dict.fromkeys([pa.int8(), pa.int16(), pa.int32()], 1),
    pa.int64(): 2,
    pa.float32(): 4,
    pa.float64(): 5,
    **dict.fromkeys([pa.string(), pa.binary()], 6),
}
_CONVERTED = {pa.string(): 0, pa.int8(): 15, pa.int16(): 16}


class ListWriter:
    """Write one Parquet file, a row group for each table.

    Args:
        path: of the file.
        schema: columns of strings, bytes, numbers, and lists of numbers without nulls in them.
        statistics: integer columns whose least and greatest value are kept.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, statistics: tuple[str, ...] = ()) -> None:
        self._schema, self._statistics = schema, statistics
        self._codec = pa.Codec("zstd", compression_level=ZSTD_LEVEL)
        self._groups: list[Value] = []
        self._rows = 0
        self._file = path.open("wb")
        self._file.write(_MAGIC)

    def write_table(self, table: pa.Table, row_group_size: int | None = None) -> None:
        """Write rows as one row group; `row_group_size` is that of Arrow's writer, and not less."""
        assert row_group_size is None or row_group_size >= len(table), row_group_size
        start = self._file.tell()
        chunks = [self._write_column(field_, table[field_.name]) for field_ in self._schema]
        packed = self._file.tell() - start
        self._groups.append(
            struct(
                {
                    1: items([chunk.message for chunk in chunks]),
                    2: i64(sum(chunk.size_bytes for chunk in chunks)),
                    3: i64(len(table)),
                    5: i64(start),
                    6: i64(packed),
                    7: i16(len(self._groups)),
                }
            )
        )
        self._rows += len(table)

    def close(self) -> None:
        """Write the footer, and close the file."""
        if self._file.closed:
            return
        leaves = [_leaf(field_)[0] for field_ in self._schema]
        ordered = struct({1: struct({})})
        kept = base64.b64encode(self._schema.serialize())
        footer = struct(
            {
                1: i32(2),
                2: items(_schema_elements(self._schema)),
                3: i64(self._rows),
                4: items(self._groups) if self._groups else Value(9, b"\x0c"),
                5: items([struct({1: binary(b"ARROW:schema"), 2: binary(kept)})]),
                6: binary(b"seqprep"),
                7: items([ordered] * len(leaves)),
            }
        ).raw
        self._file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)
        self._file.close()

    def _write_column(self, field_: pa.Field, column: pa.ChunkedArray) -> _Chunk:
        leaf, path = _leaf(field_)
        array = as_array(column)
        if isinstance(array, pa.ChunkedArray):  # Arrow keeps chunks that it cannot join
            raise ValueError(f"{field_.name}: a row group of more than 2 GB; write fewer rows")
        rows = column_of(array, nullable=field_.nullable)
        chunk = _Chunk(rows=rows, start=self._file.tell())
        coder = encoder(rows.values)
        if coder.dictionary is not None:
            raw, count = coder.dictionary
            header = struct({1: i32(count), 2: i32(PLAIN), 3: FALSE})
            self._write_page(chunk, raw, kind=2, header={7: header})
            chunk.first_page = self._file.tell()
        total = int(rows.entries[-1])
        for start in range(0, total, PAGE_ENTRIES):
            stop = min(start + PAGE_ENTRIES, total)
            levels, first, last = page_levels(rows, start, stop)
            header = struct(
                {1: i32(stop - start), 2: i32(coder.encoding), 3: i32(RLE), 4: i32(RLE)}
            )
            raw = levels + coder.encode(first, last)
            self._write_page(chunk, raw, kind=0, header={5: header})
        used = {PLAIN, RLE, coder.encoding} if coder.dictionary else {RLE, coder.encoding}
        extremes = _extremes(array) if field_.name in self._statistics else None
        chunk.message = _column_message(
            chunk,
            {
                1: i32(_PHYSICAL[leaf]),
                2: items([i32(number) for number in sorted(used)]),
                3: items([binary(name.encode()) for name in path]),
                4: i32(_ZSTD),
                5: i64(total),
                6: i64(chunk.size_bytes),
                7: i64(self._file.tell() - chunk.start),
                9: i64(chunk.first_page),
                11: i64(chunk.start) if coder.dictionary else None,
                12: extremes,
            },
        )
        return chunk

    def _write_page(
        self, chunk: _Chunk, raw: bytes, *, kind: int, header: dict[int, Value | None]
    ) -> None:
        packed = self._codec.compress(raw, asbytes=True)
        checksum = zlib.crc32(packed)
        fields = {
            1: i32(kind),
            2: i32(len(raw)),
            3: i32(len(packed)),
            4: i32(checksum - 2**32 if checksum >= 2**31 else checksum),
            **header,
        }
        head = struct(fields).raw
        chunk.size_bytes += len(head) + len(raw)
        self._file.write(head + packed)


@dataclass(slots=True)
class _Chunk:
    """One column of a row group on its way to the file.

    Args:
        rows: what it holds. start: where its first page stands in the file.
        first_page: where its first data page stands. size_bytes: of its pages, unpacked.
        message: what the footer says of it.
    """

    rows: Column
    start: int
    first_page: int = 0
    size_bytes: int = 0
    message: Value = field(default_factory=lambda: struct({}))

    def __post_init__(self) -> None:
        self.first_page = self.start


def _column_message(chunk: _Chunk, about: dict[int, Value | None]) -> Value:
    return struct({2: i64(chunk.start), 3: struct(about)})


def _extremes(array: pa.Array) -> Value:
    least, most = (int(number.as_py()) for number in pc.min_max(array).values())
    size = array.type.bit_width // 8
    low, high = (binary(number.to_bytes(size, "little", signed=True)) for number in (least, most))
    return struct({3: i64(0), 5: high, 6: low})


def _leaf(field_: pa.Field) -> tuple[pa.DataType, tuple[str, ...]]:
    """The type of a column's values, and the path to them."""
    if pa.types.is_list(field_.type):
        return field_.type.value_type, (field_.name, "list", "element")
    return field_.type, (field_.name,)


def _schema_elements(schema: pa.Schema) -> list[Value]:
    root = struct({4: binary(b"schema"), 5: i32(len(schema))})
    elements = [root]
    for field_ in schema:
        repetition = _OPTIONAL if field_.nullable else _REQUIRED
        leaf, path = _leaf(field_)
        if len(path) == 1:
            elements.append(_value_element(leaf, field_.name, repetition))
            continue
        kind = struct({3: struct({})})
        elements += [
            struct(
                {
                    3: i32(repetition),
                    4: binary(field_.name.encode()),
                    5: i32(1),
                    6: i32(3),
                    10: kind,
                }
            ),
            struct({3: i32(_REPEATED), 4: binary(b"list"), 5: i32(1)}),
            _value_element(leaf, "element", _OPTIONAL),
        ]
    return elements


def _value_element(leaf: pa.DataType, name: str, repetition: int) -> Value:
    logical = None
    if leaf == pa.string():
        logical = struct({1: struct({})})
    elif pa.types.is_integer(leaf) and leaf.bit_width < 32:
        logical = struct({10: struct({1: i8(leaf.bit_width), 2: TRUE})})
    converted = _CONVERTED.get(leaf)
    return struct(
        {
            1: i32(_PHYSICAL[leaf]),
            3: i32(repetition),
            4: binary(name.encode()),
            6: None if converted is None else i32(converted),
            10: logical,
        }
    )
