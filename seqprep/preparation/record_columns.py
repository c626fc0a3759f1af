"""What is kept of every record, chunk by chunk: in memory, on disk, or as a run before left it.

Some sixty bytes a record, of which a run needs a few at a time: one column of all records, or all
columns of one chunk. Memory thus holds what is asked for.

Legend: R records.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from seqprep.errors import CorruptError
from seqprep.preparation.spill import SpillFolder
from seqprep.ragged import Ints, to_offsets
from seqprep.staging import StagedFile
from seqprep.state import StateDir

RECORD_BYTES = 64
"""About what is kept of a record."""
_FILES = b"seqprep.files"
_FORMAT = 1
_GROUP_ROWS = 2**16
"""Records of a row group, about: each costs some milliseconds, and is read for each of its chunks.
"""
_PACKED = {"label": "ZSTD", "source": "ZSTD", "length": "ZSTD", "placed": "ZSTD"}
"""Columns that shrink; hashes do not."""


class Columns(Protocol):
    """Columns of the records of each chunk."""

    def add(self, table: pa.Table) -> None:
        """Keep those of the next chunk."""

    def read(self, number: int, names: Sequence[str] | None = None) -> pa.Table:
        """Some columns of a chunk, or all."""


class HeldColumns:
    """Columns in memory, for as many records as fit."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        """Keep those of the next chunk."""
        self._tables.append(table)

    def read(self, number: int, names: Sequence[str] | None = None) -> pa.Table:
        """Some columns of a chunk, or all."""
        table = self._tables[number]
        return table if names is None else table.select(names)


class SpilledColumns:
    """Columns on disk.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: SpillFolder) -> None:
        self._folder, self._count = folder, 0

    def add(self, table: pa.Table) -> None:
        """Keep those of the next chunk."""
        self._folder.write(self._name(self._count), table)
        self._count += 1

    def read(self, number: int, names: Sequence[str] | None = None) -> pa.Table:
        """Some columns of a chunk, or all."""
        return self._folder.read(self._name(number), keep=True, names=names)

    @staticmethod
    def _name(number: int) -> str:
        return f"records-{number}"


def write_columns(
    state: StateDir,
    tables: Iterator[pa.Table],
    chunks: Sequence[tuple[StagedFile, int]],
    starts: Ints,
) -> str:
    """Keep columns for the next run, a chunk at a time; the name of the state file.

    Args:
        state: where to.
        tables: of each chunk.
        chunks: (file, row group) of each.
        starts: `(chunks + 1,)` the first record of each, and how many there are.
    """
    files = [
        [file.path, file.sha256, size, group]
        for (file, group), size in zip(chunks, np.diff(starts).tolist(), strict=True)
    ]
    about = {_FILES: json.dumps([_FORMAT, files]).encode()}
    with state.adding("parquet") as added:
        writer: pq.ParquetWriter | None = None
        for table in _batches(tables):
            if writer is None:
                schema = table.schema.with_metadata(about)
                writer = pq.ParquetWriter(
                    added.path,
                    schema,
                    compression={name: _PACKED.get(name, "NONE") for name in schema.names},
                    use_dictionary=["label", "source"],
                    write_statistics=False,
                )
            writer.write_table(table.cast(schema))
        assert writer is not None, "no chunks"
        writer.close()
    return added.name


def _batches(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, small tables together."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _GROUP_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(tables: list[pa.Table]) -> pa.Table:
    joined = pa.concat_tables(tables, promote_options="default")
    return joined.unify_dictionaries().combine_chunks()


def _own_dictionaries(table: pa.Table) -> pa.Table:
    """The same rows, whose dictionaries hold what stands in them: not all of a row group."""
    columns = [
        column.cast(column.type.value_type).combine_chunks().dictionary_encode()
        if pa.types.is_dictionary(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names).combine_chunks()


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What a run before kept.

    Args:
        path: of its file. about: its footer.
        places: (path, SHA-256) of a file -> (first record, records of each of its chunks).
        groups: `(row groups + 1,)` the first record of each, and how many there are.
        placed: whether the records still stand where `placed` says; else the split is asked again.
    """

    path: Path
    about: pq.FileMetaData
    places: dict[tuple[str, str], tuple[int, tuple[int, ...]]]
    groups: Ints
    placed: bool = True
    _last: dict[tuple[object, ...], pa.Table] = field(default_factory=dict)

    @classmethod
    def of(cls, state: StateDir, name: str) -> Stored:
        """What `write_columns` kept under a name.

        Raises:
            CorruptError: if it is missing, altered or of another format.
        """
        path = state.check(name)
        try:
            about = pq.read_metadata(path)
            number, files = json.loads(about.metadata[_FILES])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise CorruptError(f"kept columns of records cannot be read: {error!r}") from error
        if number != _FORMAT:
            raise CorruptError(f"kept columns of records are of format {number}, not {_FORMAT}")
        places: dict[tuple[str, str], tuple[int, tuple[int, ...]]] = {}
        start = 0
        for name, sha256, size, _ in files:
            first, sizes = places.get((name, sha256), (start, ()))
            places[name, sha256] = (first, (*sizes, size))
            start += size
        groups = [about.row_group(number).num_rows for number in range(about.num_row_groups)]
        return cls(path=path, about=about, places=places, groups=to_offsets(groups))

    def rows(self, start: int, stop: int, names: Sequence[str]) -> pa.Table:
        """Columns of records start..stop.

        Raises:
            CorruptError: if they cannot be read.
        """
        first = int(np.searchsorted(self.groups, start, side="right")) - 1
        last = max(int(np.searchsorted(self.groups, stop, side="left")), first + 1)
        asked = (first, last, *names)
        table = self._last.get(asked)
        if table is None:  # chunks are asked one after the other, and share row groups
            table = self._read(range(first, last), names)
            self._last.clear()
            self._last[asked] = table
        return _own_dictionaries(table.slice(start - int(self.groups[first]), stop - start))

    def column(self, name: str) -> npt.NDArray[Any]:
        """A number of each record, `(O,)`."""
        groups = range(len(self.groups) - 1)
        parts = [self._read([group], [name])[name].to_numpy() for group in groups]
        return np.concatenate(parts)

    def _read(self, groups: Sequence[int], names: Sequence[str]) -> pa.Table:
        try:
            file = pq.ParquetFile(
                self.path, metadata=self.about, read_dictionary=["label", "source"]
            )
            return file.read_row_groups(list(groups), columns=list(names)).select(names)
        except (OSError, KeyError, ValueError) as error:
            raise CorruptError(f"{self.path}: cannot be read: {error}") from error
