"""`seqprep predict --stream`: rows of a file of predictions that are made while records are read.

A row tells what the model answers after so many prepared steps of a record (CONTRACT 25): for
records, what it would predict had they ended there; for tasks of steps, the answers for the steps
since the row before. The recipe is applied to whole records first, so a step that looks ahead, e.g.
`truncate: {keep: tail}`, does.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import torch

from models.bundle import Bundle
from models.predict import ANSWER_TYPES
from models.stream import stream_examples
from seqprep.schema import Task


def stream_schema(task: Task) -> pa.Schema:
    """Columns of a file of streamed predictions: several rows a record, in the order of its steps.

    `step` counts the prepared steps that were read; null in a row with an `error`.

    Args:
        task: decides the type of `prediction`.
    """
    return pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("source", pa.string()),
            pa.field("step", pa.int64()),
            pa.field("prediction", ANSWER_TYPES[task]),
            pa.field("probabilities", pa.list_(pa.float32())),
            pa.field("error", pa.string()),
        ]
    )


def stream_rows(
    model: Bundle,
    records: pa.Table,
    examples: pa.Table,
    schema: pa.Schema,
    *,
    every: int,
    device: torch.device,
) -> Iterator[pa.Table]:
    """Rows to write for some records.

    Args:
        model: of one direction.
        records: with `id` and `source`.
        examples: the same, prepared.
        schema: of `stream_schema`.
        every: steps between two rows of a record.
        device: to run on.
    """
    source_of = dict(zip(records["id"].to_pylist(), records["source"].to_pylist(), strict=True))
    for found in stream_examples(model, examples, every=every, device=device):
        sources = [source_of[id_] for id_ in found["id"].to_pylist()]
        columns = {
            **{name: found[name] for name in ("id", "step", "prediction", "probabilities")},
            "source": pa.array(sources, pa.string()),
            "error": pa.nulls(len(found)),
        }
        yield pa.table([columns[name] for name in schema.names], names=schema.names).cast(schema)
