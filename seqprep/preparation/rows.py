"""Finished rows as a table of examples, with the columns that route them to their shard.

Legend: R rows of a chunk.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.arrays import as_array
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.lists import list_array
from seqprep.preparation.slots import places
from seqprep.ragged import Ints, Ragged
from seqprep.schema import OOV


def slot_schema(schema: pa.Schema) -> pa.Schema:
    """The stored columns, and those that route a row."""
    return pa.schema(
        [
            *schema,
            pa.field("place", pa.uint64()),
            pa.field("split", pa.int8()),
            pa.field("unit", pa.int32()),
        ]
    )


def target_table(known: int) -> npt.NDArray[np.int32]:
    """The id of each rank of a target token; the ranks after the known ones are OOV.

    >>> target_table(2).tolist()
    [4, 5, 1]
    """
    return np.append(np.arange(4, 4 + known), OOV).astype(np.int32)


def example_table(
    chunk: Chunk,
    records: pa.Table,
    schema: pa.Schema,
    *,
    labels: npt.NDArray[np.generic] | pa.Array | None,
    target: Ragged | None,
    seed: int,
) -> pa.Table:
    """Rows of examples with the columns that route them.

    Args:
        chunk: R finished rows.
        records: the `id` and `length` of the records that `chunk.rows` counts.
        schema: of the stored columns.
        labels: of those records.
        target: `(R)` rows of target ids.
        seed: of the order in shards.
    """
    rows = pa.array(chunk.rows)
    columns = {
        "id": records["id"].take(rows),
        "key": chunk.keys.view(np.int64),
        "view": chunk.views,
        "window": chunk.windows,
        "length": chunk.lengths,
        "record_length": records["length"].take(rows),
        "place": places(chunk.keys, seed=seed),
        "split": chunk.splits,
        "unit": units(chunk),
        "tokens" if "tokens" in schema.names else "values": list_array(chunk.steps),
    }
    if "label" in schema.names:
        assert labels is not None
        columns["label"] = pa.array(labels).take(rows)
    if "targets" in schema.names:
        nothing = pa.nulls(len(chunk), schema.field("targets").type)
        columns["targets"] = nothing if chunk.targets is None else list_array(chunk.targets)
    if "target_tokens" in schema.names:
        nothing = pa.nulls(len(chunk), schema.field("target_tokens").type)
        columns["target_tokens"] = nothing if target is None else list_array(target)
    full = slot_schema(schema)
    return pa.table([_cast(columns[field.name], field.type) for field in full], schema=full)


def _cast(column: npt.NDArray[np.generic] | pa.Array, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = as_array(column)
    column = column if isinstance(column, pa.Array) else pa.array(column)
    return column.cast(kind)


def units(chunk: Chunk) -> Ints:
    """The length that decides a row's bucket: the longest window of its record's view, `(R,)`."""
    lengths = chunk.lengths
    if not chunk.windows.any():
        return lengths
    order = np.lexsort((chunk.windows, chunk.views, chunk.splits, chunk.rows))
    starts = np.flatnonzero(chunk.windows[order] == 0)
    longest = np.maximum.reduceat(lengths[order], starts)
    result = np.empty_like(lengths)
    result[order] = np.repeat(longest, np.diff(np.append(starts, len(order))))
    return result
