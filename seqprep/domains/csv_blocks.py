"""CSV and TSV cut into blocks of whole rows, and those parsed by Arrow.

Arrow takes what Python's `csv` refuses, and knows no line numbers. So the text is looked at first:
where quotes stand anywhere else than around whole cells, or a row is not like the others, the
caller reads it with `csv`.
Source: RFC 4180 (CSV); the documentation of Python's `csv`, whose strict dialect counts.

Legend: R rows, L lines, Q quotes.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv

from seqprep.arrays import as_array
from seqprep.bases import Letters
from seqprep.domains.text_columns import Values
from seqprep.hashing import Ints
from seqprep.ingestion.expand import SourceStream

BLOCK_BYTES = 4 * 2**20
MOST_BYTES = 64 * 2**20
"""That are held to find the end of a row."""
_QUOTE, _LINE_END, _RETURN = b'"\n\r'


@dataclass(frozen=True, kw_only=True, slots=True)
class RowBlock:
    """R whole rows.

    Args:
        data: the rows.
        ends: `(R,)` where each ends in it, line end included.
        lines: `(R,)` the line in the file on which each starts, from 1.
        next_line: the line after the last row.
        returns: carriage returns that end a line alone; with them `lines` after the first are off.
    """

    data: bytes
    ends: Ints
    lines: Ints
    next_line: int
    returns: int

    def split_first(self) -> tuple[bytes, RowBlock]:
        """The first row, and the others."""
        stop = int(self.ends[0])
        rest = RowBlock(
            data=self.data[stop:],
            ends=self.ends[1:] - stop,
            lines=self.lines[1:],
            next_line=self.next_line,
            returns=self.returns,
        )
        return self.data[:stop], rest


class UntoldError(Exception):
    """Where rows end is not told by the quotes alone."""


def row_blocks(stream: SourceStream, *, delimiter: str, marked: bool) -> Iterator[RowBlock]:
    """The rows of a table in order, many at a time.

    Args:
        stream: UTF-8.
        delimiter: between cells.
        marked: whether a byte-order mark stands first, which is left out.

    Raises:
        UntoldError: from the block on for which it holds.
    """
    held: list[bytes] = []
    size_bytes, least, line = 0, BLOCK_BYTES, 1
    last = False
    while not last:
        part = stream.next_block()
        last = not part
        held.append(part)
        size_bytes += len(part)
        if not last and size_bytes < least:
            continue
        data = b"".join(held)
        if marked:
            data, marked = data.removeprefix(codecs.BOM_UTF8), False
        block = cut_rows(data, delimiter, line=line, last=last)
        if len(block.ends):
            yield block
        line = block.next_line
        held = [data[len(block.data) :]]
        size_bytes = len(held[0])
        if size_bytes > MOST_BYTES:
            raise UntoldError("a row is too long")
        # A long row is looked at again when twice as much of it is there.
        least = max(BLOCK_BYTES, 2 * size_bytes)


def cut_rows(data: bytes, delimiter: str, *, line: int, last: bool) -> RowBlock:
    r"""The whole rows at the start of a text.

    Args:
        data: UTF-8 from the start of a row on.
        delimiter: between cells.
        line: its number in the file.
        last: whether the text ends with the file.

    Raises:
        UntoldError: if it is not told where they end.

    >>> cut_rows(b'a,b\n"c\nd",e\nf', ",", line=1, last=False).lines.tolist()
    [1, 2]
    """
    raw = np.frombuffer(data, np.uint8)
    ends_L = np.flatnonzero(raw == _LINE_END) + 1
    if last and data and not data.endswith(b"\n"):
        ends_L = np.append(ends_L, len(raw))
    quotes_Q = np.flatnonzero(raw == _QUOTE)
    whole_L = np.ones(len(ends_L), np.bool_)
    if _enclose_cells(raw, quotes_Q, ord(delimiter)):
        if not _are_paired(raw, quotes_Q, ord(delimiter)):
            raise UntoldError("a quote stands inside a cell")
        whole_L = np.searchsorted(quotes_Q, ends_L) % 2 == 0
    rows_R = np.flatnonzero(whole_L)
    ends = ends_L[rows_R]
    stop = int(ends[-1]) if len(ends) else 0
    if last and stop < len(data):
        raise UntoldError("a quote is left open")
    starts_R = np.append(0, rows_R + 1)
    taken = data[:stop]
    returns = taken.count(b"\r") - taken.count(b"\r\n")
    return RowBlock(
        data=taken,
        ends=ends,
        lines=starts_R[:-1] + line,
        next_line=line + int(starts_R[-1]) + returns,
        returns=returns,
    )


def _enclose_cells(raw: Letters, quotes_Q: Ints, delimiter: int) -> bool:
    """Whether a cell starts with a quote; if none does, all quotes are letters like others."""
    if not len(quotes_Q):
        return False
    before = raw[np.maximum(quotes_Q - 1, 0)]
    edge = (before == delimiter) | (before == _LINE_END) | (before == _RETURN)
    return bool(quotes_Q[0] == 0 or edge.any())


def _are_paired(raw: Letters, quotes_Q: Ints, delimiter: int) -> bool:
    """Whether quotes stand around whole cells, or doubled inside of them; `raw` may end in one."""
    first, second = quotes_Q[::2], quotes_Q[1::2]
    before = raw[np.maximum(first - 1, 0)]
    after = raw[np.minimum(second + 1, len(raw) - 1)]
    opens = (before == delimiter) | (before == _LINE_END) | (before == _QUOTE)
    closes = (after == delimiter) | (after == _LINE_END) | (after == _QUOTE) | (after == _RETURN)
    return bool(opens.all() and closes.all())


def parse_rows(
    block: RowBlock, places: Mapping[str | int, int], *, delimiter: str, width: int
) -> Values | None:
    """The columns of a block; None where a row must be looked at.

    Args:
        block: whole rows of UTF-8.
        places: the position of each column that is wanted.
        delimiter: between cells.
        width: cells of a row.
    """
    data = block.data
    # Arrow would drop a byte-order mark at the start of a block.
    if block.returns or b"\0" in data or data.startswith(codecs.BOM_UTF8):
        return None
    names = [str(place) for place in range(width)]
    wanted = {str(place): pa.string() for place in places.values()}
    try:
        table = pc_csv.read_csv(
            pa.BufferReader(data),
            read_options=pc_csv.ReadOptions(
                use_threads=False, block_size=len(data) + 1, column_names=names
            ),
            parse_options=pc_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pc_csv.ConvertOptions(
                column_types=wanted, include_columns=list(wanted), check_utf8=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != len(block.ends):
        return None
    return {column: as_array(table[str(place)]) for column, place in places.items()}
