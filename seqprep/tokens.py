"""Content to steps: words, characters and k-mers on flat arrays (P10).

Each chunk of records is encoded by itself into local ids with a local dictionary; `frequency.py`
merges the dictionaries. Nothing here depends on other records.

Source of the word rule: NLTK's WordPunctTokenizer, runs of letters, digits and underscores or runs
of other visible characters (https://www.nltk.org/api/nltk.tokenize.regexp.html).
Legend: R rows, N tokens of all rows, V distinct tokens of the chunk.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from seqprep import ragged
from seqprep.ragged import Ints, Ragged
from seqprep.recipe import Tokens
from seqprep.schema import token_type

LETTERS = b"ACGTNRYSWKMBDHV"
"""Letters of DNA by code: bases first, N, then the other IUPAC codes. What else occurs is N."""
_COMPLEMENTS = bytes.maketrans(b"ACGTNRYSWKMBDHV", b"TGCANYRSWMKVHDB")
_FULL_TABLE_K = 6
"""Up to this k every k-mer stands in the local dictionary; beyond, only those that occur."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """Tokens of R records.

    Args:
        ids: `(N,)` indices into `tokens`.
        tokens: `(V,)` distinct strings; some may not occur.
    """

    ids: Ragged
    tokens: pa.Array


def encode(content: pa.Array | pa.ChunkedArray, tokens: Tokens) -> Encoded:
    """Tokens of each record by the rule of `tokens.unit`.

    >>> encoded = encode(pa.array(["It's 5.", ""]), Tokens(unit="word"))
    >>> [encoded.tokens[i].as_py() for i in encoded.ids.values], encoded.ids.lengths.tolist()
    (['it', "'", 's', '5', '.'], [5, 0])
    """
    match tokens.unit:
        case "word":
            return encode_words(content, lowercase=tokens.lowercase)
        case "character":
            return encode_characters(content, lowercase=tokens.lowercase)
        case "kmer":
            return encode_kmers(
                content, k=tokens.k, stride=tokens.stride, canonical=tokens.canonical
            )
        case unit:
            raise ValueError(f"tokens.unit {unit!r} has no tokens")


def encode_words(content: pa.Array | pa.ChunkedArray, *, lowercase: bool) -> Encoded:
    """Runs of letters, digits and underscores, and runs of other visible characters.

    Words are cut where the kind of character changes. Only white space is dropped, so the bytes
    that are left are the words joined, and their edges are the words' offsets.
    """
    raw, offsets = _bytes(content, lowercase=lowercase)
    kinds = _kinds(raw)
    first = np.ones(len(raw), dtype=bool)
    first[1:] = kinds[1:] != kinds[:-1]
    first[offsets[:-1][offsets[:-1] < len(raw)]] = True
    visible = kinds != _SPACE
    starts = np.flatnonzero(first & visible)
    stops = np.flatnonzero(first[1:] & visible[:-1]) + 1
    if len(stops) < len(starts):  # the last word ends where all ends
        stops = np.append(stops, len(raw))
    edges = ragged.to_offsets(stops - starts)
    kept = _without_space(raw, kinds)
    lengths = np.diff(np.searchsorted(starts, offsets))
    words = pa.LargeStringArray.from_buffers(len(edges) - 1, pa.py_buffer(edges), kept)
    coded = words.dictionary_encode()
    ids = coded.indices.to_numpy(zero_copy_only=False)
    return Encoded(ids=Ragged(ids, ragged.to_offsets(lengths)), tokens=coded.dictionary)


_SPACE, _WORD, _OTHER = range(3)


def _without_space(raw: npt.NDArray[np.uint8], kinds: npt.NDArray[np.uint8]) -> pa.Buffer:
    if (raw & 0x80).any():
        return pa.py_buffer(raw[kinds != _SPACE])
    spaces = bytes(np.flatnonzero(_kind_table(128) == _SPACE).tolist())
    return pa.py_buffer(raw.tobytes().translate(None, spaces))


def _kinds(raw: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Whether each byte belongs to white space, a word or anything else, `(bytes,)`."""
    ascii_kinds = np.frombuffer(raw.tobytes().translate(_kind_table(256).tobytes()), np.uint8)
    if not (raw & 0x80).any():
        return ascii_kinds
    starts = (raw & 0xC0) != 0x80
    points = np.frombuffer(raw.tobytes().decode().encode("utf-32-le"), dtype=np.uint32)
    return np.repeat(
        _kind_table(sys.maxunicode + 1)[points],
        np.diff(np.append(np.flatnonzero(starts), len(raw))),
    )


@functools.cache
def _kind_table(points: int) -> npt.NDArray[np.uint8]:
    r"""The kind of the first code points by Unicode's `\w` and `\s`, as NLTK reads them."""
    letters = pl.Series([chr(p) if not 0xD800 <= p < 0xE000 else "\ue000" for p in range(points)])
    word, space = (letters.str.contains(rf"^{kind}$").to_numpy() for kind in (r"\w", r"\s"))
    return np.where(word, _WORD, np.where(space, _SPACE, _OTHER)).astype(np.uint8)


