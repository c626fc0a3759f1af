"""Rows of Arrow's tables and lists as ragged arrays, and back: with as few copies as can be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged
from seqprep.arrays import as_array
from seqprep.errors import SeqprepError
from seqprep.ragged import Ints, Ragged

_LIST_NUMBERS = 2**31 - 1
LONG_BYTES = 2**16
"""Rows of this size or more, on average, are not copied to stand side by side."""


def take_rows(table: pa.Table, rows: npt.NDArray[np.integer]) -> pa.Table:
    """The named rows of a table, in that order; the table itself where that changes nothing.

    Whole lists are copied as bytes: Arrow's own `take` and an index of every step are several times
    slower, and a long record is not copied more than once.
    """
    order = np.ascontiguousarray(rows, dtype=np.int64)
    if len(order) == len(table) and (order == np.arange(len(order))).all():
        return table
    places = pa.array(order)
    columns = [
        _taken_lists(as_array(column), order)
        if pa.types.is_list(column.type) and not column.null_count
        else column.take(places)
        for column in table.columns
    ]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _taken_lists(lists: pa.ListArray, rows: Ints) -> pa.ListArray:
    whole = list_rows(lists)
    taken = ragged.take(whole, rows)
    values = pa.array(taken.values)
    return pa.ListArray.from_arrays(pa.array(taken.offsets.astype(np.int32)), values)


def copy_table(table: pa.Table) -> pa.Table:
    """The same rows in memory of their own: a slice keeps all of its table alive."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def list_array(rows: Ragged) -> pa.ListArray:
    """An Arrow list for each row; steps of F features are written one after the other.

    Raises:
        SeqprepError: if there are more numbers than the lists of a table can hold.
    """
    width = int(np.prod(rows.values.shape[1:], dtype=np.int64))
    offsets = (rows.offsets - rows.offsets[0]) * width
    if offsets[-1] > _LIST_NUMBERS:
        raise SeqprepError(
            f"{len(rows):,} records of up to {int(rows.lengths.max()):,} steps of {width} numbers "
            f"are {int(offsets[-1]):,} numbers, more than the {_LIST_NUMBERS:,} that lists can "
            "hold; make fewer features of a step, or cut records by a step `windows` before"
        )
    flat = rows.values[int(rows.offsets[0]) : int(rows.offsets[-1])].reshape(-1)
    return pa.ListArray.from_arrays(
        pa.array(offsets.astype(np.int32)), pa.array(np.ascontiguousarray(flat))
    )


def list_rows(column: pa.ChunkedArray | pa.Array, *, width: int | None = None) -> Ragged:
    """The rows of an Arrow list column; with `width`, steps of that many features `(N, F)`.

    Features lie where Arrow has them, and can be written to where it lets others write.
    """
    column = as_array(column)
    offsets = column.offsets.to_numpy().astype(np.int64)
    values = column.values.to_numpy(zero_copy_only=False)
    if width is not None and len(values) and not (column.values.offset or column.values.null_count):
        data = column.values.buffers()[1]
        values = np.frombuffer(data, values.dtype, len(values))
    values = values[int(offsets[0]) : int(offsets[-1])]
    offsets = offsets - offsets[0]
    if width is None:
        return Ragged(values, offsets)
    return Ragged(values.reshape(-1, width), offsets // width)
