"""Collects cleaned records, and gives them as batches in the schema of `sequences`.

Batches are cut by the size of their content, so that memory is bounded by a batch (or by one
record, where that is larger). Labels and groups are found here, in one way for all domains.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.errors import Rejection
from seqprep.ingestion.expand import Notice
from seqprep.ingestion.fields import FieldError
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import ODDITIES, Batch, Context
from seqprep.schema import CONTENT_COLUMN, sequences_schema

BATCH_BYTES = 16 * 2**20
"""Content of one batch, unless a single record is larger."""
BATCH_ROWS = 2**17
CHUNK_VALUES = 2**16
"""Shorter arrays of values are copied together."""
LISTED = 1000
"""Rejections of one file and reason whose details are stored; all are counted."""


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
        self._parts: list[pa.Table] = []
        self._part_rows = 0
        self._rejections: list[Rejection] = []
        self._listed: Counter[tuple[str, str]] = Counter()
        self._unlisted: Counter[tuple[str, str]] = Counter()
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
        """Count a record that cannot be used; LISTED of a file and reason keep their details."""
        if self.lists(file, reason):
            self._rejections.append(
                Rejection(source=file.path, record=record, line=line, reason=reason, detail=detail)
            )

    def lists(self, file: SourceFile, reason: str) -> bool:
        """Whether a rejection will keep its details; it is counted if not.

        All keep them in a prediction, where each becomes a row.
        """
        key = file.path, reason
        self._listed[key] += 1
        if self._context.predicting or self._listed[key] <= LISTED:
            return True
        self._unlisted[key] += 1
        return False

    def list_rejection(self, rejection: Rejection) -> None:
        """Add one for which `lists` was true, now that all of it is known."""
        self._rejections.append(rejection)

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
        later: list[Rejection] | None = None,
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
            later: takes the rejection, where the caller has yet to find its line.

        Returns:
            Whether it was accepted.
        """
        id_ = f"{file.path}#{record}"
        try:
            found = self._fields(file, id_=id_, name=name, header=header, cells=cells or {})
        except FieldRejectionError as error:
            if later is None:
                self.reject(file, error.reason, error.detail, record=record, line=line)
            else:
                later.append(
                    Rejection(
                        source=file.path,
                        record=record,
                        line=line,
                        reason=error.reason,
                        detail=error.detail,
                    )
                )
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

    def add_letters(self, file: SourceFile, *, record: int, content: bytes, header: str) -> bool:
        """Add one record of letters, a byte each, named by the first word of its header.

        Args:
            file: its source file.
            record: its number there, from 0.
            content: the letters.
            header: all of it.

        Returns:
            Whether it was accepted.
        """
        return self.add(
            file,
            record=record,
            content=content,
            size_bytes=len(content),
            length=len(content),
            content_hash=hashlib.sha256(content).digest(),
            name=header.partition(" ")[0],
            header=header,
        )

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
                raise FieldRejectionError("no_label", str(error)) from error
            if context.source.task == "regress":
                label = parse_label(label)
        if context.group is not None:
            try:
                group = context.group.find(file, cell=cells.get("group", ""), **place)
            except FieldError as error:
                raise FieldRejectionError("no_group", str(error)) from error
        return label, group

    def extend(self, rows: pa.RecordBatch) -> None:
        """Add many accepted records at once, in the schema of `sequences`."""
        self._close_part()
        self._parts.append(pa.Table.from_batches([rows]))
        self._part_rows += rows.num_rows
        self._bytes += rows.nbytes

    def _close_part(self) -> None:
        if self._columns["id"]:
            arrays = [
                self._array(name, self._schema.field(name).type) for name in self._schema.names
            ]
            self._parts.append(pa.Table.from_arrays(arrays, schema=self._schema))
            self._part_rows += len(self._columns["id"])
            self._columns = {name: [] for name in self._schema.names}

    def take(self) -> Batch:
        """All that was collected, as one batch; the builder starts anew."""
        self._close_part()
        batch = Batch(
            rows=self._rows(),
            rejections=tuple(self._rejections),
            unlisted=dict(self._unlisted),
            oddities=dict(self._oddities),
        )
        self._parts, self._part_rows = [], 0
        self._rejections, self._oddities, self._bytes = [], Counter(), 0
        self._unlisted = Counter()
        return batch

    def _rows(self) -> pa.Table:
        return pa.concat_tables(self._parts) if self._parts else self._schema.empty_table()

    def _array(self, name: str, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
        column = self._columns[name]
        if pa.types.is_list(kind):
            return list_chunks(column, kind)
        if name in (self._content, "content_hash"):
            return _joined(column).view(kind)  # type: ignore[arg-type]
        return pa.array(column, kind)


def _joined(rows: Sequence[bytes]) -> pa.BinaryArray:
    """A column of bytes in one copy; several times faster than `pa.array`."""
    offsets = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)), out=offsets[1:])
    if offsets[-1] >= 2**31:
        raise OverflowError(f"a batch of {offsets[-1]} bytes does not fit an Arrow column")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(rows))]
    return pa.BinaryArray.from_buffers(pa.binary(), len(rows), buffers)


def list_chunks(rows: Sequence[object], kind: pa.DataType) -> pa.ChunkedArray:
    """A list column from one array a row, `(n,)` each, or None; long arrays are not copied.

    >>> list_chunks([np.zeros(CHUNK_VALUES), [1], None], pa.list_(pa.float32())).num_chunks
    2
    """
    dtype = np.float32 if pa.types.is_floating(kind.value_type) else np.int32
    groups: list[list[npt.NDArray[np.generic] | None]] = [[]]
    count = 0
    for row in rows:
        array = None if row is None else np.asarray(row, dtype)
        size = 0 if array is None else len(array)
        if count + size > CHUNK_VALUES and groups[-1]:
            groups.append([])
            count = 0
        groups[-1].append(array)
        count += size
    return pa.chunked_array([_list_array(group, dtype) for group in groups], kind)


def _list_array(rows: Sequence[npt.NDArray[np.generic] | None], dtype: npt.DTypeLike) -> pa.Array:
    arrays = [row for row in rows if row is not None]
    flat = np.concatenate(arrays) if len(arrays) > 1 else (arrays or [np.zeros(0, dtype)])[0]
    missing = np.array([row is None for row in rows], dtype=bool)
    sizes = [0 if row is None else len(row) for row in rows]
    return pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)),
        pa.array(flat),
        mask=pa.array(missing) if missing.any() else None,
    )


class FieldRejectionError(Exception):
    """A record's label or group cannot be used: the reason and the detail of its rejection."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def parse_label(text: str) -> float:
    """The number that is a record's label for `task: regress`."""
    try:
        # Python also takes digits of other scripts and underscores.
        value = float(text) if text.isascii() and "_" not in text else float("nan")
    except ValueError:
        value = float("nan")
    if value - value != 0:
        raise FieldRejectionError("bad_target", f"label {text[:80]!r} is not a finite number")
    return value
