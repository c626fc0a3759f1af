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
import pyarrow as pa

from seqprep.bases import Letters
from seqprep.domains.fasta_headers import split_headers
from seqprep.domains.fasta_lines import FastaStream
from seqprep.hashing import Ints
from seqprep.kernels import copy_spans, to_offsets

BLOCK_BYTES = 4 * 2**20
"""Text that is cut at a time, unless a single record is larger."""
_WHITE = rb"[ \t\v\f\x1c-\x1f\x85\xa0]"
_LINE_ENDS = re.compile(rb"(?<!" + _WHITE + rb")" + _WHITE + rb"+(?:\n|\Z)")


@dataclass(slots=True)
class RawRecords:
    """R records of S lines as they stand in the file, in order.

    Args:
        text: that holds them.
        lines: `(S, 2)` where each line starts, and where it ends.
        heads: `(R,)` which of them are headers; nothing but blank lines stands before the first.
    """

    text: bytes
    lines: Ints
    heads: Ints

    def __len__(self) -> int:
        return len(self.heads)

    @property
    def size_bytes(self) -> int:
        """Of the text."""
        return len(self.text)

    def titles(self) -> tuple[pa.StringArray, pa.StringArray]:
        """The headers without `>`, `(R,)`, and their first words."""
        starts, ends = self.lines[self.heads].T
        letters = copy_spans(np.frombuffer(self.text, np.uint8), starts + 1, ends - starts - 1)
        return split_headers(letters, to_offsets(ends - starts - 1))

    def take_body(self, place: int) -> bytes:
        """The lines after one header; with those of the last one the text is forgotten.

        So no long record stands in memory twice.
        """
        first, last = self.heads[place] + 1, place == len(self) - 1
        stop = len(self.text) if last else int(self.lines[self.heads[place + 1], 0])
        start = int(self.lines[first, 0]) if first < len(self.lines) else stop
        body = self.text[start:stop]
        if last:
            self.text = b""
        return body

    def joined(self) -> tuple[Letters, Ints]:
        r"""The lines of all bodies without `\n`, and the offsets `(R + 1,)` of the records."""
        starts = self.lines[:, 0]
        sizes = self.lines[:, 1] - starts
        sizes[: self.heads[0]] = 0
        sizes[self.heads] = 0
        places = to_offsets(sizes)
        held = np.flatnonzero(sizes)
        letters = copy_spans(np.frombuffer(self.text, np.uint8), starts[held], sizes[held])
        return letters, places[np.append(self.heads, len(sizes))]


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
    ends = _places(letters, ord("\n"))
    lines = np.empty((len(ends) + 1, 2), np.int64)
    lines[:-1, 1], lines[-1, 1] = ends, len(text)
    lines[0, 0], lines[1:, 0] = 0, ends + 1
    del ends
    if lines[-1, 0] == len(text):
        lines = lines[:-1]
    return RawRecords(text, lines, np.flatnonzero(letters[lines[:, 0]] == ord(">")))


def _places(letters: Letters, letter: int) -> Ints:
    """Where a letter stands, without a mask of the whole text."""
    size = 2**20
    found = [
        np.flatnonzero(letters[start : start + size] == letter) + start
        for start in range(0, len(letters), size)
    ]
    return np.concatenate([np.zeros(0, np.int64), *found])


def joined_lines(body: bytes) -> bytes:
    r"""The letters of a record as Biopython joins them.

    White space is taken off the ends of lines (also what is white in Latin-1 alone), and blanks
    out of them; tabs inside a line stay.

    >>> joined_lines(b"AC G\t\nT\xa0\n")
    b'ACGT'
    """
    return _LINE_ENDS.sub(b"\n", body).translate(None, b"\n ")
