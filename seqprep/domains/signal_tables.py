"""The columns of a table of numbers as arrays.

Arrow parses plain tables (see `signal_arrow`), and Polars the others; only where neither can, the
lines are looked at one by one to say which is wrong.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from seqprep.domains.signal_arrow import Plain, is_plain, read_plain
from seqprep.domains.signal_layout import (
    CHANNEL_NAMES,
    Layout,
    SignalError,
    is_missing,
    is_number,
    split_line,
)

_DECIMAL_COMMA = re.compile(rb"[0-9],[0-9]")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_LARGEST = float(np.finfo(np.float32).max)


def read_columns(
    layout: Layout, *, numbers: Sequence[int], texts: Sequence[int], allow_missing: bool
) -> tuple[npt.NDArray[np.float64], list[pl.Series]]:
    """Some columns of a table.

    Args:
        layout: how it is written.
        numbers: positions of columns of numbers.
        texts: positions of columns of text.
        allow_missing: whether cells may hold no number (they come back as NaN).

    Returns:
        The numbers `(T, len(numbers))`, infinities as NaN, and the text columns, stripped.

    Raises:
        SignalError: naming the line of the first cell or row that is wrong.
    """
    outside = [place for place in (*numbers, *texts) if not 0 <= place < layout.width]
    if outside:
        raise SignalError(
            "wrong_channels", None, f"there is no column {outside[0]}, only {layout.width}"
        )
    found = None
    if is_plain(layout) and not set(numbers) & set(texts):
        found = read_plain(layout, numbers=numbers, texts=texts)
    found = found or _read_any(layout, numbers, texts, allow_missing=allow_missing)
    values = found.values
    # A NaN anywhere makes the smallest value one.
    if not (values.min(initial=0.0) >= -_LARGEST and values.max(initial=0.0) <= _LARGEST):
        usable = np.abs(values) <= _LARGEST
        # Where all that lacks a number says so, no line must be looked at.
        if not allow_missing or np.count_nonzero(~usable) != found.missing:
            fault = _first_fault(layout, numbers, allow_missing=allow_missing, usable=usable)
            if fault is not None:
                raise fault
        values = np.where(usable, values, np.nan)
    return values, [column.fill_null("").str.strip_chars() for column in found.texts]


def _read_any(
    layout: Layout, numbers: Sequence[int], texts: Sequence[int], *, allow_missing: bool
) -> Plain:
    """The columns of any table that Polars reads.

    Raises:
        SignalError: naming the line of the first row that is wrong.
    """
    frame = _parse(layout, numbers, texts)
    if frame is None:
        raise explain(layout, numbers, allow_missing=allow_missing)
    if layout.width - 1 not in (*numbers, *texts):
        _check_cells(layout, frame.height)
    values = frame.select(f"c{place}" for place in numbers).to_numpy()
    return Plain(values, [frame[f"c{place}"] for place in texts], None)


def _parse(layout: Layout, numbers: Sequence[int], texts: Sequence[int]) -> pl.DataFrame | None:
    """The columns c0, c1, ... of the table, cells that are no numbers as null; None if ragged."""
    body, separator = _plain_body(layout)
    best: pl.DataFrame | None = None
    # The decimal comma only where a comma separates nothing, and never by leaving it out.
    commas = separator != "," and _DECIMAL_COMMA.search(body) is not None
    for decimal_comma in (False, True) if commas else (False,):
        frame = _read_csv(body, separator, layout.width, numbers, texts, decimal_comma)
        if frame is None:
            return None
        if best is None or _nulls(frame) < _nulls(best):
            best = frame
    return best


def _check_cells(layout: Layout, rows: int) -> None:
    """Refuse a short row where the parser would not: it lacks columns that are not read.

    Raises:
        SignalError: naming its line.
    """
    body, separator = _plain_body(layout)
    # Separators inside quotes could make up for those that a short row lacks.
    if b'"' in body or body.count(separator.encode()) != rows * (layout.width - 1):
        fault = _first_fault(layout, (), allow_missing=True)
        if fault is not None:
            raise fault


def _nulls(frame: pl.DataFrame) -> int:
    return int(frame.null_count().sum_horizontal().item()) if frame.width else 0


def _plain_body(layout: Layout) -> tuple[bytes, str]:
    """The rows without comments and without blanks around the cells."""
    body = layout.body
    if layout.arff and b"%" in body:
        body = re.sub(rb"(?m)^[ \t]*%[^\n]*\n?", b"", body)
    if layout.separator == " ":
        body = re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", body)
        return re.sub(rb"[ \t]+", b" ", body), " "
    if b" " in body:
        mark = re.escape(layout.separator.encode())
        body = re.sub(rb"(?m)^ +| +$| *(" + mark + rb") *", rb"\1", body)
    return body, layout.separator


def _read_csv(
    body: bytes,
    separator: str,
    width: int,
    numbers: Sequence[int],
    texts: Sequence[int],
    decimal_comma: bool,
) -> pl.DataFrame | None:
    if body.count(b'"') % 2:  # Polars 2.1 panics at a quote that none closes
        return None
    schema = {f"c{place}": pl.Float64 if place in numbers else pl.String for place in range(width)}
    try:
        frame = pl.read_csv(
            io.BytesIO(body),
            has_header=False,
            separator=separator,
            schema=schema,
            columns=sorted({*numbers, *texts}),
            decimal_comma=decimal_comma,
            ignore_errors=True,
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        return None
    # Polars leaves out empty lines and takes short rows: both must be found.
    return frame if frame.height == body.count(b"\n") + 1 else None


def _first_fault(
    layout: Layout,
    numbers: Sequence[int],
    *,
    allow_missing: bool,
    usable: npt.NDArray[np.bool_] | None = None,
) -> SignalError | None:
    """What is wrong with the first cell or row that is.

    Args:
        layout: how the table is written.
        numbers: positions of columns of numbers.
        allow_missing: whether cells may say that there is no value.
        usable: `(T, len(numbers))`, which cells gave a number; None where the table gave no rows.
    """
    row = -1
    for number, line in enumerate(layout.body.decode().split("\n"), start=layout.first_line):
        if layout.arff and line.lstrip().startswith("%"):
            continue
        cells = split_line(line, layout.separator)
        if len(cells) != layout.width:
            kind = "missing_values" if not cells else "ragged_row"
            detail = f"the row has {len(cells)} cells, the first has {layout.width}"
            return SignalError(kind, number, detail)
        row += 1
        for index, place in enumerate(numbers):
            read = is_number(cells[place]) if usable is None else bool(usable[row, index])
            fault = None if read else _cell_fault(cells[place], allow_missing)
            if fault is not None:
                name = layout.names[place] if layout.names else str(place)
                detail = f"column {name!r} holds {cells[place][:40]!r}"
                if fault == "bad_number" and is_number(cells[place]):
                    detail += (
                        "; numbers are written with a point, or throughout the file with a comma "
                        f"that separates no cells, and are under {_LARGEST:.1e}"
                    )
                elif fault == "bad_number" and name.lower() in CHANNEL_NAMES:
                    detail += "; if a row is one sample of one channel, set source.form: long"
                return SignalError(fault, number, detail)
    return None


def _cell_fault(cell: str, allow_missing: bool) -> str | None:
    """What is wrong with a cell that gave no number: only what says so is a missing value."""
    if is_missing(cell) or _INFINITE.fullmatch(cell.strip()):
        return None if allow_missing else "missing_values"
    return "bad_number"


def explain(layout: Layout, numbers: Sequence[int], *, allow_missing: bool) -> SignalError:
    """The first fault of a table that could not be parsed."""
    fault = _first_fault(layout, numbers, allow_missing=allow_missing)
    return fault or SignalError("bad_number", None, "the rows cannot be parsed as a table")
