"""Characters: each Unicode code point is one token.

Use them where spelling tells, or for scripts without spaces; not where words do: a text has five
times as many characters as words.

Legend: R rows, N tokens of all rows, V distinct tokens.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged
from seqprep.ragged import Ints, Ragged
from seqprep.tokens.encoded import Encoded, lower


def encode_characters(content: pa.Array | pa.ChunkedArray, *, lowercase: bool) -> Encoded:
    """Code points, each one a token; no normalisation beyond what ingest did."""
    raw, offsets = utf8(content, lowercase=lowercase)
    starts = (raw & 0xC0) != 0x80  # all but the continuation bytes of UTF-8
    edges = np.concatenate([[0], np.cumsum(starts)])[offsets].astype(np.int64)
    points = np.frombuffer(raw.tobytes().decode().encode("utf-32-le"), dtype=np.uint32)
    present = np.flatnonzero(np.bincount(points, minlength=1))
    table = np.zeros(int(present.max(initial=0)) + 1, dtype=np.int32)
    table[present] = np.arange(len(present))
    tokens = pa.array([chr(point) for point in present.tolist()], pa.large_string())
    return Encoded(ids=Ragged(table[points], edges), tokens=tokens)


def utf8(
    content: pa.Array | pa.ChunkedArray, *, lowercase: bool
) -> tuple[npt.NDArray[np.uint8], Ints]:
    """UTF-8 of all records joined, and where each starts, `(R + 1,)` from 0."""
    raw, offsets = ragged.string_bytes(content)
    if lowercase:
        if (raw & 0x80).any():
            raw, offsets = ragged.string_bytes(lower(content))
        else:
            raw = np.frombuffer(raw.tobytes().lower(), dtype=np.uint8)
    return raw, offsets - offsets[0]
