r"""Words: runs of letters, digits and underscores, and runs of other visible characters.

Use them for prose. Contractions are cut at their apostrophe (`it`, `'`, `s`); for whole ones see
nltk_words.py.

Source of the rule: NLTK's WordPunctTokenizer
(https://www.nltk.org/api/nltk.tokenize.regexp.html), `\w+|[^\w\s]+`.
Legend: R rows, B bytes of a block, N tokens of all rows, L long tokens, V distinct tokens.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from seqprep import ragged
from seqprep.ragged import Ints, Keys, Ragged
from seqprep.tokens.encoded import Encoded, lower

Bytes = npt.NDArray[np.uint8]

BLOCK_BYTES = 2**18
"""About so much text at a time, so that the arrays of a block stay in the processor's cache."""
_SHORT = 7
"""Words of up to so many bytes are numbers: their bytes and, in the lowest one, how many."""
_OTHER, _WORD, _SPACE = range(3)


def encode_words(content: pa.Array | pa.ChunkedArray, *, lowercase: bool) -> Encoded:
    """Runs of letters, digits and underscores, and runs of other visible characters.

    Words are cut where the kind of character changes; only white space is dropped. Short words are
    looked up as numbers, which takes a quarter of the time that strings take.
    """
    blocks = list(_blocks(content, lowercase=lowercase))
    lengths = [block.lengths for block in blocks]
    offsets = ragged.to_offsets(np.concatenate(lengths) if blocks else [])
    if offsets[-1] == 0:
        return Encoded(
            ids=Ragged(np.zeros(0, np.int32), offsets), tokens=pa.array([], pa.large_string())
        )
    return _numbered(blocks, offsets)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """The words of some records.

    Args:
        lengths: `(R,)` words of each record.
        keys: `(N,)` short words as numbers, 0 for long ones.
        places: `(L,)` where in `keys` the long ones stand. texts: `(L,)` what they are.
    """

    lengths: Ints
    keys: Keys
    places: Ints
    texts: pa.Array


