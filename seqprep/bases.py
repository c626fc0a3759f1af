"""Kernels over many bases at once: are there other letters, and the other strand.

They work on blocks that stay in a core's cache, and release the interpreter lock, which methods of
`bytes` hold. Needs only NumPy.

Legend: N letters, in ASCII.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Letters = npt.NDArray[np.uint8]

BASES = b"ACGT"
_BLOCK = 2**18


def are_bases(letters: Letters) -> bool:
    """Whether `(N,)` letters are all A, C, G or T.

    >>> are_bases(np.frombuffer(b"ACGT", np.uint8)), are_bases(np.frombuffer(b"ACGN", np.uint8))
    (True, False)
    """
    size = min(_BLOCK, len(letters))
    memory = np.empty((2, size), np.bool_)
    for start in range(0, len(letters), _BLOCK):
        part = letters[start : start + _BLOCK]
        found, other = memory[:, : len(part)]
        np.equal(part, BASES[0], out=found)
        for base in BASES[1:]:
            np.equal(part, base, out=other)
            np.logical_or(found, other, out=found)
        if not found.all():
            return False
    return True


class Scratch:
    """Memory that is used again and again: to get new memory takes longer than what it is for."""

    def __init__(self) -> None:
        self._words = np.empty(0, np.uint64)

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """So many words, with anything in them; what was given before is overwritten."""
        if len(self._words) < count:
            self._words = np.empty(count + count // 8, np.uint64)
        return self._words[:count]


def other_strand(bases: Letters, *, scratch: Scratch | None = None) -> Letters:
    """The reverse complement of `(N,)` letters, which must be A, C, G or T.

    Args:
        bases: the letters.
        scratch: memory for the result, which is overwritten when it is used again.

    >>> other_strand(np.frombuffer(b"AACGT", np.uint8)).tobytes()
    b'ACGTT'
    """
    count = len(bases)
    words = -(-count // 8)
    turned = (scratch or Scratch()).words(words)
    part, flip = np.zeros((2, min(_BLOCK // 8, words)), np.uint64)
    letters = part.view(np.uint8)
    for start in range(0, count, _BLOCK):
        size = min(_BLOCK, count - start)
        used = -(-size // 8)
        letters[:size] = bases[start : start + size]
        # A and T differ in the bits 0x15, C and G, which have bit 1, in 0x04.
        np.right_shift(part[:used], 1, out=flip[:used])
        np.bitwise_and(flip[:used], 0x0101010101010101, out=flip[:used])
        np.multiply(flip[:used], 0x11, out=flip[:used])
        np.bitwise_xor(flip[:used], 0x1515151515151515, out=flip[:used])
        np.bitwise_xor(flip[:used], part[:used], out=flip[:used])
        flip[:used].byteswap(inplace=True)
        stop = words - start // 8
        turned[stop - used : stop] = flip[:used][::-1]
    # What filled up the last word comes first now.
    return turned.view(np.uint8)[8 * words - count :]
