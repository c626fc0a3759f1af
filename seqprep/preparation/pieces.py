"""Chunks in pieces, so that memory stays bounded where a step becomes many numbers.

A chunk of 16 MB whose steps become 128 differences, or vectors with a place for each token, would
take gigabytes. Pieces are cut by the data alone, and never through a record.

Legend: R rows of a chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from seqprep.preparation.chain import Chain
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Transform
from seqprep.transforms.one_hot import MAX_CHANNELS

PIECE_BYTES = 16 * 2**20
"""About what the rows of a piece take where they are widest; a longer record is one alone."""
_NUMBER_BYTES = 4


def step_bytes(forms: Sequence[Form], *, vocabulary: int) -> int:
    """Bytes that a step of the first form takes where it is widest.

    Args:
        forms: of the rows before each step, and after the last one.
        vocabulary: channels where they are not known yet: one for each token.

    >>> word, hot = Form(unit="word"), Form(unit="value")
    >>> step_bytes([word, hot], vocabulary=100), step_bytes([word, word], vocabulary=100)
    (400, 4)
    """
    first = forms[0]
    widths = [first.width or 1]
    for form in forms[1:]:
        wide = len(form.channels) or vocabulary if form.unit == "value" else 1
        faster = form.rate_hz / first.rate_hz if form.rate_hz and first.rate_hz else 1
        widths.append(int(np.ceil(wide * faster)))
    return max(widths) * _NUMBER_BYTES


def pieces(chunk: Chunk, forms: Sequence[Form], *, vocabulary: int) -> Iterator[Chunk]:
    """The rows of a chunk, in order; all at once unless they grow.

    Args:
        chunk: R rows of the first form.
        forms: as for `step_bytes`.
        vocabulary: as for `step_bytes`.
    """
    narrow, wide = (step_bytes(some, vocabulary=vocabulary) for some in (forms[:1], forms))
    sizes = chunk.lengths * wide
    if wide == narrow or sizes.sum() <= PIECE_BYTES:
        yield chunk
        return
    records = np.flatnonzero(np.diff(chunk.rows, prepend=-1))
    number = (np.cumsum(sizes) - sizes)[records] // PIECE_BYTES
    starts = records[np.flatnonzero(np.diff(number, prepend=-1))]
    for start, end in pairwise([*starts.tolist(), len(chunk)]):
        yield chunk.take(np.arange(start, end))


def early_pieces(
    chain: Chain,
    chunk: Chunk,
    strings: pa.Array | None,
    steps: Sequence[tuple[int, Transform]],
) -> Iterator[Chunk]:
    """The rows after the early steps that are left, in pieces where they or late ones widen rows.

    Args:
        chain: all steps.
        chunk: R rows.
        strings: `(V,)` the text of their ids; None for values.
        steps: the early ones that are left.
    """
    forms = chain.forms[len(chain.early) - len(steps) :]
    for piece in pieces(chunk, forms, vocabulary=_vocabulary(strings)):
        yield chain.run(piece, steps, strings=strings)


def late_bytes(chain: Chain, chunk: Chunk, strings: pa.Array | None) -> int:
    """Bytes that rows after the early steps take where late steps widen them; 0 if none does.

    Args:
        chain: all steps.
        chunk: R rows.
        strings: as for `early_pieces`.
    """
    forms, vocabulary = chain.forms[len(chain.early) :], _vocabulary(strings)
    narrow, wide = (step_bytes(some, vocabulary=vocabulary) for some in (forms[:1], forms))
    return int(chunk.lengths.sum()) * wide if wide > narrow else 0


def _vocabulary(strings: pa.Array | None) -> int:
    """About how many tokens the vocabulary will have, as far as they can become channels."""
    if strings is None or len(strings) >= MAX_CHANNELS:
        return 1 if strings is None else MAX_CHANNELS
    return len(strings.unique()) + 1
