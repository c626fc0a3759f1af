"""Rows whose every next symbol is to be foretold: what is read, and what follows it.

Made when batches are, after views were drawn: stored rows stay as they are, and a view never parts
a step from the symbol after it. Needs only numpy.

Legend: R rows.
"""

from __future__ import annotations

import numpy as np

from seqprep.ragged import Ragged
from seqprep.schema import BOS, EOS


def foretold(rows: Ragged) -> tuple[Ragged, Ragged]:
    """BOS and each row, and beside each of these steps the symbol that follows, EOS last.

    Args:
        rows: R rows of token ids; both results have one step more.

    >>> from seqprep.ragged import from_lists, to_lists
    >>> read, follows = foretold(from_lists([[7, 8], [9]]))
    >>> to_lists(read), to_lists(follows)
    ([[2, 7, 8], [2, 9]], [[7, 8, 3], [9, 3]])
    """
    offsets = rows.offsets + np.arange(len(rows.offsets))
    first = np.zeros(int(offsets[-1]), dtype=bool)
    first[offsets[:-1]] = True
    last = np.zeros_like(first)
    last[offsets[1:] - 1] = True
    read, follows = (np.empty(len(first), rows.values.dtype) for _ in range(2))
    read[first], follows[last] = BOS, EOS
    read[~first] = follows[~last] = rows.values
    return Ragged(read, offsets), Ragged(follows, offsets)
