"""Tokens of some records: local ids and a local dictionary, which `frequency.py` merges.

Legend: R rows, N tokens of all rows, V tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from seqprep import ragged
from seqprep.ragged import Ragged


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """Tokens of R records.

    Args:
        ids: `(N,)` indices into `tokens`.
        tokens: `(V,)` strings; some may not occur, or stand there twice.
    """

    ids: Ragged
    tokens: pa.Array


def merge(parts: Sequence[Encoded]) -> Encoded:
    """The records of several parts, one after the other, with one dictionary.

    >>> one = Encoded(ids=ragged.from_lists([[0, 1]]), tokens=pa.array(["a", "b"]))
    >>> two = Encoded(ids=ragged.from_lists([[0], [1]]), tokens=pa.array(["b", "c"]))
    >>> merged = merge([one, two])
    >>> ragged.to_lists(merged.ids), merged.tokens.to_pylist()
    ([[0, 1], [1], [2]], ['a', 'b', 'c'])
    """
    if len(parts) == 1:
        return parts[0]
    coded = pa.concat_arrays([part.tokens for part in parts]).dictionary_encode()
    places = coded.indices.to_numpy(zero_copy_only=False)
    starts = np.cumsum([0, *(len(part.tokens) for part in parts)])
    rows = [
        Ragged(places[start + part.ids.values], part.ids.offsets)
        for start, part in zip(starts.tolist(), parts, strict=False)
    ]
    return Encoded(ids=ragged.concat(rows), tokens=coded.dictionary)


def lower(content: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Each text in lower case by Unicode's full mapping, a final sigma included.

    Equal to Python's `str.lower` but for letters newer than Python's tables (Unicode 14 in 3.11).
    """
    return pl.Series(pl.from_arrow(content)).str.to_lowercase().to_arrow()
