"""A Delta table whose files are staged by workers and made visible by one commit.

A version is immutable. Staged files carry their SHA-256 in their name, so a published file is never
overwritten with other bytes and a rerun of the same work writes the same names. What a crash leaves
behind is not listed in any commit and thus invisible. Beside the Delta log each commit names a
manifest (size, rows and SHA-256 of every file of that version) and the fitted state it was made
with.

Use it for both tables of a dataset. Not for appending single rows: one commit is one piece of work.
Source: the Delta transaction protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import (
    AddAction,
    CommitProperties,
    RemoveAction,
    create_table_with_add_actions,
)

from seqprep import __version__
from seqprep.errors import CorruptError, SeqprepError
from seqprep.snapshot import check_file, file_sha256, replace_bytes

METADATA_KEY = "seqprep"
STALE_S = 24 * 3600
"""Temporary files older than this many seconds belong to runs that died."""


class ConflictError(SeqprepError):
    """Another run committed to the table in the meantime."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitInfo:
    """What a commit says about itself.

    Args:
        kind: `sequences` or `examples`.
        fingerprint: of the inputs, options and code that made the version.
        counts: numbers to show; params: the options and facts; state: names of state files.
        code_version: of this package.
    """

    kind: str
    fingerprint: str
    counts: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)
    code_version: str = __version__