def _blocks(content: pa.Array | pa.ChunkedArray, *, lowercase: bool) -> Iterator[_Block]:
    """The words of blocks of whole records."""
    raw, offsets = ragged.string_bytes(content)
    offsets = offsets - offsets[0]
    cuts = np.flatnonzero(np.diff(offsets[:-1] // BLOCK_BYTES)) + 1
    for start, stop in itertools.pairwise([0, *cuts.tolist(), len(content)]):
        if start == stop:
            continue
        edges = offsets[start : stop + 1]
        part = raw[edges[0] : edges[-1]]
        if not lowercase:
            yield _cut(part, edges - edges[0])
        elif part.max(initial=0) < 0x80:
            yield _cut(_lower_ascii(part), edges - edges[0])
        else:
            part, edges = ragged.string_bytes(lower(content.slice(start, stop - start)))
            yield _cut(part, edges - edges[0])


def _lower_ascii(raw: Bytes) -> Bytes:
    capital = (raw - np.uint8(ord("A"))) < 26
    return raw + capital.view(np.uint8) * np.uint8(ord("a") - ord("A"))


def _cut(raw: Bytes, offsets: Ints) -> _Block:
    """The words of records that stand one after the other, `raw` `(B,)`."""
    kinds = _kinds(raw)
    first = np.ones(len(raw) + 1, dtype=bool)
    np.not_equal(kinds[1:], kinds[:-1], out=first[1:-1])
    first[offsets] = True
    visible = kinds != _SPACE
    starts = np.flatnonzero(first[:-1] & visible)
    lengths = np.flatnonzero(first[1:] & visible) - starts + 1
    keys = _heads(raw, starts)
    sizes = lengths.view(np.uint64)
    keys <<= np.uint64(64) - (sizes << np.uint64(3))
    keys |= sizes
    places = np.flatnonzero(lengths > _SHORT)
    keys[places] = 0
    return _Block(
        lengths=np.diff(np.searchsorted(starts, offsets)),
        keys=keys,
        places=places,
        texts=_texts(raw, starts[places], lengths[places]),
    )


def _heads(raw: Bytes, starts: Ints) -> Keys:
    """The eight bytes from each place on, as one number; zeros after the end."""
    padded = np.zeros(len(raw) + 8, dtype=np.uint8)
    padded[: len(raw)] = raw
    # As eight bytes without a meaning: numbers would be copied one by one where not aligned.
    windows = np.ndarray((len(raw) + 1,), "V8", buffer=padded.data, strides=(1,))
    return windows.take(starts).view("<u8").astype(np.uint64, copy=False)


def _texts(raw: Bytes, starts: Ints, lengths: Ints) -> pa.Array:
    joined = np.ascontiguousarray(ragged.copy_spans(raw, starts, lengths))
    edges = pa.py_buffer(ragged.to_offsets(lengths))
    return pa.LargeStringArray.from_buffers(len(starts), edges, pa.py_buffer(joined))


def _numbered(blocks: list[_Block], offsets: Ints) -> Encoded:
    """The ids of all words: first short ones, then long ones in the place of key 0 and after."""
    short = pa.chunked_array([pa.array(block.keys) for block in blocks]).dictionary_encode()
    keys = short.chunk(0).dictionary.to_numpy()
    ids = np.concatenate([part.indices.to_numpy() for part in short.chunks])
    texts = _spelt(keys)
    long = pa.concat_arrays([block.texts for block in blocks]).dictionary_encode()
    if len(long):
        none = int(np.flatnonzero(keys == 0)[0])
        numbers = np.arange(len(texts) - 1, len(texts) - 1 + len(long.dictionary), dtype=np.int32)
        numbers[0] = none
        starts = ragged.to_offsets([len(block.keys) for block in blocks])
        places = [block.places + start for block, start in zip(blocks, starts, strict=False)]
        ids[np.concatenate(places)] = numbers[long.indices.to_numpy()]
        texts = pa.concat_arrays(
            [texts[:none], long.dictionary[:1], texts[none + 1 :], long.dictionary[1:]]
        )
    return Encoded(ids=Ragged(ids, offsets), tokens=texts)


def _spelt(keys: Keys) -> pa.Array:
    """The words that short keys stand for; none for key 0."""
    letters = keys.astype("<u8").view(np.uint8).reshape(-1, 8)
    sizes = letters[:, 0].astype(np.int64)
    flat = letters[np.arange(8) >= 8 - sizes[:, None]]
    edges = pa.py_buffer(ragged.to_offsets(sizes))
    return pa.LargeStringArray.from_buffers(len(keys), edges, pa.py_buffer(flat))


def _kinds(raw: Bytes) -> Bytes:
    """Whether each byte belongs to white space, a word or anything else, `(B,)`."""
    word = ((raw | 0x20) - np.uint8(ord("a"))) < 26
    word |= (raw - np.uint8(ord("0"))) < 10
    word |= raw == ord("_")
    space = (raw - np.uint8(ord("\t"))) < 5
    space |= raw == ord(" ")
    kinds = word * np.uint8(_WORD) + space * np.uint8(_SPACE)
    wide = np.flatnonzero(raw >= 0x80)
    if len(wide):
        kinds[wide] = _wide_kinds(raw[wide])
    return kinds


def _wide_kinds(raw: Bytes) -> Bytes:
    """The same for characters beyond ASCII, of two to four bytes each."""
    firsts = np.flatnonzero((raw & 0xC0) != 0x80)
    points = np.frombuffer(raw.tobytes().decode().encode("utf-32-le"), dtype=np.uint32)
    table = _kind_table(1 << int(points.max()).bit_length())
    return np.repeat(table[points], np.diff(np.append(firsts, len(raw))))


@functools.cache
def _kind_table(points: int) -> Bytes:
    r"""The kind of the first code points by Unicode's `\w` and `\s`, as NLTK reads them."""
    kinds = [chr(p) if p < 0xD800 or 0xE000 <= p < 0x110000 else "\ue000" for p in range(points)]
    letters = pl.Series(kinds)
    word, space = (letters.str.contains(rf"^{kind}$").to_numpy() for kind in (r"\w", r"\s"))
    return np.where(word, _WORD, np.where(space, _SPACE, _OTHER)).astype(np.uint8)
