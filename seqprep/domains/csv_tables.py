"""CSV and TSV tables with a column of documents, read in bounded blocks.

They have a header line unless every column is asked for by its position. Arrow reads blocks of
plain rows, Python's `csv` the others and whatever is wrong; both give the same rows.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import pyarrow as pa

from seqprep.domains.csv_blocks import RowBlock, UntoldError, parse_rows, row_blocks
from seqprep.domains.text_columns import Table, table_rows
from seqprep.domains.text_tables import DELIMITERS, Columns, Row, find_places
from seqprep.errors import InputError
from seqprep.ingestion.expand import Notice, SourceStream, stream_encoding
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context


def read_csv(
    file: SourceFile, columns: Columns, context: Context, notice: Notice
) -> Iterator[Row | pa.RecordBatch]:
    """The rows of a CSV or TSV file, in order, one by one or many at once.

    Raises:
        InputError: if a column is missing, a quote stays open, or the bytes are not text.
    """
    table, source = Table(file, columns, context), context.source
    codec, fallback = stream_encoding(
        file, encoding=source.encoding, max_expanded_bytes=source.max_expanded_bytes
    )
    csv.field_size_limit(sys.maxsize)
    count = 0
    if table.whole and codec in ("utf-8", "utf-8-sig"):
        try:
            for rows in _read_blocks(table, notice, codec):
                yield rows
                count += 1 if isinstance(rows, Row) else rows.num_rows
            return
        except (UntoldError, UnicodeDecodeError, csv.Error, InputError):
            pass  # the reader below says what is wrong, wherever it stands
    yield from islice(_read_lines(table, notice, codec, fallback=fallback), count, None)


class _Reader(Protocol):
    """What `csv.reader` gives."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """How the rows of a file are laid out.

    Args:
        places: the position of each column that is read.
        width: cells of a row; None where the first row decides.
    """

    places: Mapping[str | int, int]
    width: int | None

    @classmethod
    def of(cls, table: Table, rows: Iterator[list[str]]) -> _Layout:
        """Take the header off the rows, if there is one.

        Raises:
            InputError: if a column is missing.
        """
        wanted, header = table.columns.all, None
        if any(isinstance(column, str) for column in wanted):
            header = [cell.strip() for cell in next(rows, [])]
        places = find_places(wanted, header, table.file)
        return cls(places=places, width=None if header is None else len(header))


def _read_blocks(table: Table, notice: Notice, codec: str) -> Iterator[Row | pa.RecordBatch]:
    """The rows of a file in UTF-8, as far as it is sound.

    Raises:
        UntoldError: or another one, if the file must be read line by line.
    """
    delimiter = DELIMITERS[table.file.suffix]
    layout, first = None, 0
    cap = table.context.source.max_expanded_bytes
    with SourceStream(table.file, max_expanded_bytes=cap) as stream:
        for block in row_blocks(stream, delimiter=delimiter, marked=codec == "utf-8-sig"):
            if layout is None:
                layout, block = _first_layout(block, table)
            for rows in _block_rows(block, layout, table, first=first):
                yield rows
                first += 1 if isinstance(rows, Row) else rows.num_rows
        if layout is None:
            raise UntoldError("the file is empty")
        stream.tell_members(notice)


def _first_layout(block: RowBlock, table: Table) -> tuple[_Layout, RowBlock]:
    """The layout by the first row of a file, and what follows the header."""
    head, rest = block.split_first()
    if head.count(b"\r") != head.count(b"\r\n"):
        raise UntoldError("the first row holds a carriage return")
    rows = list(_parsed(io.StringIO(head.decode(), newline=""), table))
    layout = _Layout.of(table, iter(rows))
    if layout.width is not None:
        return layout, rest
    if len(rows[0]) <= max(layout.places.values()):
        raise UntoldError("the first row is too short")
    return replace(layout, width=len(rows[0])), block


def _block_rows(
    block: RowBlock, layout: _Layout, table: Table, *, first: int
) -> Iterator[Row | pa.RecordBatch]:
    """The rows of a block, the first of which is number `first` of the file."""
    assert layout.width is not None
    text = block.data.decode()
    if not text:
        return
    delimiter = DELIMITERS[table.file.suffix]
    values = parse_rows(block, layout.places, delimiter=delimiter, width=layout.width)
    if values is not None:
        yield from table_rows(table, values, first=first, lines_R=block.lines)
    else:
        rows = _parsed(io.StringIO(text, newline=""), table)
        yield from _csv_rows(rows, layout, table, line=int(block.lines[0]))


def _parsed(lines: Iterable[str], table: Table) -> _Reader:
    return csv.reader(lines, delimiter=DELIMITERS[table.file.suffix], strict=True)


def _read_lines(table: Table, notice: Notice, codec: str, *, fallback: bool) -> Iterator[Row]:
    """The rows of a file, one by one.

    Raises:
        InputError: as `read_csv`.
    """
    stream = SourceStream(table.file, max_expanded_bytes=table.context.source.max_expanded_bytes)
    with io.TextIOWrapper(io.BufferedReader(stream, 2**20), encoding=codec, newline="") as handle:
        rows = _parsed(handle, table)
        try:
            layout = _Layout.of(table, rows)
            yield from _csv_rows(rows, layout, table, line=rows.line_num + 1, fallback=fallback)
            stream.tell_members(notice)
        except csv.Error as error:
            raise InputError(
                f"is no valid table: {error}; is a quote left open?",
                file=table.file.path,
                line=rows.line_num,
                reason="bad_table",
            ) from error
        except UnicodeError as error:
            raise InputError(
                f"the bytes are not {codec}: {error}; set source.encoding",
                file=table.file.path,
                line=rows.line_num + 1,
                reason="bad_encoding",
            ) from error


def _csv_rows(
    rows: _Reader, layout: _Layout, table: Table, *, line: int, fallback: bool = False
) -> Iterator[Row]:
    """The rows as they stand from a line on."""
    places, width = layout.places, layout.width
    before = line - 1 - rows.line_num
    start = line
    for cells in rows:
        line, start = start, before + rows.line_num + 1
        if not cells:
            continue
        width = width or len(cells)
        if len(cells) != width:
            detail = f"the row has {len(cells)} cells, the first has {width}"
            yield Row(line=line, fault=("ragged_row", detail), fallback=fallback)
            continue
        if max(places.values()) >= width:
            raise InputError(
                f"has no column {max(places.values())}, only {width}",
                file=table.file.path,
                line=line,
            )
        values = {column: cells[place] for column, place in places.items()}
        yield table.columns.row(values, line=line, fallback=fallback)
