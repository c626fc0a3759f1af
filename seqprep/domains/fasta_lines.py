"""The bytes of a FASTA file on their way to the parser: comments left out, the first line checked.

Works on whole blocks, so that the parser's own speed is kept; lines are looked at only where a block
holds a comment.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from seqprep.errors import InputError
from seqprep.expand import BLOCK_BYTES, SourceStream
from seqprep.files import SourceFile

_COMMENT = re.compile(rb"(?<![^\r\n]);[^\r\n]*")
_BLANK_LINES = re.compile(rb"(?:[ \t]*[\r\n])*")
_LINE_END = re.compile(rb"\r\n|\r|\n")


class FastaStream(io.RawIOBase):
    """The content of a FASTA file without `;` lines.

    Args:
        file: the source file. max_expanded_bytes: cap for a compressed one.

    Raises:
        InputError: on reading, if something else than a header comes first.
    """

    def __init__(self, file: SourceFile, *, max_expanded_bytes: int) -> None:
        self._stream = SourceStream(file, max_expanded_bytes=max_expanded_bytes)
        self._file = file
        self._ready = memoryview(b"")
        self._line_start = True
        self._in_comment = False
        self._header_seen = False
        self._lines = 0
        self._ended_cr = False
        self._first = True
        self.comments = 0

    @property
    def members(self) -> int:
        """Members of a gzip file read so far."""
        return self._stream.members

    def readable(self) -> bool:
        """Always true."""
        return True

    def close(self) -> None:
        """Close the file below, too."""
        self._stream.close()
        super().close()

    def readinto(self, buffer: object) -> int:
        """Fill `buffer` with what comes next; 0 at the end."""
        while not len(self._ready):
            block = self._stream.read(BLOCK_BYTES)
            if not block:
                return 0
            self._ready = memoryview(self._filtered(block))
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _filtered(self, block: bytes) -> bytes:
        if self._first:
            block = block.removeprefix(b"\xef\xbb\xbf")
            self._first = False
        if self._in_comment:
            end = re.search(rb"[\r\n]", block)
            if end is None:
                return b""
            block, self._in_comment, self._line_start = block[end.start() :], False, False
        ends_in_line = block[-1:] not in b"\r\n"
        if b";" in block:
            block = self._without_comments(block, ends_in_line=ends_in_line)
        self._line_start = not ends_in_line
        if not self._header_seen:
            self._check_start(block)
        return block

    def _without_comments(self, block: bytes, *, ends_in_line: bool) -> bytes:
        if not (b"\n;" in block or b"\r;" in block or block.startswith(b";")):
            return block
        # The look-behind takes the block's start for a line's start; that is so only sometimes.
        lead = b"" if self._line_start else b"x"
        found = list(_COMMENT.finditer(lead + block))
        self.comments += len(found)
        self._in_comment = (
            bool(found) and ends_in_line and found[-1].end() == len(lead) + len(block)
        )
        return _COMMENT.sub(b"", lead + block)[len(lead) :]

    def _check_start(self, block: bytes) -> None:
        blank = _BLANK_LINES.match(block)
        text = block[blank.end() :] if blank else block
        if not text.strip():
            self._lines += len(_LINE_END.findall(block))
            return
        self._header_seen = True
        if not text.startswith(b">"):
            before = block[: len(block) - len(text)]
            line = self._lines + len(_LINE_END.findall(before)) + 1
            raise InputError(
                f"no header: a FASTA record starts with '>', this file with {text[:20]!r}; is it "
                "FASTA?",
                file=self._file.path,
                line=line,
                reason="no_header",
            )


def record_lines(
    file: SourceFile, records: Sequence[int], *, max_expanded_bytes: int
) -> dict[int, int]:
    """The line, from 1, on which each of these records starts: one more pass over the file."""
    wanted, found = set(records), {}
    if not wanted:
        return {}
    line, record, at_start, ended_cr = 1, -1, True, False
    with SourceStream(file, max_expanded_bytes=max_expanded_bytes) as stream:
        for block in stream.blocks():
            if ended_cr and block.startswith(b"\n"):
                block = block[1:]
            ended_cr = block.endswith(b"\r")
            parts = _LINE_END.split(block)
            for number, part in enumerate(parts):
                if number:
                    line, at_start = line + 1, True
                if at_start and part.removeprefix(b"\xef\xbb\xbf").startswith(b">"):
                    record += 1
                    if record in wanted:
                        found[record] = line
                at_start = at_start and not part
            if len(found) == len(wanted):
                break
    return found
