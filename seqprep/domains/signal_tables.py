"""Tables of numbers as EEG files hold them: separator, header and decimal comma found, then parsed.

CSV, TSV, `;` with decimal comma, white space, one plain column, and dense ARFF. Polars parses the
numbers; only where it cannot, the lines are looked at one by one to say which is wrong.
Source: ARFF, https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from seqprep.expand import decode

SNIFFED_LINES = 40
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-nan"})
_NUMBER = re.compile(
    r"[+-]?(\d+(\.\d*|,\d+)?|[.,]\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE
)
_DECIMAL_COMMA = re.compile(rb"\d,\d")
_ATTRIBUTE = re.compile(rb"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(.*)", re.IGNORECASE)


@dataclass(slots=True)
class SignalError(Exception):
    """What is wrong with a table: a reason code, the line from 1 where known, and the detail."""

    reason: str
    line: int | None
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    r"""How a table is written.

    Args:
        names: of the columns; None without a header.
        separator: one character.
        width: columns.
        body: the rows, UTF-8, lines ending in `\n`, without the header.
        first_line: the file's line, from 1, of the first row.
        arff: whether `%` starts a comment.
    """

    names: tuple[str, ...] | None
    separator: str
    width: int
    body: bytes
    first_line: int
    arff: bool = False


def find_layout(data: bytes, *, header: Literal["auto", "yes", "no"]) -> Layout:
    """How the table in `data` is written.

    Args:
        data: the file's content.
        header: `auto`, `yes` or `no`.

    Raises:
        SignalError: if there are no rows, or the ARFF form is not dense.
    """
    data = _normalize(data)
    if data.lstrip()[:1] in (b"@", b"%") and re.search(rb"(?im)^\s*@data", data):
        return _arff(data)
    lines = data[: _end_of_line(data, SNIFFED_LINES)].decode().split("\n")
    skipped = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise SignalError("empty", None, "the file holds no rows")
    separator = find_separator(lines)
    rows = [split_line(line, separator) for line in lines]
    has_header = header == "yes" or (header == "auto" and looks_like_header(rows))
    start = skipped + int(has_header)
    body = data[_end_of_line(data, start) :] if start else data
    if not body.strip():
        raise SignalError("empty", None, "the file holds a header and no rows")
    names = tuple(cell.strip() for cell in rows[0]) if has_header else None
    return Layout(
        names=names,
        separator=separator,
        width=len(rows[0]),
        body=body.rstrip(b"\n \t"),
        first_line=start + 1,
    )


def _normalize(data: bytes) -> bytes:
    r"""UTF-8 with `\n` line ends; the bytes themselves where they are that already."""
    if not data.isascii():
        try:
            data = decode(data, encoding="auto")[0].encode()
        except UnicodeError as error:
            raise SignalError("bad_encoding", None, f"the bytes are not text: {error}") from error
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


def _end_of_line(data: bytes, count: int) -> int:
    """Where the line after the first `count` lines starts."""
    place = 0
    for _ in range(count):
        found = data.find(b"\n", place)
        if found < 0:
            return len(data)
        place = found + 1
    return place


def _arff(data: bytes) -> Layout:
    found = re.search(rb"(?im)^\s*@data[^\n]*\n?", data)
    assert found is not None
    head, body = data[: found.end()], data[found.end() :]
    names = [
        attribute[1].strip(b"'\"").decode()
        for line in head.split(b"\n")
        if (attribute := _ATTRIBUTE.match(line.strip()))
    ]
    line = head.count(b"\n") + 1
    if body.lstrip()[:1] == b"{":
        raise SignalError("bad_number", line, "sparse ARFF is not read; write it dense")
    if not names or not body.strip():
        raise SignalError("empty", None, "the ARFF file holds no attributes or no rows")
    blank = len(body) - len(body.lstrip(b"\n"))
    return Layout(
        names=tuple(names),
        separator=",",
        width=len(names),
        body=body[blank:].rstrip(b"\n \t"),
        first_line=line + blank,
        arff=True,
    )


def find_separator(lines: Sequence[str]) -> str:
    """The character between cells; a blank stands for any white space.

    >>> find_separator(["1,5;2", "3,5;4"]), find_separator(["1  2", "3 4"]), find_separator(["7"])
    (';', ' ', ',')
    """
    for separator in (";", "\t"):
        if all(separator in line.strip() for line in lines):
            return separator
    words = [line.split() for line in lines]
    if all(len(row) > 1 for row in words[-1:]) and all(is_number(word) for word in words[-1]):
        return " "
    return ","


def split_line(line: str, separator: str) -> list[str]:
    """The cells of one line."""
    if separator == " ":
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, with a point or a comma."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.strip().lower() in MISSING


def looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: words stand over numbers, or only words in it.

    >>> looks_like_header([["12"], ["13"]]), looks_like_header([["Fp1", "state"], ["1", "open"]])
    (False, True)
    """
    first, rest = rows[0], rows[1:]
    words = [not (is_number(cell) or is_missing(cell)) for cell in first]
    if not any(words):
        return False
    over_numbers = any(
        word and any(place < len(row) and is_number(row[place]) for row in rest)
        for place, word in enumerate(words)
    )
    return over_numbers or all(words)


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
    frame = _parse(layout, numbers, texts)
    if frame is None:
        raise explain(layout, numbers, allow_missing=False)
    values = frame.select(f"c{place}" for place in numbers).to_numpy()
    usable = np.abs(values) <= _LARGEST
    if not usable.all():
        fault = _first_fault(layout, numbers, allow_missing=allow_missing)
        if fault is not None:
            raise fault
        values = np.where(usable, values, np.nan)
    return values, [frame[f"c{place}"].fill_null("").str.strip_chars() for place in texts]


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
    except (pl.exceptions.PolarsError, OSError):
        return None
    # Polars leaves out empty lines and takes short rows: both must be found.
    return frame if frame.height == body.count(b"\n") + 1 else None


def _first_fault(
    layout: Layout, numbers: Sequence[int], *, allow_missing: bool
) -> SignalError | None:
    for number, line in enumerate(layout.body.decode().split("\n"), start=layout.first_line):
        if layout.arff and line.lstrip().startswith("%"):
            continue
        cells = split_line(line, layout.separator)
        if len(cells) != layout.width:
            kind = "missing_values" if not cells else "ragged_row"
            detail = f"the row has {len(cells)} cells, the first has {layout.width}"
            return SignalError(kind, number, detail)
        for place in numbers:
            if (fault := _cell_fault(cells[place], allow_missing)) is not None:
                name = layout.names[place] if layout.names else str(place)
                return SignalError(fault, number, f"column {name!r} holds {cells[place][:40]!r}")
    return None


def _cell_fault(cell: str, allow_missing: bool) -> str | None:
    if is_missing(cell) or "inf" in cell.lower():
        return None if allow_missing else "missing_values"
    if not is_number(cell):
        return "bad_number"
    # Numbers that 32 bits cannot hold are as good as infinite.
    return "bad_number" if abs(float(cell.replace(",", "."))) > _LARGEST else None


_LARGEST = float(np.finfo(np.float32).max)


def explain(layout: Layout, numbers: Sequence[int], *, allow_missing: bool) -> SignalError:
    """The first fault of a table that could not be parsed."""
    fault = _first_fault(layout, numbers, allow_missing=allow_missing)
    return fault or SignalError("bad_number", None, "the rows cannot be parsed as a table")
