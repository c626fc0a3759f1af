"""k-mers of DNA: words of k letters, one every `stride`, on flat arrays of numbers in base 4.

Use them where motifs of a few bases tell; k = 1 is the bases as they are. Not with a large k on
short records: most of 4**k tokens would be seen once.

Legend: R rows, N tokens of all rows, V distinct tokens of the chunk.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged
from seqprep.ragged import Ints, Ragged
from seqprep.schema import token_type
from seqprep.tokens.encoded import Encoded

LETTERS = b"ACGTNRYSWKMBDHV"
"""Letters of DNA by code: bases first, N, then the other IUPAC codes. What else occurs is N."""
_COMPLEMENTS = bytes.maketrans(b"ACGTNRYSWKMBDHV", b"TGCANYRSWMKVHDB")
_FULL_TABLE_K = 6
"""Up to this k every k-mer stands in the local dictionary; beyond, only those that occur."""
_BLOCK = 2**20
"""Letters that are joined at a time: a k-mer takes up to eight times the memory of a letter."""
_INT32_K = 15
"""Up to this k the number of a k-mer fits 32 bits."""


def encode_kmers(
    content: pa.Array | pa.ChunkedArray, *, k: int, stride: int = 1, canonical: bool = False
) -> Encoded:
    """k-mers of DNA, one every `stride` letters; a record shorter than k has none.

    With k = 1 every letter is its own token, ambiguity codes too. With k > 1 a k-mer that holds
    anything but A, C, G and T is the one token N...N. Numbers of k-mers are joined by doubling, so
    k letters take about 2 log2 k passes.

    Args:
        content: rows of LETTERS; what else occurs is N.
        k: letters of a k-mer.
        stride: letters from the start of one to the start of the next.
        canonical: a k-mer and its reverse complement are one token, the smaller of both in the
            order A < C < G < T. A record and its other strand then have the same k-mers, in the
            opposite order: for reads whose strand is not known, not for motifs with a direction.
            With k = 1 only A, C and N are left.

    >>> encoded = encode_kmers(pa.array(["ACGT"]), k=2, canonical=True)
    >>> [encoded.tokens[i].as_py() for i in encoded.ids.values]  # GT is AC on the other strand
    ['AC', 'CG', 'AC']
    """
    raw, offsets = ragged.string_bytes(content)
    if k == stride == 1 and not canonical and _is_upper(raw):
        # Letters are ids as they stand: most are dropped by truncation before they are looked up.
        return Encoded(ids=Ragged(raw.view(np.int8), offsets - offsets[0]), tokens=_letters())
    rows = Ragged(raw, offsets - offsets[0])
    if k == 1 and not canonical:
        ids = _every(rows, np.int8, lambda part: part, stride=stride)
        return Encoded(ids=ids, tokens=pa.array([chr(c) for c in LETTERS], pa.large_string()))
    ids = _kmers(rows, k=k, stride=stride, canonical=canonical)
    if k <= _FULL_TABLE_K:
        return Encoded(ids=ids, tokens=_all_kmers(k))
    occurs = np.zeros(4**k + 1, dtype=bool)
    for start in range(0, len(ids.values), _BLOCK):
        occurs[ids.values[start : start + _BLOCK]] = True
    present = np.flatnonzero(occurs)
    table = np.zeros(len(occurs), dtype=np.int32)
    table[present] = np.arange(len(present))
    fits = ids.values.dtype == table.dtype
    local = ragged.look_up(table, ids.values, out=ids.values if fits else None)
    return Encoded(ids=Ragged(local, ids.offsets), tokens=kmer_strings(present, k))


def kmer_codes(content: pa.Array | pa.ChunkedArray, *, k: int, canonical: bool = False) -> Ragged:
    """The number in base 4 of the k-mer at every letter, k up to 31; 4**k where it is unknown.

    >>> ragged.to_lists(kmer_codes(pa.array(["AACGTN", "C"]), k=4, canonical=True))
    [[6, 27, 256], []]
    """
    raw, offsets = ragged.string_bytes(content)
    return _kmers(Ragged(raw, offsets - offsets[0]), k=k, stride=1, canonical=canonical)


@functools.cache
def _all_kmers(k: int) -> pa.Array:
    return kmer_strings(np.arange(4**k + 1), k)


def kmer_strings(codes: npt.NDArray[np.integer], k: int) -> pa.Array:
    """The letters of k-mers from their numbers in base 4; 4**k is N...N.

    >>> kmer_strings(np.array([0, 6, 16]), 2).to_pylist()
    ['AA', 'CG', 'NN']
    """
    bases = np.frombuffer(LETTERS, dtype=np.uint8)
    letters = np.empty((len(codes), k), dtype=np.uint8)
    for place in range(k):
        letters[:, place] = bases[(codes >> (2 * (k - 1 - place))) & 3]
    letters[codes == 4**k] = ord("N")
    edges = np.arange(len(codes) + 1, dtype=np.int64) * k
    return pa.LargeStringArray.from_buffers(len(codes), pa.py_buffer(edges), pa.py_buffer(letters))


def reverse_complements(tokens: pa.Array) -> pa.Array:
    """Each k-mer as read on the other strand; all must have the same number of letters.

    >>> reverse_complements(pa.array(["AC", "NN", "TT"])).to_pylist()
    ['GT', 'NN', 'AA']
    """
    raw, offsets = ragged.string_bytes(tokens)
    turned = np.frombuffer(raw.tobytes().translate(_COMPLEMENTS), dtype=np.uint8)
    edges = (offsets - offsets[0]).astype(np.int64)
    turned = ragged.turn_rows(turned, edges, np.ones(len(tokens), dtype=bool))
    return pa.LargeStringArray.from_buffers(len(tokens), pa.py_buffer(edges), pa.py_buffer(turned))


def _is_upper(raw: npt.NDArray[np.uint8]) -> bool:
    return not len(raw) or (int(raw.min()) >= ord("A") and int(raw.max()) <= ord("Z"))


@functools.cache
def _letters() -> pa.Array:
    """The letter that each byte up to Z stands for; those that cannot occur are N, too."""
    codes = _codes()[: ord("Z") + 1]
    return pa.array([chr(LETTERS[code]) for code in codes], pa.large_string())


@functools.cache
def _codes() -> bytes:
    table = bytearray([LETTERS.index(b"N")] * 256)
    for code, letter in enumerate(LETTERS):
        table[letter] = table[ord(chr(letter).lower())] = code
    return bytes(table)


def _kmers(rows: Ragged, *, k: int, stride: int, canonical: bool) -> Ragged:
    """The numbers of the k-mers in R rows of letters."""
    kind = np.int64 if k > _INT32_K else token_type(4**k + 1).to_pandas_dtype()

    def codes(part: npt.NDArray[np.int8]) -> npt.NDArray[Any]:
        return _rolling(part, kind, k=k, canonical=canonical)

    return _every(rows, kind, codes, k=k, stride=stride)


def _rolling(
    base: npt.NDArray[np.int8], kind: npt.DTypeLike, *, k: int, canonical: bool
) -> npt.NDArray[Any]:
    """The k-mer that starts at each letter of the flat array; the last k - 1 are void."""
    codes = _joined((base & 3).astype(kind), k=k, forward=True)
    if canonical:
        np.minimum(codes, _joined((3 - base & 3).astype(kind), k=k, forward=False), out=codes)
    unknown = np.flatnonzero(base > 3)
    for place in range(k):
        codes[np.maximum(unknown - place, 0)] = 4**k
    if len(unknown) and unknown[0] < k - 1:
        codes[: unknown[0] + 1] = 4**k
    return codes


def _joined(letters: npt.NDArray[Any], *, k: int, forward: bool) -> npt.NDArray[Any]:
    """Numbers in base 4 of the k letters from each place on, first (or last) letter highest.

    Doubling: a word of 2n letters is two words of n, so k letters take about 2 log2 k passes.
    """
    power, width = letters, 1
    result, done = None, 0
    rest = k
    while rest:
        if rest & 1:
            if result is None:
                result, done = power.copy(), width
            else:
                result = _appended(result, power, done, width, forward=forward)
                done += width
        rest >>= 1
        if rest:
            power = _appended(power, power, width, width, forward=forward)
            width *= 2
    assert result is not None
    return result


def _appended(
    head: npt.NDArray[Any], tail: npt.NDArray[Any], done: int, width: int, *, forward: bool
) -> npt.NDArray[Any]:
    """Words of `done` letters followed by words of `width`; void where the array ends."""
    result = np.zeros_like(head)
    end = max(len(head) - done, 0)
    if forward:
        result[:end] = (head[:end] << (2 * width)) | tail[done : done + end]
    else:
        result[:end] = head[:end] | (tail[done : done + end] << (2 * done))
    return result


def _every(
    rows: Ragged,
    kind: npt.DTypeLike,
    codes: Callable[[npt.NDArray[np.int8]], npt.NDArray[Any]],
    *,
    k: int = 1,
    stride: int,
) -> Ragged:
    """One k-mer every `stride` letters of each row, made block by block.

    Args:
        rows: R rows of letters as bytes.
        kind: of the numbers.
        codes: the k-mers that start at each letter of a block, from the codes of its letters; the
            last k - 1 are void.
        k: letters of a k-mer.
        stride: letters from the start of one to the start of the next.
    """
    offsets = rows.offsets
    lengths = np.maximum((rows.lengths - k) // stride + 1, 0)
    edges = ragged.to_offsets(lengths)
    values = np.empty(int(edges[-1]), dtype=kind)
    done = 0
    for start in range(0, len(rows.values), _BLOCK):
        stop = min(start + _BLOCK, len(rows.values))
        first = int(np.searchsorted(offsets, start, side="right")) - 1
        last = int(np.searchsorted(offsets, stop, side="left"))
        begins, most = offsets[first:last], lengths[first:last]
        low = np.maximum(-(-(start - begins) // stride), 0)
        counts = np.maximum(np.minimum(-(-(stop - begins) // stride), most) - low, 0)
        places = begins + low * stride - start
        # bytes.translate is several times faster than indexing a table with an array of bytes.
        letters = rows.values[start : stop + k - 1].tobytes().translate(_codes())
        part = codes(np.frombuffer(letters, dtype=np.int8))
        if stride == 1:
            picked = ragged.copy_spans(part, places, counts)
        else:
            steps: Ints = ragged.ranges(np.zeros_like(counts), counts)
            picked = part[np.repeat(places, counts) + steps * stride]
        values[done : done + len(picked)] = picked
        done += len(picked)
    return Ragged(values, edges)
