"""FASTA text cut into records: whole blocks at a time, no loop over lines.

The records are those of Biopython's SimpleFastaParser, which a differential test compares. Use it
behind `FastaStream`; not for text with other line ends or comments.
Source: Biopython's SimpleFastaParser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from seqprep.domains.fasta_lines import FastaStream
from seqprep.hashing import Ints
from seqprep.kernels import to_offsets

BLOCK_BYTES = 4 * 2**20
"""Text that is cut at a time, unless a single record is larger."""
_WHITE = rb"[ \t\v\f\x1c-\x1f\x85\xa0]"
_LINE_ENDS = re.compile(rb"(?<!" + _WHITE + rb")" + _WHITE + rb"+(?:\n|\Z)")


@dataclass(slots=True)
class RawRecords:
    """R records as they stand in the file, in order.

    Args:
        headers: `(R,)` the lines behind `>`.
        text: that holds the records.
        spans: `(R,)` where the lines after each header start and stop.
    """

    headers: list[bytes]
    text: bytes
    spans: list[tuple[int, int]]

    @property
    def size_bytes(self) -> int:
        """Of the lines after the headers."""
        return sum(stop - start for start, stop in self.spans)

    def take_body(self, place: int) -> bytes:
        """The lines after one header; with those of the last one the text is forgotten.

        So no long record stands in memory twice.
        """
        start, stop = self.spans[place]
        body = self.text[start:stop]
        if place == len(self.spans) - 1:
            self.text = b""
        return body

    def joined(self) -> tuple[bytes, Ints]:
        r"""The bodies without `\n` one after the other, and their offsets `(R + 1,)`."""
        view, count = memoryview(self.text), self.text.count
        lengths = [stop - start - count(b"\n", start, stop) for start, stop in self.spans]
        letters = b"".join([view[start:stop] for start, stop in self.spans])
        return letters.replace(b"\n", b""), to_offsets(lengths)


def record_blocks(stream: FastaStream) -> Iterator[RawRecords]:
    """The records of a file in order, many small ones or one large one at a time."""
    held: list[bytes] = []
    size_bytes, line_start = 0, True
    while block := stream.next_block():
        cut = block.rfind(b"\n>") + 1
        if size_bytes + cut >= BLOCK_BYTES and (cut or (line_start and block.startswith(b">"))):
            held.append(block[:cut])
            yield _taken(held)
            block, size_bytes = block[cut:], 0
        held.append(block)
        size_bytes += len(block)
        line_start = block.endswith(b"\n")
    yield _taken(held)


def _taken(held: list[bytes]) -> RawRecords:
    """The records in these parts of a text, which are forgotten."""
    text = b"".join(held)
    held.clear()
    letters = np.frombuffer(text, np.uint8)
    marks = np.flatnonzero(letters == ord(">"))
    starts = marks[(marks == 0) | (letters[marks - 1] == ord("\n"))].tolist()
    stops = [*starts[1:], len(text)]
    ends = [
        end if (end := text.find(b"\n", start, stop)) >= 0 else stop
        for start, stop in zip(starts, stops, strict=False)
    ]
    return RawRecords(
        headers=[text[start + 1 : end] for start, end in zip(starts, ends, strict=True)],
        text=text,
        spans=[(end + 1, max(end + 1, stop)) for end, stop in zip(ends, stops, strict=False)],
    )


def joined_lines(body: bytes) -> bytes:
    r"""The letters of a record as Biopython joins them.

    White space is taken off the ends of lines (also what is white in Latin-1 alone), and blanks
    out of them; tabs inside a line stay.

    >>> joined_lines(b"AC G\t\nT\xa0\n")
    b'ACGT'
    """
    return _LINE_ENDS.sub(b"\n", body).translate(None, b"\n ")
