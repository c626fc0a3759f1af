"""Plain tables, parsed by Arrow: one thread a file, the columns side by side in one array.

Plain is what programs write: one separator throughout, points in numbers, nothing in quotes.
Use it first, and Polars for what it leaves: rows of other lengths, quotes, blanks, odd numbers.
Both round a decimal to the nearest float64, so they give the same bits.

Legend: T rows, C columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.csv

from seqprep.domains.signal_layout import MISSING, Layout
from seqprep.parallel import ordered

BLOCK_BYTES = 2**18
"""Parsed at once, so that a block and its columns stay in a core's own cache."""
CELL_BYTES = 64
"""A row that is longer than this for each of its cells may not fit a block, and is left."""
SEGMENT_BYTES = 2**23
"""Longer tables are parsed in parts of about this size, two at a time: the numbers of all parts are
never there twice."""
_MISSING = [*MISSING, "NA", "N/A", "NaN", "NAN", "NULL", "None"]
_QUOTES_AND_BLANKS = (b'"', b" ", b"\t")


def is_plain(layout: Layout) -> bool:
    """Whether the rows hold no quotes, no blanks but the separator, and no comma in numbers."""
    marks = [mark for mark in _QUOTES_AND_BLANKS if mark != layout.separator.encode()]
    if layout.separator != ",":
        marks.append(b",")
    if layout.arff:
        marks.append(b"%")
    return layout.separator != " " and not any(layout.holds(mark) for mark in marks)


class Plain(NamedTuple):
    """Columns of a table.

    Args:
        values: `(T, C)` numbers, column by column, NaN where a cell is missing.
        texts: the text columns.
        missing: how many cells say that there is no number; None if that is not known.
    """

    values: npt.NDArray[np.float64]
    texts: list[pl.Series]
    missing: int | None


def read_plain(layout: Layout, *, numbers: Sequence[int], texts: Sequence[int]) -> Plain | None:
    """Some columns of a plain table.

    Args:
        layout: how it is written; see `is_plain`.
        numbers: positions of columns of numbers.
        texts: positions of columns of text.

    Returns:
        None where a row or a number is written in a way that Arrow does not know.
    """
    names = [f"c{place}" for place in range(layout.width)]
    wanted = {names[place]: pa.float64() for place in numbers}
    wanted |= {names[place]: pa.string() for place in texts}
    if not wanted:  # Arrow would take no columns for all
        return None
    segments = list(_segments(layout))
    # Every line is a row, or Arrow refuses it.
    rows = 1 + sum(_count_lines(segment) for segment in segments) if len(segments) > 1 else None
    values = np.empty((len(numbers), rows or 0))
    strings: list[pa.Table] = []
    start = missing = 0
    try:
        for table in ordered(
            lambda segment: _parse(segment, layout, names, wanted),
            segments,
            workers=min(len(segments), 2),
        ):
            if rows is None:
                values = np.empty((len(numbers), len(table)))
            for place, into in zip(numbers, values, strict=True):
                _copy(table[names[place]], into[start:])
                missing += table[names[place]].null_count
            strings.append(table.select([names[place] for place in texts]))
            start += len(table)
    except pa.ArrowInvalid:
        return None
    assert start == values.shape[1], (start, values.shape)
    found = pa.concat_tables(strings)
    series = [pl.Series(name, found[name]) for name in found.column_names]
    # An empty line has no cells that could say so.
    empty = missing > 0 and (layout.holds(b"\n\n") or layout.text.startswith(b"\n", layout.start))
    return Plain(values.T, series, None if empty else missing)


def _segments(layout: Layout) -> Iterator[memoryview]:
    """The rows, whole ones, of up to about `SEGMENT_BYTES` at a time."""
    start = layout.start
    while start < layout.stop:
        stop = layout.stop
        if start + SEGMENT_BYTES < stop:
            end = layout.text.find(b"\n", start + SEGMENT_BYTES, stop)
            stop = end + 1 if end >= 0 else stop
        yield memoryview(layout.text)[start:stop]
        start = stop


def _count_lines(rows: memoryview) -> int:
    """How many lines end."""
    letters = np.frombuffer(rows, np.uint8)
    starts = range(0, len(letters), BLOCK_BYTES)
    return sum(int(np.count_nonzero(letters[s : s + BLOCK_BYTES] == 10)) for s in starts)


def _parse(
    rows: memoryview, layout: Layout, names: list[str], wanted: dict[str, pa.DataType]
) -> pa.Table:
    return pyarrow.csv.read_csv(
        pa.BufferReader(rows),
        read_options=pyarrow.csv.ReadOptions(
            use_threads=False,
            block_size=max(BLOCK_BYTES, CELL_BYTES * layout.width),
            column_names=names,
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=layout.separator,
            quote_char=False,
            double_quote=False,
            ignore_empty_lines=False,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            include_columns=list(wanted), column_types=wanted, null_values=_MISSING
        ),
    )


def _copy(column: pa.ChunkedArray, into: npt.NDArray[np.float64]) -> None:
    start = 0
    for chunk in column.chunks:
        into[start : start + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
        start += len(chunk)
