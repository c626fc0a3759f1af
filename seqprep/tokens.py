"""Content to steps: words, characters and k-mers on flat arrays (P10).

Each chunk of records is encoded by itself into local ids with a local dictionary; `frequency.py`
merges the dictionaries. Nothing here depends on other records.

Source of the word rule: NLTK's WordPunctTokenizer, runs of letters, digits and underscores or runs
of other visible characters (https://www.nltk.org/api/nltk.tokenize.regexp.html).
Legend: R rows, N tokens of all rows, V distinct tokens of the chunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from seqprep import ragged
from seqprep.ragged import Ints, Ragged
from seqprep.recipe import Tokens
from seqprep.schema import token_type

# Python's \w is letters, numbers and the underscore, and its \s holds four more separators than
# that of Rust's regular expressions; spelt out, both cut alike.
WORDS = r"[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s\x1c-\x1f]+"

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
    """Runs of letters, digits and underscores, and runs of other visible characters."""
    words = _texts(content, lowercase=lowercase).str.extract_all(WORDS)
    lengths = words.list.len().to_numpy().astype(np.int64)
    flat = words.explode().drop_nulls().to_arrow(compat_level=pl.CompatLevel.oldest())
    coded = flat.dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    ids = coded.indices.to_numpy(zero_copy_only=False)
    return Encoded(ids=Ragged(ids, ragged.to_offsets(lengths)), tokens=coded.dictionary)


def encode_characters(content: pa.Array | pa.ChunkedArray, *, lowercase: bool) -> Encoded:
    """Code points, each one a token; no normalisation beyond what ingest did."""
    raw, offsets = ragged.string_bytes(_texts(content, lowercase=lowercase).to_arrow())
    starts = (raw & 0xC0) != 0x80  # all but the continuation bytes of UTF-8
    edges = np.concatenate([[0], np.cumsum(starts)])[offsets - offsets[0]].astype(np.int64)
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
    codes = _rolling(base, k=k, canonical=canonical)
    ids = _every(Ragged(codes, offsets), k=k, stride=stride)
    if k <= _FULL_TABLE_K:
        small = ids.values.astype(token_type(4**k + 1).to_pandas_dtype())
        return Encoded(ids=Ragged(small, ids.offsets), tokens=kmer_strings(np.arange(4**k + 1), k))
    present, inverse = np.unique(ids.values, return_inverse=True)
    ids = Ragged(inverse.astype(np.int32), ids.offsets)
    return Encoded(ids=ids, tokens=kmer_strings(present, k))


def kmer_strings(codes: npt.NDArray[np.integer], k: int) -> pa.Array:
    """The letters of k-mers from their numbers in base 4; 4**k is N...N.

    >>> kmer_strings(np.array([0, 6, 16]), 2).to_pylist()
    ['AA', 'CG', 'NN']
    """
    powers = 4 ** np.arange(k - 1, -1, -1)
    letters = np.frombuffer(LETTERS, dtype=np.uint8)[(codes[:, None] // powers) % 4]
    letters[codes == 4**k] = ord("N")
    edges = np.arange(len(codes) + 1, dtype=np.int64) * k
    return pa.LargeStringArray.from_buffers(
        len(codes), pa.py_buffer(edges), pa.py_buffer(np.ascontiguousarray(letters))
    )


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


def _texts(content: pa.Array | pa.ChunkedArray, *, lowercase: bool) -> pl.Series:
    series = pl.Series(pl.from_arrow(content))
    return series.str.to_lowercase() if lowercase else series


def _codes() -> bytes:
    table = bytearray([LETTERS.index(b"N")] * 256)
    for code, letter in enumerate(LETTERS):
        table[letter] = table[ord(chr(letter).lower())] = code
    return bytes(table)


def _rolling(base: npt.NDArray[np.int8], *, k: int, canonical: bool) -> npt.NDArray[np.int32]:
    """The k-mer that starts at each letter of the flat array; the last k - 1 are void."""
    width = max(len(base) - k + 1, 0)
    codes = np.zeros(len(base), dtype=np.int32)
    other = np.zeros(width, dtype=np.int32)
    unknown = np.zeros(width, dtype=bool)
    for place in range(k):
        letter = base[place : place + width]
        codes[:width] = codes[:width] * 4 + letter
        unknown |= letter > 3
        if canonical:
            other += (3 - letter.astype(np.int32)) << (2 * place)
    if canonical:
        np.minimum(codes[:width], other, out=codes[:width])
    codes[:width][unknown] = 4**k
    return codes


def _every(rows: Ragged, *, k: int, stride: int) -> Ragged:
    lengths = np.maximum((rows.lengths - k) // stride + 1, 0)
    if stride == 1:
        index = ragged.ranges(rows.offsets[:-1], lengths)
    else:
        place: Ints = ragged.ranges(np.zeros_like(lengths), lengths)
        index = np.repeat(rows.offsets[:-1], lengths) + place * stride
    return Ragged(rows.values[index], ragged.to_offsets(lengths))
