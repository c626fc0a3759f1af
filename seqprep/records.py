"""What a reader of a domain gives: batches of cleaned records, rejections, counted oddities.

`RecordBuilder` collects rows in the schema of `sequences` and cuts batches by the size of their
content, so that memory is bounded by a batch (or by one record, where that is larger).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from seqprep.errors import Rejection
from seqprep.expand import Notice
from seqprep.fields import FieldError, FieldReader, field_reader
from seqprep.files import SourceFile
from seqprep.recipe import Source
from seqprep.schema import CONTENT_COLUMN, sequences_schema

BATCH_BYTES = 16 * 2**20
"""Content of one batch, unless a single record is larger."""
BATCH_ROWS = 2**17

ODDITIES = {
    "ambiguous_bases": "records with bases that are not A, C, G or T",
    "comment_lines": "`;` lines in FASTA files, left out",
    "constant_channel": "records with a channel that never changes",
    "control_characters": "records with control characters other than tab and line ends",
    "extreme_values": "records with values over 30 robust deviations from the median",
    "fallback_encoding": "records that are not UTF-8 and were read as cp1252",
    "gaps": "records with gap characters, left out",
    "interpolated_values": "records with missing values that were interpolated",
    "railed_values": "records with values that stay at the record's limit",
    "repeated_name": "records whose name occurred before in their file",
    "several_gzip_members": "gzip files of several members: one cut between two looks whole",
    "timestamp_gaps": "records with steps further apart than 1.5 sampling intervals",
    "timestamp_order": "records whose timestamps run backwards",
}
"""What is counted, and in what unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFacts:
    """What all records of a dataset share; found in the first file and kept from then on.

    Args:
        channels: names of the value channels, in order; () for text and DNA.
        rate_hz: sampling rate, where known.
        target_names: channels of per-step targets.
        target_classes: names of the codes in labelled steps, in code order.
    """

    channels: tuple[str, ...] = ()
    rate_hz: float | None = None
    target_names: tuple[str, ...] = ()
    target_classes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a reader needs beside the files.

    Args:
        source: what the person wrote.
        facts: what all records must share.
        label: finds labels; group: finds groups; None where there is none to find.
        predicting: labels and targets may be missing.
    """

    source: Source
    facts: SourceFacts = SourceFacts()
    label: FieldReader | None = None
    group: FieldReader | None = None
    predicting: bool = False

    @classmethod
    def of(
        cls,
        source: Source,
        base: Path,
        *,
        facts: SourceFacts | None = None,
        predicting: bool = False,
    ) -> Context:
        """Load what the fields need."""
        wanted = None if predicting else source.label
        return cls(
            source=source,
            facts=facts or SourceFacts(),
            label=field_reader(wanted, source, base, key="label"),
            group=None if predicting else field_reader(source.group, source, base, key="group"),
            predicting=predicting,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Some of the records that a reader saw, in order.

    Args:
        rows: in the schema of `sequences`.
        rejections: what was left out since the batch before.
        oddities: (source file, oddity) -> count.
    """

    rows: pa.RecordBatch
    rejections: tuple[Rejection, ...] = ()
    oddities: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Probe(Protocol):
    """Finds what all records share, before any is stored."""

    def __call__(
        self, files: Sequence[SourceFile], context: Context, known: SourceFacts | None
    ) -> SourceFacts:
        """Facts of `files`, or those already known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """One domain.

    Args:
        version: part of every fingerprint; count it up when the same bytes give other rows.
        list_files: the source files, sorted by path.
        probe: see Probe.
        read: the records of some files, in order, in bounded batches.
    """

    version: int
    list_files: Callable[[Source, Path], list[SourceFile]]
    probe: Probe
    read: Callable[[Sequence[SourceFile], Context], Iterator[Batch]]


def no_facts(
    files: Sequence[SourceFile], context: Context, known: SourceFacts | None
) -> SourceFacts:
    """The probe of a domain whose records share nothing that must be known."""
    return known or SourceFacts()


class RecordBuilder:
    """Collects rows, rejections and oddities, and gives them as batches.

    Args:
        context: domain, task and fields.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        source = context.source
        self._schema = sequences_schema(source.domain, source.task)
        self._content = CONTENT_COLUMN[source.domain]
        self._columns: dict[str, list[object]] = {name: [] for name in self._schema.names}
        self._parts: list[pa.RecordBatch] = []
        self._part_rows = 0
        self._rejections: list[Rejection] = []
        self._oddities: Counter[tuple[str, str]] = Counter()
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether a batch should be taken now."""
        return (
            self._bytes >= BATCH_BYTES
            or len(self._columns["id"]) + self._part_rows >= BATCH_ROWS
            or len(self._rejections) >= BATCH_ROWS
        )

    def reject(
        self, file: SourceFile, reason: str, detail: str, *, record: int | None, line: int | None
    ) -> None:
        """Count a record that cannot be used."""
        self._rejections.append(
            Rejection(source=file.path, record=record, line=line, reason=reason, detail=detail)
        )

    def count(self, file: SourceFile, oddity: str, number: int = 1) -> None:
        """Count an oddity."""
        assert oddity in ODDITIES, oddity
        if number:
            self._oddities[file.path, oddity] += number

    def notice(self, file: SourceFile) -> Notice:
        """A function that counts an oddity of this file, once for each call."""
        return lambda oddity: self.count(file, oddity)

    def add(
        self,
        file: SourceFile,
        *,
        record: int,
        content: object,
        size_bytes: int,
        length: int,
        content_hash: bytes,
        name: str | None = None,
        header: str | None = None,
        line: int | None = None,
        cells: Mapping[str, str] | None = None,
        attributes: Mapping[str, str] | None = None,
        target: object = None,
    ) -> bool:
        """Add one cleaned record; it is rejected if its label or group cannot be found.

        Args:
            file: its source file.
            record: its number there, from 0.
            content: bytes of text or bases, or an array of values.
            size_bytes: of the content.
            length: in bases, characters or steps.
            content_hash: SHA-256.
            name: first word of a FASTA header.
            header: all of it.
            line: where the record starts, if known.
            cells: `label` and `group` from columns.
            attributes: columns to keep.
            target: steps or text.

        Returns:
            Whether it was accepted.
        """
        id_ = f"{file.path}#{record}"
        try:
            found = self._fields(file, id_=id_, name=name, header=header, cells=cells or {})
        except _FieldRejectionError as error:
            self.reject(file, error.reason, error.detail, record=record, line=line)
            return False
        row: dict[str, object] = {
            "id": id_,
            "name": name,
            "group": found[1],
            "label": found[0],
            "length": length,
            "source": file.path,
            "record": record,
            "header": header,
            "attributes": json.dumps(attributes, sort_keys=True) if attributes else None,
            "content_hash": content_hash,
            self._content: content,
            "targets": target,
            "target_text": target,
        }
        for key, column in self._columns.items():
            column.append(row[key])
        self._bytes += size_bytes
        return True

    def _fields(
        self,
        file: SourceFile,
        *,
        id_: str,
        name: str | None,
        header: str | None,
        cells: Mapping[str, str],
    ) -> tuple[str | float | None, str]:
        place = {"header": header or "", "name": name or "", "id_": id_}
        context = self._context
        label: str | float | None = None
        group = id_
        if context.label is not None:
            try:
                label = context.label.find(file, cell=cells.get("label", ""), **place)
            except FieldError as error:
                raise _FieldRejectionError("no_label", str(error)) from error
            if context.source.task == "regress":
                label = parse_label(label)
        if context.group is not None:
            try:
                group = context.group.find(file, cell=cells.get("group", ""), **place)
            except FieldError as error:
                raise _FieldRejectionError("no_group", str(error)) from error
        return label, group

    def extend(self, rows: pa.RecordBatch) -> None:
        """Add many accepted records at once, in the schema of `sequences`."""
        self._close_part()
        self._parts.append(rows)
        self._part_rows += rows.num_rows
        self._bytes += rows.nbytes

    def _close_part(self) -> None:
        if self._columns["id"]:
            arrays = [
                self._array(name, self._schema.field(name).type) for name in self._schema.names
            ]
            self._parts.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
            self._part_rows += len(self._columns["id"])
            self._columns = {name: [] for name in self._schema.names}

    def take(self) -> Batch:
        """All that was collected, as one batch; the builder starts anew."""
        self._close_part()
        batch = Batch(
            rows=pa.concat_batches(self._parts) if self._parts else _no_rows(self._schema),
            rejections=tuple(self._rejections),
            oddities=dict(self._oddities),
        )
        self._parts, self._part_rows = [], 0
        self._rejections, self._oddities, self._bytes = [], Counter(), 0
        return batch

    def _array(self, name: str, kind: pa.DataType) -> pa.Array:
        column = self._columns[name]
        if pa.types.is_list(kind):
            return list_array(column, kind)
        if name == self._content:
            return pa.array(column, pa.binary()).view(pa.string())
        return pa.array(column, kind)


def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], kind) for kind in schema.types], schema=schema)


def list_array(rows: Sequence[object], kind: pa.DataType) -> pa.Array:
    """A list column from one array a row, `(n,)` each, or None."""
    arrays = [np.zeros(0) if row is None else np.asarray(row) for row in rows]
    dtype = kind.value_type.to_pandas_dtype()
    flat = np.concatenate(arrays) if arrays else np.zeros(0)
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in arrays])]).astype(np.int32)
    missing = np.array([row is None for row in rows], dtype=bool)
    return pa.ListArray.from_arrays(
        pa.array(offsets),
        pa.array(flat.astype(dtype, copy=False)),
        mask=pa.array(missing) if missing.any() else None,
    )


class _FieldRejectionError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def parse_label(text: str) -> float:
    """The number that is a record's label for `task: regress`."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value - value != 0:
        raise _FieldRejectionError("bad_target", f"label {text[:80]!r} is not a finite number")
    return value
