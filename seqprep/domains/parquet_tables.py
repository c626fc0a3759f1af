"""Parquet tables with a column of documents, read in bounded batches.

Numbers and truth values become text as JSON writes them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from seqprep.domains.text_columns import Table, table_rows
from seqprep.domains.text_tables import Columns, Row, cell_text, find_places
from seqprep.errors import InputError
from seqprep.ingestion.expand import MAGIC
from seqprep.ingestion.field_columns import map_distinct
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context

BATCH_ROWS = 1024
MOST_BYTES = 64 * 2**20
"""Rows of a larger batch are taken one at a time, so that fewer copies are held."""


def read_parquet(
    file: SourceFile, columns: Columns, context: Context
) -> Iterator[Row | pa.RecordBatch]:
    """The rows of a Parquet file, in order, one by one or many at once.

    Raises:
        InputError: if it is none, or lacks a column.
    """
    with file.open() as stream:
        if stream.read(2) == MAGIC:
            raise InputError("Parquet inside gzip is not read; expand it", file=file.path)
    assert file.full is not None
    try:
        parquet = pq.ParquetFile(file.full, page_checksum_verification=True)
        header = parquet.schema_arrow.names
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"is no readable Parquet file: {error}", file=file.path) from error
    places = find_places(columns.all, header, file)
    for place in places.values():
        if _holds_bytes(parquet.schema_arrow.field(place).type):
            raise InputError(
                f"column {header[place]!r} holds bytes, not text; write it as a string column",
                file=file.path,
                reason="bad_table",
            )
    table, first = Table(file, columns, context), 0
    try:
        for batch in parquet.iter_batches(
            batch_size=BATCH_ROWS, columns=[header[place] for place in places.values()]
        ):
            step = BATCH_ROWS if batch.nbytes <= MOST_BYTES else 1
            for start in range(0, batch.num_rows, step):
                part = batch.slice(start, step)
                values = {
                    column: as_text(part.column(header[place])) for column, place in places.items()
                }
                yield from table_rows(table, values, first=first + start, lines_R=None)
            first += batch.num_rows
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", file=file.path) from error


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )


def as_text(cells: pa.Array) -> pa.StringArray:
    """What each cell says: a string itself, null nothing, all else as JSON writes it.

    Raises:
        pa.ArrowInvalid: if a string is no UTF-8.

    >>> as_text(pa.array([1.5, None, 2.0])).to_pylist()
    ['1.5', '', '2.0']
    """
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    kind = cells.type
    if _is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        texts = cells.cast(pa.string())
    elif pa.types.is_floating(kind):
        texts = map_distinct(cell_text, cells)
    else:
        texts = pa.array(map(cell_text, cells.to_pylist()), pa.string(), size=len(cells))
    texts.validate(full=True)
    return texts.fill_null("")


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
