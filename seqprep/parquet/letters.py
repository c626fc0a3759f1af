"""Zstandard frames of text in few letters: two bits a base, at the speed of memory.

zstd looks for repeats, which bases seldom have: at its fastest level it packs some 240 MB/s to 2.5
bits a base. Here every block of bases is one Huffman code of four letters with two bits each (of
16 letters with four, where ambiguity codes stand among them), without any search. All decoders of
zstd read the frames. Use it for DNA; text in other letters, or with repeats that zstd finds, is
left to zstd.
Source: RFC 8878 (Zstandard), sections 3.1.1 (frames and blocks) and 4.2 (Huffman codes).

Legend: N letters of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from seqprep.bases import BASES, Letters, are_bases

WITH_CODES = b"ABCDGHKMNRSTVWXY"
"""Bases and the IUPAC codes of ambiguity."""
BLOCK = 2**17
"""Letters of a block; no decoder takes more."""
LEAST = 2**14
"""Letters from which a frame is worth its own coding."""
_FINE = 1024
"""A block of fewer letters stands as it is."""
_MOST_BITS = 2.4
"""Mean bits a letter, above which zstd does as well."""
_SAMPLE = 2**15
"""Letters on which zstd is tried."""
_RAW, _SAME, _CODED = range(3)
_FRAME_HEAD = bytes([0x28, 0xB5, 0x2F, 0xFD, 0x80, 0x38])
"""Magic number; a content size of four bytes; a window of 128 KB."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A block on its way to the frame: its kind, what the header says of its size, its content."""

    kind: int
    size: int
    content: bytes


def pack_letters(head: bytes, text: Letters, codec: pa.Codec) -> bytes | None:
    """One frame of `head` and then `text`; None where zstd itself does as well or better.

    Args:
        head: anything; it is kept as it is.
        text: `(n,)` letters in ASCII.
        codec: zstd.
    """
    if len(text) < LEAST or text[:64].tobytes().translate(None, WITH_CODES):
        return None
    if len(head) + len(text) >= 2**32:
        return None
    coder = _Coder()
    blocks = [_Block(_RAW, len(part), part) for part in _parts(head)]
    size_bytes = 0
    for start in range(0, len(text), BLOCK):
        made = coder.blocks(text[start : start + BLOCK])
        if made is None:
            return None
        blocks += made
        size_bytes += sum(len(block.content) for block in made)
    if 8 * size_bytes > _MOST_BITS * len(text):
        return None
    # Long repeats: zstd packs those into almost nothing.
    middle = max(0, len(text) - _SAMPLE) // 2
    sample = text[middle : middle + _SAMPLE]
    if codec.compress(sample).size * len(text) < 0.95 * size_bytes * len(sample):
        return None
    parts = [_FRAME_HEAD, (len(head) + len(text)).to_bytes(4, "little")]
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        parts += [(block.size << 3 | block.kind << 1 | last).to_bytes(3, "little"), block.content]
    return b"".join(parts)


def _parts(head: bytes) -> list[bytes]:
    return [head[start : start + BLOCK] for start in range(0, len(head), BLOCK)]


class _Coder:
    """Codes blocks of at most BLOCK letters; holds the memory that all of them share."""

    def __init__(self) -> None:
        self._codes, self._bits = (np.empty(BLOCK // 4, np.uint32) for _ in range(2))

    def blocks(self, text: Letters) -> list[_Block] | None:
        """The blocks that hold a text; None where other letters stand in it."""
        whole = len(text) // 16 * 16
        if len(text) < _FINE:
            return [_Block(_RAW, len(text), text.tobytes())]
        body, rest = text[:whole], text[whole:]
        if are_bases(body):
            made = _coded(self._base_pairs(body), whole, _BASES_TREE)
        elif (body == body[0]).all():
            made = _Block(_SAME, whole, body[:1].tobytes())
        elif not body.tobytes().translate(None, WITH_CODES):
            made = _coded(_nibbles(body), whole, _CODES_TREE)
        else:
            return None
        return [made, _Block(_RAW, len(rest), rest.tobytes())] if len(rest) else [made]

    def _base_pairs(self, text: Letters) -> Letters:
        """Four bases a byte, the first one in the highest bits."""
        words = np.ascontiguousarray(text).view("<u4")
        codes, bits = self._codes[: len(words)], self._bits[: len(words)]
        # Bits 1 and 2 of A, C, T, G are 0, 1, 2, 3; exclusive or puts them in alphabetic order.
        np.right_shift(words, 1, out=codes)
        np.bitwise_and(codes, 0x03030303, out=codes)
        np.right_shift(codes, 1, out=bits)
        np.bitwise_and(bits, 0x01010101, out=bits)
        np.bitwise_xor(codes, bits, out=codes)
        # The product's highest byte: each base moved to its place, all else below or beyond it.
        np.multiply(codes, 1 << 30 | 1 << 20 | 1 << 10 | 1, out=codes)
        np.right_shift(codes, 24, out=codes)
        return codes.astype(np.uint8)


_NIBBLES = bytes(WITH_CODES.index(letter) if letter in WITH_CODES else 0 for letter in range(256))


def _nibbles(text: Letters) -> Letters:
    """Two letters a byte, the first one in the higher bits."""
    pairs = np.frombuffer(text.tobytes().translate(_NIBBLES), "<u2")
    return (pairs << 4 | pairs >> 8).astype(np.uint8)


def _tree(letters: bytes) -> bytes:
    """A Huffman code that gives each of these letters as many bits: the weights of all up to them.

    The last letter's weight is not written; it follows from the others.
    """
    weights = [int(letter in letters) for letter in range(max(letters))]
    weights += [0] * (len(weights) % 2)
    pairs = zip(weights[::2], weights[1::2], strict=True)
    return bytes([127 + max(letters), *(high << 4 | low for high, low in pairs)])


_BASES_TREE, _CODES_TREE = _tree(BASES), _tree(WITH_CODES)


def _coded(packed: Letters, count: int, tree: bytes) -> _Block:
    """A block of `count` coded letters and no repeats.

    Four streams, which are read backwards from a bit that marks their end.
    """
    size = len(packed) // 4
    streams = np.ones((4, size + 1), np.uint8)
    streams[:, :size] = packed.reshape(4, size)[:, ::-1]
    jumps = (size + 1).to_bytes(2, "little") * 3
    length = len(tree) + len(jumps) + streams.size
    kind, sizes = 2, 3
    head = (kind | sizes << 2 | count << 4 | length << 22).to_bytes(5, "little")
    content = b"".join([head, tree, jumps, streams.tobytes(), b"\0"])
    return _Block(_CODED, len(content), content)
