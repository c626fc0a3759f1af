"""Headers of FASTA records as text: whole columns at a time, whatever their encoding.

Legend: R headers.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa

from seqprep.arrays import as_strings
from seqprep.bases import Letters
from seqprep.hashing import Ints
from seqprep.kernels import copy_spans, to_offsets

_WHITE = np.zeros(256, np.bool_)
_WHITE[[*range(9, 14), *range(28, 33)]] = True
"""White space of ASCII, as `str.split` has it."""


def split_headers(letters: Letters, offsets: Ints) -> tuple[pa.StringArray, pa.StringArray]:
    """Headers without white space at their ends, and the first word of each.

    Bytes that are no UTF-8 are read as Windows-1252.

    Args:
        letters: of all headers.
        offsets: `(R + 1,)` where each starts.

    >>> raw = np.frombuffer(b"chr1 of mouse chr2", np.uint8)
    >>> [column.to_pylist() for column in split_headers(raw, np.array([0, 13, 14, 18]))]
    [['chr1 of mouse', '', 'chr2'], ['chr1', '', 'chr2']]
    """
    if not _is_plain(letters, offsets):
        return _split_each(letters.tobytes(), offsets)
    white = np.append(np.flatnonzero(_WHITE[letters]), len(letters))
    ends = np.minimum(white[np.searchsorted(white, offsets[:-1])], offsets[1:])
    sizes = ends - offsets[:-1]
    names = copy_spans(letters, offsets[:-1], sizes)
    return as_strings(letters, offsets), as_strings(names, to_offsets(sizes))


def _is_plain(letters: Letters, offsets: Ints) -> bool:
    """Whether all is ASCII, and no header begins or ends with white space."""
    if len(letters) and int(letters.max()) > 127:
        return False
    held = np.flatnonzero(np.diff(offsets))
    ends = letters[np.append(offsets[held], offsets[held + 1] - 1)]
    return not _WHITE[ends].any()


def _split_each(raw: bytes, offsets: Ints) -> tuple[pa.StringArray, pa.StringArray]:
    headers = [_decoded(raw[start:stop]) for start, stop in pairwise(offsets.tolist())]
    names = [(header.split(None, 1) or [""])[0] for header in headers]
    return pa.array(headers, pa.string()), pa.array(names, pa.string())


def _decoded(header: bytes) -> str:
    try:
        return header.decode().strip()
    except UnicodeDecodeError:
        return header.decode("cp1252", "replace").strip()
