"""Repetition and definition levels: which values are a row, and which rows are empty or missing.

Nothing here takes memory or time for each value of a long row: levels are runs.
Source: https://parquet.apache.org/docs/file-format/nestedencoding/ (Dremel's levels) and
https://parquet.apache.org/docs/file-format/data-pages/encodings/ (run lengths).

Legend: R rows, E entries (a row has one for each value, and one if it has none), L runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.hashing import Ints
from seqprep.kernels import to_offsets

_VARINT_BYTES = np.arange(5, dtype=np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """The rows of one column, cut into levels and values.

    Args:
        values: `(N,)` without nulls, perhaps in chunks.
        entries: `(R + 1,)` the first entry of each row. stored: `(R + 1,)` its first value.
        levels: `(R,)` definition level of each row's entries.
        repeated: whether it is a list. most: the highest definition level.
    """

    values: pa.Array | pa.ChunkedArray
    entries: Ints
    stored: Ints
    levels: npt.NDArray[np.uint8]
    repeated: bool
    most: int

    def place(self, entry: int, row: int) -> int:
        """The value at which an entry of a row stands."""
        held = int(self.stored[row + 1] - self.stored[row])
        return int(self.stored[row]) + min(entry - int(self.entries[row]), held)


def column_of(array: pa.Array | pa.ChunkedArray, *, nullable: bool) -> Column:
    """Levels and values of one column of a row group.

    >>> column = column_of(pa.array([[1, 2], [], None]), nullable=True)
    >>> column.values.to_pylist(), column.entries.tolist(), column.levels.tolist()
    ([1, 2], [0, 2, 3, 4], [3, 1, 0])
    """
    repeated = pa.types.is_list(array.type)
    if not repeated and not array.null_count:
        places = np.arange(len(array) + 1, dtype=np.int64)
        levels = np.full(len(array), nullable, np.uint8)
        return Column(
            values=array,
            entries=places,
            stored=places,
            levels=levels,
            repeated=False,
            most=int(nullable),
        )
    valid = np.asarray(array.is_valid())
    if repeated:
        values = _flat(array)
        assert not values.null_count, "a list holds nulls"
        sizes = pc.list_value_length(array).fill_null(0).to_numpy().astype(np.int64)
        most = 2 + nullable
    else:
        values = array.drop_null()
        sizes = valid.astype(np.int64)
        most = int(nullable)
    empty = valid.astype(np.uint8) if nullable else np.zeros(len(array), np.uint8)
    return Column(
        values=values,
        entries=to_offsets(np.maximum(sizes, 1)),
        stored=to_offsets(sizes),
        levels=np.where(sizes > 0, np.uint8(most), empty),
        repeated=repeated,
        most=most,
    )


def _flat(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The values of lists, where they lie."""
    if isinstance(array, pa.Array):
        return array.flatten()
    return pa.chunked_array([chunk.flatten() for chunk in array.chunks], array.type.value_type)


def page_levels(column: Column, start: int, stop: int) -> tuple[bytes, int, int]:
    """The levels of entries start..stop, and from where to where their values go."""
    if not column.repeated and not column.most:
        return b"", start, stop
    first = int(np.searchsorted(column.entries, start, side="right")) - 1
    last = int(np.searchsorted(column.entries, stop, side="left"))
    begins = column.entries[first:last]
    counts = np.minimum(column.entries[first + 1 : last + 1], stop) - np.maximum(begins, start)
    raw = b""
    if column.repeated:
        heads = (begins >= start).astype(np.int64)
        runs = np.stack([heads, counts - heads], axis=1).ravel()
        raw += _sized(run_lengths(runs, np.arange(len(runs)) & 1))
    if column.most:
        raw += _sized(_merged(counts, column.levels[first:last]))
    return raw, column.place(start, first), column.place(stop, last - 1)


def _merged(counts: Ints, levels: npt.NDArray[np.uint8]) -> bytes:
    """Runs of rows with one level."""
    starts = np.flatnonzero(np.append(True, levels[1:] != levels[:-1]))
    return run_lengths(np.add.reduceat(counts, starts), levels[starts].astype(np.int64))


def run_lengths(counts: Ints, values: Ints) -> bytes:
    r"""Runs of `counts` equal `values` (under 256); runs of none are left out.

    >>> run_lengths(np.array([1, 0, 200]), np.array([0, 1, 1]))
    b'\x02\x00\x90\x03\x01'
    """
    counts, values = counts[counts > 0], values[counts > 0]
    digits = (counts << 1)[:, None] >> (7 * _VARINT_BYTES)
    used = np.column_stack([digits > 0, np.ones(len(counts), bool)])
    more = np.column_stack([digits[:, 1:] > 0, np.zeros(len(counts), bool)])
    raw = np.column_stack([digits & 127 | more << 7, values]).astype(np.uint8)
    return raw[used].tobytes()


def _sized(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "little") + raw
