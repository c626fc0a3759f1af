"""How a table of numbers is written: its separator, its header, where the rows start.

CSV, TSV, `;` with decimal comma, white space, one plain column, and dense ARFF.
Source: ARFF, https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from seqprep.ingestion.expand import decode

SNIFFED_LINES = 40
CHANNEL_NAMES = ("channel", "channels", "channel_name", "electrode", "sensor", "lead", "variable")
"""What the column is called that names the channel of a sample, in the long form."""
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-nan"})
_NUMBER = re.compile(
    r"[+-]?([0-9]+(\.[0-9]*|,[0-9]+)?|[.,][0-9]+)(e[+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE
)
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
        text: UTF-8, lines ending in `\n`; the rows, without the header, are `text[start:stop]`.
        first_line: the file's line, from 1, of the first row.
        arff: whether `%` starts a comment.
    """

    names: tuple[str, ...] | None
    separator: str
    width: int
    text: bytes
    start: int
    stop: int
    first_line: int
    arff: bool = False

    @property
    def body(self) -> bytes:
        """The rows, copied."""
        return self.text[self.start : self.stop]

    def holds(self, mark: bytes) -> bool:
        """Whether something stands in the rows."""
        return self.text.find(mark, self.start, self.stop) >= 0

    @property
    def header_line(self) -> int:
        """The line that says which columns there are: the header, or the first row."""
        return max(1, self.first_line - 1) if self.names else self.first_line


def find_layout(data: bytes, *, header: Literal["auto", "yes", "no"]) -> Layout:
    """How the table in `data` is written.

    Args:
        data: the file's content.
        header: `auto`, `yes` or `no`.

    Raises:
        SignalError: if there are no rows, or the ARFF form is not dense.
    """
    data = _normalize(data)
    if data[:4096].lstrip()[:1] in (b"@", b"%") and re.search(rb"(?im)^\s*@data", data):
        return _arff(data)
    lines = data[: _end_of_line(data, SNIFFED_LINES)].decode().split("\n")
    skipped = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise SignalError("empty", None, "the file holds no rows")
    separator = find_separator(lines)
    first_row = split_line(lines[0], separator)
    rest = (split_line(line, separator) for line in lines[1:])
    has_header = header == "yes" or (header == "auto" and looks_like_header(first_row, rest))
    start = skipped + int(has_header)
    first = _end_of_line(data, start)
    stop = _end_of_rows(data, first)
    if data[first : min(stop, first + 4096)].isspace() or first == stop:
        raise SignalError("empty", None, "the file holds a header and no rows")
    names = tuple(cell.strip() for cell in first_row) if has_header else None
    return Layout(
        names=names,
        separator=separator,
        width=len(first_row),
        text=data,
        start=first,
        stop=stop,
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


def _end_of_rows(data: bytes, start: int) -> int:
    """Where what follows `start` ends, without blanks and empty lines."""
    end = len(data)
    while end > start:
        tail = data[max(start, end - 4096) : end]
        end -= len(tail)
        if rest := tail.rstrip(b"\n \t"):
            return end + len(rest)
    return end


def _arff(data: bytes) -> Layout:
    found = re.search(rb"(?im)^\s*@data[^\n]*\n?", data)
    assert found is not None
    head = data[: found.end()]
    stop = _end_of_rows(data, len(head))
    names = [
        attribute[1].strip(b"'\"").decode()
        for line in head.split(b"\n")
        if (attribute := _ATTRIBUTE.match(line.strip()))
    ]
    line = head.count(b"\n") + 1
    start = len(head)
    while data[start : start + 1] == b"\n":
        start += 1
    if data[start : start + 4096].lstrip()[:1] == b"{":
        raise SignalError("bad_number", line, "sparse ARFF is not read; write it dense")
    if not names or start >= stop:
        raise SignalError("empty", None, "the ARFF file holds no attributes or no rows")
    return Layout(
        names=tuple(names),
        separator=",",
        width=len(names),
        text=data,
        start=start,
        stop=stop,
        first_line=line + start - len(head),
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


def looks_like_header(first: Sequence[str], rest: Iterable[Sequence[str]]) -> bool:
    """Whether the first row names the columns: words stand over numbers, or only words in it.

    >>> looks_like_header(["12"], [["13"]]), looks_like_header(["Fp1", "state"], [["1", "open"]])
    (False, True)
    """
    words = [not (is_number(cell) or is_missing(cell)) for cell in first]
    if not any(words):
        return False
    return all(words) or any(
        word and is_number(cell) for row in rest for word, cell in zip(words, row, strict=False)
    )
