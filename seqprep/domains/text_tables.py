"""Tables with a column of documents: CSV, TSV and Parquet, read in bounded blocks.

CSV and TSV have a header line unless every column is asked for by its position. Numbers and truth
values of Parquet columns become text as JSON writes them.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from seqprep.errors import InputError
from seqprep.ingestion.expand import MAGIC, Notice, SourceStream, stream_encoding
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
TABLE_SUFFIXES = (*DELIMITERS, *JSON_SUFFIXES, ".parquet")
TABLE_INCLUDE = tuple(f"*{suffix}" for suffix in TABLE_SUFFIXES)
PARQUET_ROWS = 1024


class Row(NamedTuple):
    """One row of a table, or what is wrong with it.

    Args:
        line: in the file, from 1; None where lines mean nothing.
        text: the document. cells: `label` and `group`. attributes: columns to keep.
        target: text of the target column.
        fault: reason code and detail, if the row cannot be used.
        fallback: whether cp1252 had to be taken.
    """

    line: int | None
    text: str = ""
    cells: Mapping[str, str] = {}
    attributes: Mapping[str, str] | None = None
    target: str | None = None
    fault: tuple[str, str] | None = None
    fallback: bool = False


class Columns(NamedTuple):
    """Which columns are read, and what for.

    Args:
        text: the document. cells: (`label` or `group`, column). kept: columns to keep.
        target: the target's column. all: every column, each once.
    """

    text: str | int
    cells: tuple[tuple[str, str | int], ...]
    kept: tuple[str, ...]
    target: str | int | None
    all: tuple[str | int, ...]

    @classmethod
    def of(cls, context: Context) -> Columns:
        """The columns that a source asks for."""
        source = context.source
        assert source.text_column is not None
        fields = (("label", context.label), ("group", context.group))
        target = source.target.column if source.target and not context.predicting else None
        cells = tuple(
            (key, reader.column)
            for key, reader in fields
            if reader is not None and reader.column is not None
        )
        kept = () if context.predicting else source.keep
        wanted = [source.text_column, *(column for _, column in cells), *kept]
        wanted += [] if target is None else [target]
        return cls(source.text_column, cells, kept, target, tuple(dict.fromkeys(wanted)))

    def row(self, values: Mapping[str | int, str], *, line: int | None, fallback: bool) -> Row:
        """A row from the text of each column."""
        return Row(
            line=line,
            text=values[self.text],
            cells={key: values[column] for key, column in self.cells},
            attributes={name: values[name] for name in self.kept} or None,
            target=None if self.target is None else values[self.target],
            fallback=fallback,
        )


def read_csv(file: SourceFile, columns: Columns, context: Context, notice: Notice) -> Iterator[Row]:
    """The rows of a CSV or TSV file, in order.

    Raises:
        InputError: if a column is missing, a quote stays open, or the bytes are not text.
    """
    cap = context.source.max_expanded_bytes
    encoding, fallback = stream_encoding(
        file, encoding=context.source.encoding, max_expanded_bytes=cap
    )
    csv.field_size_limit(sys.maxsize)
    stream = SourceStream(file, max_expanded_bytes=cap)
    with io.TextIOWrapper(
        io.BufferedReader(stream, 2**20), encoding=encoding, newline=""
    ) as handle:
        rows = csv.reader(handle, delimiter=DELIMITERS[file.suffix], strict=True)
        try:
            yield from _csv_rows(rows, file, columns, fallback=fallback)
            stream.tell_members(notice)
        except csv.Error as error:
            raise InputError(
                f"is no valid table: {error}; is a quote left open?",
                file=file.path,
                line=rows.line_num,
                reason="bad_table",
            ) from error
        except UnicodeError as error:
            raise InputError(
                f"the bytes are not {encoding}: {error}; set source.encoding",
                file=file.path,
                line=rows.line_num + 1,
                reason="bad_encoding",
            ) from error


def _csv_rows(
    rows: Iterator[list[str]], file: SourceFile, columns: Columns, *, fallback: bool
) -> Iterator[Row]:
    header: list[str] | None = None
    if any(isinstance(column, str) for column in columns.all):
        header = [cell.strip() for cell in next(rows, [])]
    places = _places(columns.all, header, file)
    width = len(header) if header is not None else None
    start = rows.line_num + 1  # type: ignore[attr-defined]
    for cells in rows:
        line, start = start, rows.line_num + 1  # type: ignore[attr-defined]
        if not cells:
            continue
        width = width or len(cells)
        if len(cells) != width:
            detail = f"the row has {len(cells)} cells, the first has {width}"
            yield Row(line=line, fault=("ragged_row", detail), fallback=fallback)
            continue
        if max(places.values()) >= width:
            raise InputError(
                f"has no column {max(places.values())}, only {width}", file=file.path, line=line
            )
        values = {column: cells[place] for column, place in places.items()}
        yield columns.row(values, line=line, fallback=fallback)


def _places(
    wanted: Sequence[str | int], header: Sequence[str] | None, file: SourceFile
) -> dict[str | int, int]:
    places: dict[str | int, int] = {}
    for column in wanted:
        if isinstance(column, int):
            places[column] = column
        elif header is None or column not in header:
            raise InputError(
                f"has no column {column!r}; {_instead(column, header)}",
                file=file.path,
                line=1,
                reason="no_column",
            )
        elif header.count(column) > 1:
            raise InputError(f"column {column!r} occurs twice", file=file.path, line=1)
        else:
            places[column] = header.index(column)
        if header is not None and places[column] >= len(header):
            raise InputError(f"has no column {column}, only {len(header)}", file=file.path, line=1)
    return places


def _instead(column: str | int, header: Sequence[str] | None) -> str:
    """What stands there instead of a column, and what to do."""
    if header is None:
        return "it has no header; give the column's position, from 0"
    found = f"its header is {list(header)[:12]}"
    if len(header) == 1 and (mark := next((m for m in ";\t|" if m in header[0]), None)):
        return f"{found}: write the table with commas, or with tabs as .tsv, instead of {mark!r}"
    near = difflib.get_close_matches(str(column), header, n=1)
    return f"{found}; did you mean {near[0]!r}?" if near else f"{found}; change the pipeline file"


def cell_text(value: object) -> str:
    """What a cell that is no string says: nothing for null, else as JSON writes it.

    >>> cell_text(None), cell_text(True), cell_text(1), cell_text(2.5)
    ('', 'true', '1', '2.5')
    """
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def read_parquet(file: SourceFile, columns: Columns) -> Iterator[Row]:
    """The rows of a Parquet file, in order.

    Raises:
        InputError: if it is none, or lacks a column.
    """
    with file.open() as stream:
        if stream.read(2) == MAGIC:
            raise InputError("Parquet inside gzip is not read; expand it", file=file.path)
    assert file.full is not None
    try:
        parquet = pq.ParquetFile(file.full)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"is no readable Parquet file: {error}", file=file.path) from error
    header = parquet.schema_arrow.names
    places = _places(columns.all, header, file)
    for place in places.values():
        if _holds_bytes(parquet.schema_arrow.field(place).type):
            raise InputError(
                f"column {header[place]!r} holds bytes, not text; write it as a string column",
                file=file.path,
                reason="bad_table",
            )
    try:
        for batch in parquet.iter_batches(
            batch_size=PARQUET_ROWS, columns=[header[place] for place in places.values()]
        ):
            data = {
                column: batch.column(header[place]).to_pylist() for column, place in places.items()
            }
            for number in range(batch.num_rows):
                values = {column: _as_text(cells[number]) for column, cells in data.items()}
                yield columns.row(values, line=None, fallback=False)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot be read: {error}", file=file.path) from error


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else cell_text(value)
