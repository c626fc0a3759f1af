r"""Words: runs of letters, digits and underscores, and runs of other visible characters.

Use them for prose. Contractions are cut at their apostrophe (`it`, `'`, `s`); for whole ones see
nltk_words.py.

Source of the rule: NLTK's WordPunctTokenizer
(https://www.nltk.org/api/nltk.tokenize.regexp.html), `\w+|[^\w\s]+`.
Legend: R rows, N tokens of all rows, V distinct tokens.
"""

from __future__ import annotations

import functools
import sys

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from seqprep import ragged
from seqprep.ragged import Ragged
from seqprep.tokens.characters import utf8
from seqprep.tokens.encoded import Encoded


def encode_words(content: pa.Array | pa.ChunkedArray, *, lowercase: bool) -> Encoded:
    """Runs of letters, digits and underscores, and runs of other visible characters.

    Words are cut where the kind of character changes. Only white space is dropped, so the bytes
    that are left are the words joined, and their edges are the words' offsets.
    """
    raw, offsets = utf8(content, lowercase=lowercase)
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
