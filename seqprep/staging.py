"""Parquet files that workers write, whole or not at all, before a commit makes them visible.

A staged file carries its SHA-256 in its name, so a published file is never overwritten with other
bytes and a rerun of the same work writes the same names. What a crash leaves behind is not listed
in any commit and thus invisible.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

import pyarrow as pa

from seqprep.parquet.writer import PageWriter
from seqprep.snapshot import file_sha256

STALE_S = 24 * 3600
"""Temporary files older than this many seconds belong to runs that died."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StagedFile:
    """One Parquet file, written and hashed, visible only once it is committed.

    Args:
        path: relative to the table's root, partition folders included, with forward slashes.
        size_bytes, rows, sha256: of the file.
        partition: values of the partition columns.
        min_length, max_length: of the column `length`, for pruning; 0 where there are no rows.
        sources: the source files whose records it holds, in order.
    """

    path: str
    size_bytes: int
    rows: int
    sha256: str
    partition: Mapping[str, str] = field(default_factory=dict)
    min_length: int = 0
    max_length: int = 0
    sources: tuple[str, ...] = ()


class StagedWriter:
    """Write one Parquet file that appears whole, under a name made of its hash, or not at all.

    Args:
        root: of the table.
        name: first part of the file's name, from a chunk or shard number.
        schema: of the rows.
        partition: values of the partition columns; they become folders and are not in the file.
        sources: the source files whose records it will hold.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        schema: pa.Schema,
        *,
        partition: Mapping[str, str] | None = None,
        sources: Sequence[str] = (),
    ) -> None:
        self._root, self._name, self._schema = root, name, schema
        self._partition = dict(partition or {})
        self._folder = root.joinpath(*(f"{key}={value}" for key, value in self._partition.items()))
        # Process ids repeat across containers, and threads share one.
        self._temporary = self._folder / f".{name}.{uuid4().hex}.tmp"
        self._rows, self._min, self._max = 0, 2**31 - 1, 0
        self.sources = list(sources)
        self._staged: StagedFile | None = None

    @property
    def staged(self) -> StagedFile:
        """What was written; only after the writer has closed."""
        assert self._staged is not None, "the writer is still open"
        return self._staged

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return self._rows

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._writer = PageWriter(self._temporary, self._schema, statistics=("length",))
        return self

    def write(self, data: pa.RecordBatch | pa.Table) -> None:
        """Write rows as one row group."""
        table = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
        if table.num_rows == 0:
            return
        if "length" in table.column_names:
            lengths = table.column("length").to_numpy()
            self._min = min(self._min, int(lengths.min()))
            self._max = max(self._max, int(lengths.max()))
        self._rows += table.num_rows
        self._writer.write_table(table.cast(self._schema))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._writer.__exit__(kind, error, trace)
            if kind is None:
                self._publish()
        finally:
            # Gone already where it was published.
            self._temporary.unlink(missing_ok=True)

    def _publish(self) -> None:
        with self._temporary.open("rb") as file:
            os.fsync(file.fileno())
        digest = file_sha256(self._temporary)
        size_bytes = self._temporary.stat().st_size
        target = self._folder / f"{self._name}-{digest[:16]}.parquet"
        os.replace(self._temporary, target)
        self._staged = StagedFile(
            path=target.relative_to(self._root).as_posix(),
            size_bytes=size_bytes,
            rows=self._rows,
            sha256=digest,
            partition=self._partition,
            min_length=min(self._min, self._max),
            max_length=self._max,
            sources=tuple(self.sources),
        )


def collect_stale(folder: Path, *, now_s: float | None = None) -> int:
    """Delete temporary files under `folder` that a run left when it died; return how many."""
    limit_s = (time.time() if now_s is None else now_s) - STALE_S
    count = 0
    for path in folder.rglob(".*.tmp"):
        if is_older(path, limit_s):
            path.unlink(missing_ok=True)
            count += 1
    return count


def is_older(path: Path, limit_s: float) -> bool:
    """Whether a file or folder is there and changed last before `limit_s`, in seconds since 1970.

    One that another run publishes or deletes in this moment is not.
    """
    try:
        return path.stat().st_mtime < limit_s
    except FileNotFoundError:
        return False
