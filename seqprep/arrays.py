"""Columns of Arrow tables as arrays. Needs only pyarrow.

Use it for every column that is read whole: Arrow's `combine_chunks` copies a single chunk, too, and
a long record is one.
"""

from __future__ import annotations

import pyarrow as pa


def as_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The values of a column as one array, copied only where they lie in several chunks.

    >>> as_array(pa.chunked_array([[1], [2]])).to_pylist()
    [1, 2]
    """
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
