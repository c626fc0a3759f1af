"""A Delta table whose files are staged by workers and made visible by one commit.

A version is immutable. Beside the Delta log each commit names a manifest (size, rows and SHA-256 of
every file of that version) and the fitted state it was made with.

Use it for both tables of a dataset. Not for appending single rows: one commit is one piece of work.
Source: the Delta transaction protocol, https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from seqprep import __version__, delta_log
from seqprep.errors import CorruptError, SeqprepError
from seqprep.manifest import NAME as MANIFEST
from seqprep.manifest import put_manifest, read_manifest
from seqprep.remote.files import fetched_again, has_all, obtain
from seqprep.remote.publish import publish
from seqprep.snapshot import check_file
from seqprep.staging import StagedFile
from seqprep.state import StateDir
from seqprep.upkeep.gone import gone_reason, refuse_gone

_ARROW = re.compile(r"\x1b\[[0-9;]*m|↳")


class ConflictError(SeqprepError):
    """Another run committed to the table in the meantime."""


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
        table = delta_log.open_table(self.path, None)
        return None if table is None else table.version()

    def info(self, version: int | None = None) -> CommitInfo:
        """What the commit of a version says about itself.

        Raises:
            SeqprepError: if there is no such version.
            CorruptError: if its entry in the log is missing or altered.
        """
        number = self._number(version)
        entry = delta_log.read_entry(self.path, number)
        if entry is None:
            raise CorruptError(f"{self.path}: version {number} was not written by seqprep")
        return CommitInfo(**entry[1])

    def _number(self, version: int | None) -> int:
        if version is not None and delta_log.has_entry(self.path, version):
            return version  # without opening the table
        table = delta_log.open_table(self.path, version)
        if table is None:
            raise SeqprepError(f"{self.path}: no such table; run the stage that makes it first")
        return int(table.version())

    def history(self) -> list[tuple[int, int, CommitInfo]]:
        """(version, milliseconds since 1970, what it says) of every version, oldest first.

        Versions whose files were deleted are among them: see `gone_reason`.
        """
        newest = self.version()
        found = []
        for version in range(0 if newest is None else newest + 1):
            entry = delta_log.read_entry(self.path, version)
            if entry is not None:
                found.append((version, entry[0], CommitInfo(**entry[1])))
        return found

    def files(self, version: int | None = None) -> tuple[StagedFile, ...]:
        """The files of a version, sorted by path, as its manifest lists them.

        Raises:
            GoneError: if they were deleted on purpose.
            CorruptError: if the manifest is missing or altered.
        """
        number = self._number(version)
        refuse_gone(self.path, number)
        return read_manifest(self.state, self.info(number).state[MANIFEST])

    def check(self, file: StagedFile) -> None:
        """Compare one file's bytes with what was committed.

        Raises:
            CorruptError: naming it, if it is missing or altered.
        """
        path = obtain(self.path, file)
        try:
            check_file(path, size_bytes=file.size_bytes, sha256=file.sha256)
        except CorruptError:
            if not fetched_again(path, sha256=file.sha256):
                raise

    def verify(self, version: int | None = None) -> int:
        """Check every file and state file of a version; return how many there are.

        Raises:
            CorruptError: naming the first file that is missing or altered.
        """
        files, states = self.files(version), self.info(version).state
        for name in states.values():
            self.state.check(name)
        for file in files:
            self.check(file)
        return len(files) + len(states)

    def is_whole(self, version: int) -> bool:
        """Whether every file of a version lies there with its size, and its state unaltered.

        Cheap: hashes of table files are left to `row_groups` and `verify`.
        """
        if gone_reason(self.path, version) is not None:
            return False
        try:
            for name in self.info(version).state.values():
                self.state.check(name)
            return has_all(self.path, self.files(version))
        except (OSError, CorruptError):
            return False

    def row_groups(
        self, version: int | None = None, *, verify: bool = True
    ) -> Iterator[tuple[StagedFile, int]]:
        """The chunks of a version in path order: (file, number of the row group).

        Args:
            version: default the newest.
            verify: hash each file once, before its first chunk is given.

        Raises:
            CorruptError: naming the file, if it is missing or altered.
        """
        for file in self.files(version):
            for group in range(self.group_count(file, verify=verify)):
                yield file, group

    def group_count(self, file: StagedFile, *, verify: bool = True) -> int:
        """How many chunks a file has; by default its bytes are compared with the manifest first.

        Raises:
            CorruptError: naming the file, if it is missing or altered.
        """
        if verify:
            self.check(file)
        try:
            return int(pq.ParquetFile(obtain(self.path, file)).num_row_groups)
        except (OSError, ValueError) as error:
            raise CorruptError(f"{self.path / file.path}: cannot be read: {error}") from error

    def read_group(
        self,
        file: StagedFile,
        group: int,
        columns: Sequence[str] | None = None,
        *,
        batch_bytes: int | None = None,
    ) -> pa.Table:
        """The rows of one chunk, page checksums verified.

        Args:
            file: of the table.
            group: number of the chunk.
            columns: to read; default all.
            batch_bytes: about so many at a time, each a chunk of the columns. Long strings are
                otherwise gathered in memory that grows, and is copied each time it does.

        Raises:
            CorruptError: naming the file, if it is missing or damaged.
        """
        path = obtain(self.path, file)
        try:
            parquet = pq.ParquetFile(path, page_checksum_verification=True)
            wanted = None if columns is None else list(columns)
            if batch_bytes is None:
                return parquet.read_row_group(group, columns=wanted)
            rows = _rows_of(parquet.metadata.row_group(group), batch_bytes)
            batches = parquet.iter_batches(
                rows, row_groups=[group], columns=wanted, use_threads=False
            )
            return pa.Table.from_batches(batches, schema=_some(parquet.schema_arrow, columns))
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
            remove: paths to take out, or "all"; those among `files` stay, or the log lost them.
            partition_by: names of the partition columns.

        Returns:
            The new version, or the one that another run of the same work committed meanwhile.

        Raises:
            ConflictError: if another run committed something else since `base`.
            CorruptError: if a staged file is missing.
            OSError: if the disk is full or may not be written; nothing was changed.
            SeqprepError: if the commit fails otherwise; likewise.
        """
        if lost := [file for file in files if not (self.path / file.path).is_file()]:
            raise CorruptError(f"{self.path / lost[0].path}: the staged file is gone; run again")
        current = self._replaced(base, remove)
        added = {file.path for file in files}
        gone = ({file.path for file in current} if remove == "all" else set(remove)) - added
        kept = [file for file in current if file.path not in gone | added]
        manifest = put_manifest(self.state, [*kept, *files])
        info = replace(info, state={**info.state, MANIFEST: manifest})
        for name, type_ in (("split", pa.string()), ("bucket", pa.int32())):
            if name in partition_by:
                schema = schema.append(pa.field(name, type_))
        known = {file.path for file in current}
        actions = [
            *(delta_log.addition(file) for file in files if file.path not in known),
            *(delta_log.removal(file) for file in current if file.path in gone),
        ]
        write = partial(
            delta_log.write,
            actions=actions,
            schema=schema,
            info=asdict(info),
            base=base,
            partition_by=list(partition_by),
            everything=len(gone) == len(current),
        )
        named = [self.path / file.path for file in files]
        named += [self.state.path / name for name in info.state.values()]
        try:
            publish(self.path, named, base=base, write=write)
        except (DeltaError, OSError) as error:
            return self._landed(info, base, error)
        version = self.version()
        assert version is not None
        return version

    def _replaced(
        self, base: int | None, remove: Sequence[str] | Literal["all"]
    ) -> tuple[StagedFile, ...]:
        """The files of the version that a commit builds upon.

        Where everything is replaced, a lost manifest must not stand in the way: the Delta log
        lists the files, too, without their hashes.
        """
        if base is None:
            return ()
        try:
            return self.files(base)
        except CorruptError:
            if remove != "all":
                raise
        return delta_log.listed_files(self.path, base)

    def _landed(self, info: CommitInfo, base: int | None, error: DeltaError | OSError) -> int:
        """The version that holds this work although its commit failed.

        Another run's; or this one's, where only what follows the entry of the log went wrong.
        """
        version = self.version()
        if version is not None and version != base:
            if self.info(version).fingerprint == info.fingerprint:
                return version
            raise ConflictError(
                f"{self.path}: another run committed version {version} in the meantime; run again"
            ) from error
        told = _one_line(error)
        if isinstance(error, OSError):  # the caller knows what is needed there
            if error.errno is not None:
                raise error
            raise OSError(told) from error  # delta-rs gives no number
        raise SeqprepError(
            f"{self.path}: the commit failed: {told}; free space or allow writing there if that is "
            "what it says, and run again. Nothing was changed"
        ) from error


def _one_line(error: Exception) -> str:
    r"""A message of delta-rs, where each cause has a line of its own, behind a coloured arrow.

    >>> _one_line(OSError("Generic error\n  \x1b[31m↳\x1b[0m No space left on device\n"))
    'Generic error: No space left on device'
    """
    lines = (_ARROW.sub("", line).strip() for line in str(error).splitlines())
    return ": ".join(line for line in lines if line)


def _rows_of(group: pq.RowGroupMetaData, size_bytes: int) -> int:
    """Rows of a chunk that take about so many bytes."""
    return max(1, group.num_rows * size_bytes // max(1, group.total_byte_size))


def _some(schema: pa.Schema, names: Sequence[str] | None) -> pa.Schema:
    return pa.schema([field for field in schema if names is None or field.name in names])
