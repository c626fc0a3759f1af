"""Many cleaned records of one file at once, as rows of `sequences`.

Use it where a reader has whole columns; `RecordBuilder.add` takes records one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.errors import Rejection
from seqprep.ingestion.field_columns import find_column, label_numbers
from seqprep.ingestion.fields import FieldError, FieldReader
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.record_builder import FieldRejectionError, parse_label
from seqprep.ingestion.records import Context
from seqprep.schema import CONTENT_COLUMN, sequences_schema


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordBlock:
    """R cleaned records of one file.

    Args:
        records: `(R,)` their numbers in the file.
        content: `(R,)` in the type of the schema. lengths: `(R,)` in bases, characters or steps.
        content_hashes: SHA-256 of each.
        names, headers: of each; headers as a whole.
        target_text: of each, for `task: translate`.
    """

    records: npt.NDArray[np.int32]
    content: pa.Array
    lengths: npt.NDArray[np.integer]
    content_hashes: Sequence[bytes]
    names: pa.StringArray
    headers: pa.StringArray
    target_text: Sequence[str | None] | None = None


def block_rows(
    block: RecordBlock, file: SourceFile, context: Context
) -> tuple[pa.RecordBatch, list[Rejection]]:
    """The rows whose label and group can be found, and why not for the others."""
    schema = sequences_schema(context.source.domain, context.source.task)
    count = len(block.records)
    ids = pc.binary_join_element_wise(
        f"{file.path}#", pa.array(block.records).cast(pa.string()), ""
    )
    labels, no_label = _found(context.label, "no_label", block, file, ids)
    if context.source.task == "regress":
        labels = _numbers(labels, no_label)
    groups, no_group = _found(context.group, "no_group", block, file, ids)
    columns: dict[str, pa.Array | Sequence[object]] = {
        "id": ids,
        "name": block.names,
        "group": ids if context.group is None else groups,
        "label": labels,
        "length": block.lengths,
        "source": pa.repeat(file.path, count),
        "record": block.records,
        "header": block.headers,
        "content_hash": block.content_hashes,
        CONTENT_COLUMN[context.source.domain]: block.content,
    }
    if block.target_text is not None:
        columns["target_text"] = block.target_text
    # A label is looked for first, so its absence is the reason that is told.
    faults = {**no_group, **no_label}
    kept = np.ones(count, dtype=bool)
    kept[list(faults)] = False
    arrays = [
        _column(columns.get(field.name), field.type, kept, whole=not faults) for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema), [
        Rejection(
            source=file.path,
            record=int(block.records[place]),
            line=None,
            reason=faults[place][0],
            detail=faults[place][1],
        )
        for place in sorted(faults)
    ]


_Faults = dict[int, tuple[str, str]]


def _found(
    reader: FieldReader | None, reason: str, block: RecordBlock, file: SourceFile, ids: pa.Array
) -> tuple[pa.Array, _Faults]:
    """The value of each record; by place, why there is none."""
    count = len(block.records)
    faults: _Faults = {}
    if reader is None:
        return pa.nulls(count, pa.string()), faults
    names, headers = block.names, block.headers
    values = find_column(reader, file, ids=ids, names=names, headers=headers)
    for place in _nulls(values):
        header, name, id_ = (texts[place].as_py() for texts in (headers, names, ids))
        try:
            reader.find(file, header=header, name=name, id_=id_)
        except FieldError as error:
            faults[place] = reason, str(error)
    assert len(faults) == values.null_count, "a column has fewer values than its records"
    return values, faults


def _numbers(labels: pa.Array, faults: _Faults) -> pa.Array:
    numbers = label_numbers(labels)
    for place in _nulls(numbers):
        if place not in faults and labels[place].is_valid:
            try:
                parse_label(labels[place].as_py())
            except FieldRejectionError as error:
                faults[place] = error.reason, str(error)
    return numbers


def _nulls(values: pa.Array) -> list[int]:
    if not values.null_count:
        return []
    missing: list[int] = pc.indices_nonzero(values.is_null()).to_pylist()
    return missing


def _column(
    values: pa.Array | Sequence[object] | None,
    kind: pa.DataType,
    kept: npt.NDArray[np.bool_],
    *,
    whole: bool,
) -> pa.Array:
    if values is None:
        return pa.nulls(int(kept.sum()), kind)
    column = values if isinstance(values, pa.Array) else pa.array(values)
    column = column.cast(kind)
    return column if whole else column.filter(pa.array(kept))