class StateDir:
    """Content-addressed files beside the tables: fitted state, manifests, rejections."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, data: bytes, suffix: str) -> str:
        """Store `data` once; return its name, `<sha256>.<suffix>`."""
        name = f"{hashlib.sha256(data).hexdigest()}.{suffix}"
        target = self.path / name
        if not (target.is_file() and target.stat().st_size == len(data)):
            replace_bytes(target, data)
        return name

    def get(self, name: str) -> bytes:
        """The bytes stored under `name`.

        Raises:
            CorruptError: naming the file, if it is missing or altered.
        """
        path = self.path / name
        if not path.is_file():
            raise CorruptError(f"{path}: the file is missing; run the stage that made it again")
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != name.split(".")[0]:
            raise CorruptError(f"{path}: the bytes are not those that were committed")
        return data


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
        self._temporary = self._folder / f".{name}.{os.getpid()}.tmp"
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
        self._writer = pq.ParquetWriter(
            self._temporary, self._schema, **parquet_options(self._schema)
        )
        return self

    def write(self, data: pa.RecordBatch | pa.Table) -> None:
        """Write rows as one row group."""
        table = pa.Table.from_batches([data]) if isinstance(data, pa.RecordBatch) else data
        if table.num_rows == 0:
            return
        lengths = table.column("length").to_numpy()
        self._min = min(self._min, int(lengths.min()))
        self._max = max(self._max, int(lengths.max()))
        self._rows += table.num_rows
        self._writer.write_table(table.cast(self._schema), row_group_size=table.num_rows)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._writer.close()
        finally:
            if kind is not None:
                self._temporary.unlink(missing_ok=True)
        if kind is None:
            self._publish()

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
            min_length=self._min if self._rows else 0,
            max_length=self._max,
            sources=tuple(self.sources),
        )


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """The one way Parquet is written here: page checksums, zstd, floats split into byte streams."""
    floats, words = [], []
    for item in schema:
        leaf = item.type.value_type if pa.types.is_list(item.type) else item.type
        path = f"{item.name}.list.element" if pa.types.is_list(item.type) else item.name
        if pa.types.is_floating(leaf):
            floats.append(path)
        elif pa.types.is_int8(leaf) or item.name in ("label", "source", "group", "header"):
            words.append(path)
    return {
        "compression": "zstd",
        "compression_level": 1,
        "use_dictionary": words,
        "use_byte_stream_split": floats or False,
        "write_page_checksum": True,
        "data_page_size": 2**20,
        "write_statistics": ["length"],
    }


class Table:
    """One Delta table of a dataset.

    Args:
        path: its folder; the dataset's state files lie in `state` beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = StateDir(path.parent / "state")

    def version(self) -> int | None:
        """The newest version; None if nothing was committed yet."""
        table = self._open(None)
        return None if table is None else table.version()

    def info(self, version: int | None = None) -> CommitInfo:
        """What the commit of a version says about itself."""
        table = self._open(version)
        if table is None:
            raise SeqprepError(f"{self.path}: no such table; run the stage that makes it first")
        for number, _, info in self._entries(table):
            if number == table.version():
                return info
        raise CorruptError(f"{self.path}: version {table.version()} was not written by seqprep")

    def history(self) -> list[tuple[int, int, CommitInfo]]:
        """(version, milliseconds since 1970, what it says) of every version, oldest first."""
        table = self._open(None)
        if table is None:
            return []
        return sorted(self._entries(table), key=lambda entry: entry[0])

    @staticmethod
    def _entries(table: DeltaTable) -> Iterator[tuple[int, int, CommitInfo]]:
        # delta-rs numbers the history from the version that was opened, but lists it from the
        # newest, so the version stands in our own metadata.
        for entry in table.history():
            if METADATA_KEY in entry:
                body = json.loads(entry[METADATA_KEY])
                yield body["version"], entry["timestamp"], CommitInfo(**body["info"])

    def files(self, version: int | None = None) -> tuple[StagedFile, ...]:
        """The files of a version, sorted by path, as its manifest lists them."""
        body = json.loads(self.state.get(self.info(version).state["manifest"]))
        return tuple(
            StagedFile(**{**entry, "sources": tuple(entry["sources"])}) for entry in body["files"]
        )

    def check(self, file: StagedFile) -> None:
        """Compare one file's bytes with what was committed.

        Raises:
            CorruptError: naming it, if it is missing or altered.
        """
        check_file(self.path / file.path, size_bytes=file.size_bytes, sha256=file.sha256)

    def verify(self, version: int | None = None) -> int:
        """Check every file and state file of a version; return how many there are.

        Raises:
            CorruptError: naming the first file that is missing or altered.
        """
        files, states = self.files(version), self.info(version).state
        for name in states.values():
            self.state.get(name)
        for file in files:
            self.check(file)
        return len(files) + len(states)

    def row_groups(self, version: int | None = None) -> Iterator[tuple[StagedFile, int]]:
        """The chunks of a version in path order: (file, number of the row group)."""
        for file in self.files(version):
            try:
                groups = pq.ParquetFile(self.path / file.path).num_row_groups
            except (OSError, ValueError) as error:
                raise CorruptError(f"{self.path / file.path}: cannot be read: {error}") from error
            for group in range(groups):
                yield file, group

    def read_group(
        self, file: StagedFile, group: int, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows of one chunk, page checksums verified.

        Raises:
            CorruptError: naming the file, if it is missing or damaged.
        """
        path = self.path / file.path
        try:
            parquet = pq.ParquetFile(path, page_checksum_verification=True)
            return parquet.read_row_group(group, columns=None if columns is None else list(columns))
        except (OSError, ValueError) as error:
            raise CorruptError(f"{path}: cannot be read: {error}") from error

    def commit(
        self,
        *,
        schema: pa.Schema,
        files: Sequence[StagedFile],
        info: CommitInfo,
        base: int | None,
        remove: Sequence[str] | Literal["all"] = (),
        partition_by: Sequence[str] = (),
    ) -> int:
        """Make staged files visible, and others invisible, in one atomic step.

        Args:
            schema: of the files. Partition columns are added to it.
            files: staged files to add.
            info: what to say; `state` gets the manifest's name.
            base: the version this work started from; None for a new table.
            remove: paths to take out, or "all" that are not among `files`.
            partition_by: names of the partition columns.

        Returns:
            The new version, or the one that another run of the same work committed meanwhile.

        Raises:
            ConflictError: if another run committed something else since `base`.
            CorruptError: if a staged file is missing.
        """
        for file in files:
            if not (self.path / file.path).is_file():
                raise CorruptError(f"{self.path / file.path}: the staged file is gone; run again")
        current = () if base is None else self.files(base)
        added = {file.path for file in files}
        gone = {file.path for file in current} - added if remove == "all" else set(remove)
        kept = [file for file in current if file.path not in gone | added]
        info = self._with_manifest(info, [*kept, *files])
        for name, type_ in (("split", pa.string()), ("bucket", pa.int32())):
            if name in partition_by:
                schema = schema.append(pa.field(name, type_))
        known = {file.path for file in current}
        actions: list[Any] = [_add(file) for file in files if file.path not in known]
        actions += [_remove(file) for file in current if file.path in gone]
        return self._write(actions, schema, info, base=base, partition_by=list(partition_by))

    def _with_manifest(self, info: CommitInfo, files: Iterable[StagedFile]) -> CommitInfo:
        listed = sorted((asdict(file) for file in files), key=lambda entry: entry["path"])
        body = json.dumps({"files": listed}, sort_keys=True, separators=(",", ":")).encode()
        state = {**info.state, "manifest": self.state.put(body, "json")}
        return CommitInfo(
            kind=info.kind,
            fingerprint=info.fingerprint,
            counts=info.counts,
            params=info.params,
            state=state,
            code_version=info.code_version,
        )

    def _write(
        self,
        actions: list[Any],
        schema: pa.Schema,
        info: CommitInfo,
        *,
        base: int | None,
        partition_by: list[str],
    ) -> int:
        number = 0 if base is None else base + 1
        body = json.dumps({"version": number, "info": asdict(info)}, sort_keys=True)
        # No automatic retry: delta-rs would land two appends of the same rows one after the other.
        properties = CommitProperties(custom_metadata={METADATA_KEY: body}, max_commit_retries=0)
        delta_schema = Schema.from_arrow(schema)
        try:
            if base is None:
                create_table_with_add_actions(
                    str(self.path),
                    delta_schema,
                    actions,
                    mode="error",
                    partition_by=partition_by,
                    configuration={"delta.logRetentionDuration": "interval 36500 days"},
                    commit_properties=properties,
                )
            else:
                self._replace_or_append(actions, delta_schema, base, partition_by, properties)
        except (CommitFailedError, DeltaError) as error:
            return self._joined(info, base, error)
        version = self.version()
        assert version is not None
        return version

    def _replace_or_append(
        self,
        actions: list[Any],
        schema: Schema,
        base: int,
        partition_by: list[str],
        properties: CommitProperties,
    ) -> None:
        table = DeltaTable(str(self.path), version=base)
        removed = sum(isinstance(action, RemoveAction) for action in actions)
        if removed == len(self.files(base)):
            # Everything goes: overwriting also replaces the schema, which may have changed.
            actions = [action for action in actions if isinstance(action, AddAction)]
            mode = "overwrite"
        else:
            mode = "append"
        table.create_write_transaction(
            actions, mode, schema, partition_by, commit_properties=properties
        )

    def _joined(self, info: CommitInfo, base: int | None, error: Exception) -> int:
        version = self.version()
        if version is not None and version != base:
            if self.info(version).fingerprint == info.fingerprint:
                return version
            raise ConflictError(
                f"{self.path}: another run committed version {version} in the meantime; run again"
            ) from error
        raise error

    def _open(self, version: int | None) -> DeltaTable | None:
        try:
            return DeltaTable(str(self.path), version=version)
        except TableNotFoundError:
            return None
        except DeltaError as error:
            raise SeqprepError(f"{self.path}: version {version} cannot be read: {error}") from error


def collect_stale(folder: Path, *, now_s: float | None = None) -> int:
    """Delete temporary files under `folder` that a run left when it died; return how many."""
    limit_s = (time.time() if now_s is None else now_s) - STALE_S
    count = 0
    for path in folder.rglob(".*.tmp"):
        if path.is_file() and path.stat().st_mtime < limit_s:
            path.unlink(missing_ok=True)
            count += 1
    return count


def _add(file: StagedFile) -> AddAction:
    stats = {
        "numRecords": file.rows,
        "minValues": {"length": file.min_length},
        "maxValues": {"length": file.max_length},
        "nullCount": {"length": 0},
    }
    return AddAction(
        file.path, file.size_bytes, dict(file.partition), _now_ms(), True, json.dumps(stats)
    )


def _remove(file: StagedFile) -> RemoveAction:
    return RemoveAction(
        file.path, True, _now_ms(), size=file.size_bytes, partition_values=dict(file.partition)
    )


def _now_ms() -> int:
    return int(time.time() * 1000)
