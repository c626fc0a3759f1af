"""The bytes of a FASTA file on their way to the parser: the first line checked, no comments.

Works on whole blocks; lines are looked at only in blocks that hold a comment.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

from seqprep.errors import InputError
from seqprep.ingestion.expand import Notice, SourceStream
from seqprep.ingestion.files import SourceFile

_COMMENT = re.compile(rb"(?<![^\n]);[^\n]*")
_BLANK_LINES = re.compile(rb"(?:[ \t]*\n)*")
_BOM = b"\xef\xbb\xbf"
_UTF16_STARTS = (b"\xff\xfe", b"\xfe\xff", b">\0", b"\0>")


class FastaStream:
    r"""The content of a FASTA file without `;` lines; all lines end in `\n`.

    Args:
        file: the source file.
        max_expanded_bytes: cap for a compressed one.

    Raises:
        InputError: on reading, if something else than a header comes first.
    """

    def __init__(self, file: SourceFile, *, max_expanded_bytes: int) -> None:
        self._stream = SourceStream(file, max_expanded_bytes=max_expanded_bytes)
        self._file = file
        self._lines = _Lines()
        self._in_comment = False
        self._header_seen = False
        self.comments = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def tell_members(self, notice: Notice) -> None:
        """As for the stream below."""
        self._stream.tell_members(notice)

    def next_block(self) -> bytes:
        """The next megabyte or so; empty at the end."""
        while raw := self._stream.next_block():
            if block := self._filtered(raw):
                return block
        return b""

    def _filtered(self, block: bytes) -> bytes:
        first_line = self._lines.number
        block, line_start = self._lines.normalized(block)
        if self._in_comment:
            end = block.find(b"\n")
            if end < 0:
                return b""
            block, self._in_comment, line_start = block[end:], False, False
        # A rare letter is found many times faster than a pair that begins with a frequent one.
        if b";" in block and (b"\n;" in block or (line_start and block.startswith(b";"))):
            block = self._without_comments(block, line_start=line_start)
        if not self._header_seen:
            self._check_start(block, first_line)
        return block

    def _without_comments(self, block: bytes, *, line_start: bool) -> bytes:
        # The look-behind takes the block's start for a line's start; that is so only sometimes.
        lead = b"" if line_start else b"x"
        found = list(_COMMENT.finditer(lead + block))
        self.comments += len(found)
        self._in_comment = bool(found) and found[-1].end() == len(lead) + len(block)
        return _COMMENT.sub(b"", lead + block)[len(lead) :]

    def _check_start(self, block: bytes, first_line: int) -> None:
        blank = _BLANK_LINES.match(block)
        text = block[blank.end() :] if blank else block
        if not text.strip():
            return
        self._header_seen, self._lines.counting = True, False
        if text.startswith(_UTF16_STARTS):
            raise InputError(
                "is UTF-16 text; save it as plain text (ASCII or UTF-8)",
                file=self._file.path,
                line=1,
                reason="bad_encoding",
            )
        if not text.startswith(b">"):
            line = first_line + block.count(b"\n", 0, len(block) - len(text))
            beginning = bytes(text[:20]).partition(b"\n")[0].decode("latin-1")
            raise InputError(
                f"no header: a FASTA record starts with '>', this file with {beginning!r}; is it "
                "FASTA?",
                file=self._file.path,
                line=line,
                reason="no_header",
            )


class _Lines:
    r"""Makes every line end `\n`, block by block, and counts them while `counting`."""

    def __init__(self) -> None:
        self.number, self.counting = 1, True
        self._line_start = True
        self._after_cr = False
        self._first = True

    def normalized(self, block: bytes) -> tuple[bytes, bool]:
        r"""The block with `\n` line ends, and whether it starts a line."""
        if self._first:
            block, self._first = block.removeprefix(_BOM), False
        line_start = self._line_start
        if self._after_cr and block.startswith(b"\n"):
            block = block[1:]
        self._after_cr = block.endswith(b"\r")
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self.counting:
            self.number += block.count(b"\n")
        if block:
            self._line_start = block.endswith(b"\n")
        return block, line_start


def record_lines(
    file: SourceFile, records: Sequence[int], *, max_expanded_bytes: int
) -> dict[int, int]:
    """The line, from 1, on which each of these records starts: one more pass over the file."""
    wanted, found = set(records), dict[int, int]()
    if not wanted:
        return found
    record, lines = -1, _Lines()
    with SourceStream(file, max_expanded_bytes=max_expanded_bytes) as stream:
        for raw in stream.blocks():
            line = lines.number
            block, line_start = lines.normalized(raw)
            for number, part in enumerate(block.split(b"\n")):
                if (number or line_start) and part.startswith(b">"):
                    record += 1
                    if record in wanted:
                        found[record] = line + number
            if len(found) == len(wanted):
                break
    return found
