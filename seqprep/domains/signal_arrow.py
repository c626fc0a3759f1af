"""Plain tables, parsed by Arrow: one thread a file, the columns side by side in one array.

Plain is what programs write: one separator throughout, points in numbers, nothing in quotes.
Use it first, and Polars for what it leaves: rows of other lengths, quotes, blanks, odd numbers.
Both round a decimal to the nearest float64, so they give the same bits.

Legend: T rows, C columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.csv

from seqprep.domains.signal_layout import MISSING, Layout

BLOCK_BYTES = 2**18
"""Parsed at once, so that a block and its columns stay in a core's own cache."""
CELL_BYTES = 64
"""A row that is longer than this for each of its cells may not fit a block, and is left."""
THREADED_BYTES = 2**23
"""Tables over this size are parsed by several threads; files of smaller ones are read two at a
time."""
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


def read_plain(
    layout: Layout, *, numbers: Sequence[int], texts: Sequence[int]
) -> tuple[npt.NDArray[np.float64], list[pl.Series]] | None:
    """Some columns of a plain table.

    Args:
        layout: how it is written; see `is_plain`.
        numbers: positions of columns of numbers.
        texts: positions of columns of text.

    Returns:
        The numbers `(T, len(numbers))`, column by column, NaN where a cell is missing and in an
        empty line, and the text columns; None where a row or a number is written in a way that
        Arrow does not know.
    """
    names = [f"c{place}" for place in range(layout.width)]
    wanted = {names[place]: pa.float64() for place in numbers}
    wanted |= {names[place]: pa.string() for place in texts}
    if not wanted:  # Arrow would take no columns for all
        return None
    rows = layout.rows
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(rows),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=len(rows) > THREADED_BYTES,
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
    except pa.ArrowInvalid:
        return None
    values = np.empty((len(numbers), len(table)))
    for place, into in zip(numbers, values, strict=True):
        start = 0
        for chunk in table[names[place]].chunks:
            into[start : start + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
            start += len(chunk)
    return values.T, [pl.Series(names[place], table[names[place]]) for place in texts]
