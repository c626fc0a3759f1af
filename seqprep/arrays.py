"""Columns of Arrow tables as arrays. Needs only numpy and pyarrow.

Use it for every column that is read whole: Arrow's `combine_chunks` copies a single chunk, too, and
a long record is one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def as_strings(letters: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> pa.StringArray:
    """Strings of UTF-8 that lie one behind the other, not copied; `offsets` `(R + 1,)`.

    >>> as_strings(np.frombuffer(b"abc", np.uint8), np.array([0, 1, 3])).to_pylist()
    ['a', 'bc']
    """
    edges = pa.py_buffer(offsets.astype(np.int32))
    return pa.StringArray.from_buffers(len(offsets) - 1, edges, pa.py_buffer(letters))


def as_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The values of a column as one array, copied only where they lie in several chunks.

    >>> as_array(pa.chunked_array([[1], [2]])).to_pylist()
    [1, 2]
    """
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