def _bytes(
    content: pa.Array | pa.ChunkedArray, *, lowercase: bool
) -> tuple[npt.NDArray[np.uint8], Ints]:
    """UTF-8 of all records joined, and where each starts, `(R + 1,)` from 0."""
    raw, offsets = ragged.string_bytes(content)
    if lowercase:
        if (raw & 0x80).any():
            raw, offsets = ragged.string_bytes(_lower(content))
        else:
            raw = np.frombuffer(raw.tobytes().lower(), dtype=np.uint8)
    return raw, offsets - offsets[0]


def _lower(content: pa.Array | pa.ChunkedArray) -> pa.Array:
    return pl.Series(pl.from_arrow(content)).str.to_lowercase().to_arrow()


def encode_characters(content: pa.Array | pa.ChunkedArray, *, lowercase: bool) -> Encoded:
    """Code points, each one a token; no normalisation beyond what ingest did."""
    raw, offsets = _bytes(content, lowercase=lowercase)
    starts = (raw & 0xC0) != 0x80  # all but the continuation bytes of UTF-8
    edges = np.concatenate([[0], np.cumsum(starts)])[offsets].astype(np.int64)
    points = np.frombuffer(raw.tobytes().decode().encode("utf-32-le"), dtype=np.uint32)
    present = np.flatnonzero(np.bincount(points, minlength=1))
    table = np.zeros(int(present.max(initial=0)) + 1, dtype=np.int32)
    table[present] = np.arange(len(present))
    tokens = pa.array([chr(point) for point in present.tolist()], pa.large_string())
    return Encoded(ids=Ragged(table[points], edges), tokens=tokens)


def encode_kmers(
    content: pa.Array | pa.ChunkedArray, *, k: int, stride: int = 1, canonical: bool = False
) -> Encoded:
    """k-mers of DNA, one every `stride` letters; a record shorter than k has none.

    With k = 1 every letter is its own token, ambiguity codes too. With k > 1 a k-mer that holds
    anything but A, C, G and T is the one token N...N. `canonical` takes the smaller of a k-mer and
    its reverse complement, in the order A < C < G < T.
    """
    raw, offsets = ragged.string_bytes(content)
    # bytes.translate is several times faster than indexing a table with an array of bytes.
    base = np.frombuffer(raw.tobytes().translate(_codes()), dtype=np.int8)
    offsets = offsets - offsets[0]
    if k == 1 and not canonical:
        ids = Ragged(base, offsets)
        ids = ids if stride == 1 else _every(ids, k=1, stride=stride)
        return Encoded(ids=ids, tokens=pa.array([chr(c) for c in LETTERS], pa.large_string()))
    ids = _every(Ragged(_rolling(base, k=k, canonical=canonical), offsets), k=k, stride=stride)
    if k <= _FULL_TABLE_K:
        return Encoded(ids=ids, tokens=_all_kmers(k))
    occurs = np.zeros(4**k + 1, dtype=bool)
    occurs[ids.values] = True
    present = np.flatnonzero(occurs)
    table = np.zeros(len(occurs), dtype=np.int32)
    table[present] = np.arange(len(present))
    return Encoded(ids=Ragged(table[ids.values], ids.offsets), tokens=kmer_strings(present, k))


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
    index = ragged.reverse_index(offsets - offsets[0], np.ones(len(tokens), dtype=bool))
    edges = (offsets - offsets[0]).astype(np.int64)
    return pa.LargeStringArray.from_buffers(
        len(tokens), pa.py_buffer(edges), pa.py_buffer(np.ascontiguousarray(turned[index]))
    )


def _codes() -> bytes:
    table = bytearray([LETTERS.index(b"N")] * 256)
    for code, letter in enumerate(LETTERS):
        table[letter] = table[ord(chr(letter).lower())] = code
    return bytes(table)


def _rolling(
    base: npt.NDArray[np.int8], *, k: int, canonical: bool
) -> npt.NDArray[np.int16] | npt.NDArray[np.int32]:
    """The k-mer that starts at each letter of the flat array; the last k - 1 are void."""
    kind = token_type(4**k + 1).to_pandas_dtype()
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


def _every(rows: Ragged, *, k: int, stride: int) -> Ragged:
    lengths = np.maximum((rows.lengths - k) // stride + 1, 0)
    if stride == 1:
        keep = np.ones(len(rows.values), dtype=bool)
        for back in range(1, k):
            keep[np.maximum(rows.offsets[1:] - back, rows.offsets[:-1])[rows.lengths > 0]] = False
        return Ragged(rows.values[keep], ragged.to_offsets(lengths))
    place: Ints = ragged.ranges(np.zeros_like(lengths), lengths)
    index = np.repeat(rows.offsets[:-1], lengths) + place * stride
    return Ragged(rows.values[index], ragged.to_offsets(lengths))
