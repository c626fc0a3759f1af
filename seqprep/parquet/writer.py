"""Parquet files of rows that hold long lists of numbers or long texts, a page at a time.

Arrow's own writer holds ten bytes for each number of a row group, and a row cannot be cut: a record
of 250 million bases took 3 GB; and it handles them one by one. This one holds a page, and takes a
quarter of the time. Any reader of Parquet reads the files: data pages of version 1, with checksums,
packed by zstd (bases by a code of our own in zstd's format).
Source: https://github.com/apache/parquet-format (parquet.thrift, version 2.11)

Legend: R rows of a row group, N values of a column, E entries (see `levels`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.arrays import as_array
from seqprep.parallel import ordered
from seqprep.parquet.levels import Column, column_of, page_levels
from seqprep.parquet.pages import Page, pack_page
from seqprep.parquet.thrift import FALSE, TRUE, Value, binary, i8, i16, i32, i64, items, struct
from seqprep.parquet.values import PLAIN, RLE, Encoder, encoder

PAGE_ENTRIES = 2**20
PAGE_BYTES = 2**20
"""Of numbers in a page, before they are coded: what a core's own cache holds."""
PAGE_LETTERS = 2**20
"""Of strings in a page, unless one is longer."""
PACKERS = 2
"""Threads that pack the pages of a column, where there are many."""
MANY_PAGES = 32
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


class PageWriter:
    """Write one Parquet file, a row group for each table.

    Args:
        path: of the file.
        schema: columns of strings, bytes, numbers, and lists of numbers without nulls in them.
        statistics: integer columns whose least and greatest value are kept.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, statistics: tuple[str, ...] = ()) -> None:
        self._schema, self._statistics = schema, statistics
        self._groups: list[Value] = []
        self._rows = 0
        self._file = path.open("wb")
        self._file.write(_MAGIC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Close the file: whole, or without the footer that would make it look whole."""
        if kind is None:
            self.close()
        else:
            self._file.close()

    def write_table(self, table: pa.Table) -> None:
        """Write rows as one row group."""
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
        by_type = struct({1: struct({})})
        kept = base64.b64encode(self._schema.serialize())
        footer = struct(
            {
                1: i32(2),
                2: items(_schema_elements(self._schema)),
                3: i64(self._rows),
                4: items(self._groups) if self._groups else Value(9, b"\x0c"),
                5: items([struct({1: binary(b"ARROW:schema"), 2: binary(kept)})]),
                6: binary(b"seqprep"),
                7: items([by_type] * len(leaves)),
            }
        ).raw
        self._file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)
        self._file.close()

    def _write_column(self, field_: pa.Field, column: pa.ChunkedArray) -> _Chunk:
        leaf, path = _leaf(field_)
        chunk = _Chunk(start=self._file.tell())
        extremes = None
        for array in _arrays(field_, column):
            self._write_values(chunk, array, nullable=field_.nullable)
            if field_.name in self._statistics:
                extremes = _extremes(array)
        chunk.message = _column_message(
            chunk,
            {
                1: i32(_PHYSICAL[leaf]),
                2: items([i32(number) for number in sorted(chunk.encodings)]),
                3: items([binary(name.encode()) for name in path]),
                4: i32(_ZSTD),
                5: i64(chunk.entries),
                6: i64(chunk.size_bytes),
                7: i64(self._file.tell() - chunk.start),
                9: i64(chunk.first_page),
                11: i64(chunk.start) if chunk.first_page > chunk.start else None,
                12: extremes,
            },
        )
        return chunk

    def _write_values(
        self, chunk: _Chunk, array: pa.Array | pa.ChunkedArray, *, nullable: bool
    ) -> None:
        """The pages of some rows of a column: their dictionary, then their values."""
        rows = column_of(array, nullable=nullable)
        coder = encoder(rows.values)
        if coder.dictionary is not None:
            raw, count = coder.dictionary
            header = struct({1: i32(count), 2: i32(PLAIN), 3: FALSE})
            self._write_page(chunk, pack_page(raw, kind=2, header={7: header}))
            chunk.first_page = self._file.tell()
            chunk.encodings.add(PLAIN)
        chunk.encodings.add(coder.encoding)
        edges = _page_edges(rows, coder)

        def pack(edge: tuple[int, int]) -> Page:
            levels, first, last = page_levels(rows, *edge)
            header = struct(
                {1: i32(edge[1] - edge[0]), 2: i32(coder.encoding), 3: i32(RLE), 4: i32(RLE)}
            )
            raw = b"".join((levels, coder.encode(first, last)))
            return pack_page(raw, coder.letters_of(first, last), kind=0, header={5: header})

        workers = PACKERS if len(edges) > MANY_PAGES else 1
        for page in ordered(pack, pairwise(edges), workers=workers):
            self._write_page(chunk, page)
        chunk.entries += edges[-1]

    def _write_page(self, chunk: _Chunk, page: Page) -> None:
        chunk.size_bytes += page.size_bytes
        self._file.write(page.head)
        self._file.write(page.packed)


@dataclass(slots=True)
class _Chunk:
    """One column of a row group on its way to the file.

    Args:
        start: where its first page stands in the file.
        first_page: where its first data page stands. size_bytes: of its pages, unpacked.
        entries: in them. encodings: that occur.
        message: what the footer says of it.
    """

    start: int
    first_page: int = 0
    size_bytes: int = 0
    entries: int = 0
    encodings: set[int] = field(default_factory=lambda: {RLE})
    message: Value = field(default_factory=lambda: struct({}))

    def __post_init__(self) -> None:
        self.first_page = self.start


def _arrays(field_: pa.Field, column: pa.ChunkedArray) -> Sequence[pa.Array | pa.ChunkedArray]:
    """Rows of a column that are coded together: text chunk by chunk, all else at once."""
    if _is_text(field_.type) and column.num_chunks:
        return list(column.chunks)
    if column.num_chunks > 1 and _leaf(field_)[0] == pa.float32():
        return [column]  # pages take floats from several chunks, without a copy of all
    try:
        array = as_array(column)
    except pa.ArrowInvalid as error:  # an array counts its values in 32 bits
        raise ValueError(f"{field_.name}: a row group of 2^31 values; write fewer rows") from error
    return [array]


def _page_edges(rows: Column, coder: Encoder) -> list[int]:
    """The entry at which each page starts, and the last one's end: some rows, and not too long."""
    total = int(rows.entries[-1])
    step = PAGE_ENTRIES
    if coder.edges is None:
        step = min(step, PAGE_BYTES * 8 // rows.values.type.bit_width)
    if 0 < total <= step and len(coder.letters) <= PAGE_LETTERS:
        return [0, total]
    edges = np.arange(0, total, step)
    if coder.edges is not None:
        places = coder.edges[rows.stored]
        wanted = np.arange(PAGE_LETTERS, len(coder.letters), PAGE_LETTERS)
        edges = np.union1d(edges, rows.entries[np.searchsorted(places, wanted)])
    return [*edges[edges < total].tolist(), total]


def _column_message(chunk: _Chunk, about: dict[int, Value | None]) -> Value:
    return struct({2: i64(chunk.start), 3: struct(about)})


def _extremes(array: pa.Array) -> Value | None:
    if array.null_count == len(array):
        return None
    least, most = (int(number.as_py()) for number in pc.min_max(array).values())
    size = array.type.bit_width // 8
    low, high = (binary(number.to_bytes(size, "little", signed=True)) for number in (least, most))
    return struct({3: i64(0), 5: high, 6: low})


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


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
