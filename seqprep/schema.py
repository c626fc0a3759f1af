"""Column names and Arrow schemas of the two tables, and the reserved token ids.

`sequences` holds one row a cleaned record in its domain's natural form; `examples` holds one row a
training example. Both are Delta tables, and Delta has no unsigned integers, so ids are signed.
Needs only pyarrow: a bare GPU node reads examples with this file.

Legend: a record is one labelled sequence of the source; an example is what training reads of it
(a view or a window of a record, or the whole).
"""

from __future__ import annotations

from typing import Literal

import pyarrow as pa

PAD = 0
"""Fills a batch after a row's end. Never stored: masks come from lengths, not from values."""
OOV = 1
"""A token that the vocabulary does not hold."""
BOS = 2
"""First symbol of a target sequence (target and next-symbol vocabularies only)."""
EOS = 3
"""Last symbol of a target sequence (target and next-symbol vocabularies only)."""
NUM_RESERVED = 2
"""Ids below this one are not tokens in an input vocabulary: PAD and OOV."""
NUM_RESERVED_TARGET = 4
"""Ids below this one are not tokens in a target vocabulary: PAD, OOV, BOS, EOS."""

Task = Literal[
    "classify", "label_steps", "regress_steps", "regress", "translate", "next", "reconstruct"
]
STEP_TASKS: tuple[Task, ...] = ("label_steps", "regress_steps")
"""Tasks with an answer for each step, as labels or values in `targets`."""
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

CONTENT_COLUMN = {
    "dna": "bases",
    "text": "text",
    "eeg": "values",
    "prices": "values",
}
"""The column of `sequences` that holds the record's own content, by domain."""
_LENGTH_UNIT = {"bases": "bases", "text": "characters", "values": "steps"}

IGNORED_LABEL = -1
"""A step without a label in `targets` of labelled steps: no loss, no score."""


def length_unit(domain: str) -> str:
    """What `length` counts in `sequences`.

    >>> length_unit("text")
    'characters'
    """
    return _LENGTH_UNIT[CONTENT_COLUMN[domain]]


def sequences_schema(domain: str, task: Task) -> pa.Schema:
    """The Arrow schema of a `sequences` table.

    Args:
        domain: a key of CONTENT_COLUMN.
        task: what is learnt from a record; decides the type of `label` and the target columns.

    Returns:
        Fields in storage order. `length` counts bases, characters or steps; `record` is the number
        in the file, from 0; `header` is the whole FASTA header, `attributes` a JSON object of the
        table columns that `source.keep` names; `content_hash` is a SHA-256 digest of the content
        (DNA: of the smaller of the two strands), 32 bytes.
    """
    label = pa.float64() if task == "regress" else pa.string()
    fields = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("group", pa.string(), nullable=False),
        pa.field("label", label),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("record", pa.int32(), nullable=False),
        pa.field("header", pa.string()),
        pa.field("attributes", pa.string()),
        pa.field("content_hash", pa.binary(), nullable=False),
    ]
    content = CONTENT_COLUMN[domain]
    kind = pa.list_(pa.float32()) if content == "values" else pa.string()
    fields.append(pa.field(content, kind, nullable=False))
    if task == "label_steps":
        fields.append(pa.field("targets", pa.list_(pa.int32())))
    elif task == "regress_steps":
        fields.append(pa.field("targets", pa.list_(pa.float32())))
    elif task == "translate":
        fields.append(pa.field("target_text", pa.string()))
    return pa.schema(fields)


def num_reserved(task: Task) -> int:
    """Input ids below this one are not tokens; where the next symbol is learnt they are targets.

    >>> num_reserved("classify"), num_reserved("next")
    (2, 4)
    """
    return NUM_RESERVED_TARGET if task == "next" else NUM_RESERVED


def token_type(vocab_size: int) -> pa.DataType:
    """The smallest signed integer type that holds every id below `vocab_size`.

    >>> token_type(7), token_type(128), token_type(129), token_type(40_000)
    (DataType(int8), DataType(int8), DataType(int16), DataType(int32))
    """
    if vocab_size <= 2**7:
        return pa.int8()
    return pa.int16() if vocab_size <= 2**15 else pa.int32()


def examples_schema(task: Task, *, vocab_size: int | None) -> pa.Schema:
    """The Arrow schema of the files of an `examples` table.

    Args:
        task: decides the label and target columns.
        vocab_size: ids of the input vocabulary, PAD and OOV included; None where inputs are values.

    Returns:
        Fields in storage order. `key` is the 64-bit hash of `id` that seeds views and shuffles;
        `length` is in steps, `record_length` that of the whole record in its natural form.
        `split` and `bucket` are partition columns and stand in the path, not in the file.
    """
    fields = [
        pa.field("id", pa.string(), nullable=False),
        pa.field("key", pa.int64(), nullable=False),
        pa.field("view", pa.int32(), nullable=False),
        pa.field("window", pa.int32(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("record_length", pa.int32(), nullable=False),
    ]
    if vocab_size is None:
        fields.append(pa.field("values", pa.list_(pa.float32()), nullable=False))
    else:
        fields.append(pa.field("tokens", pa.list_(token_type(vocab_size)), nullable=False))
    if task == "classify":
        fields.append(pa.field("label", pa.int32()))
    elif task == "regress":
        fields.append(pa.field("label", pa.float64()))
    elif task == "label_steps":
        fields.append(pa.field("targets", pa.list_(pa.int32())))
    elif task == "regress_steps":
        fields.append(pa.field("targets", pa.list_(pa.float32())))
    elif task == "translate":
        fields.append(pa.field("target_tokens", pa.list_(pa.int32())))
    return pa.schema(fields)
