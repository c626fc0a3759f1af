"""Chunks between two passes: in memory while they fit, then in a folder that no run outlives.

The folder holds a lock for as long as its process lives; a folder without a holder was left by a
run that died, and the next run deletes it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged
from seqprep.errors import SeqprepError
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.lists import list_array, list_rows
from seqprep.ragged import Ragged
from seqprep.staging import STALE_S, is_older

LARGE_BYTES = 2**26
"""After so much was written or read, what was held meanwhile is given back."""
_KIND = b"values"
_PREFIX, _NEW = ".spill-", ".spilling-"


class SpillFolder:
    """A temporary folder under the dataset's, deleted on exit.

    Args:
        parent: the dataset's folder.
        held_bytes: chunks of together at most so many bytes stay in memory.
    """

    path: Path

    def __init__(self, parent: Path, *, held_bytes: int = 0) -> None:
        self._parent = parent
        self._room_bytes = held_bytes
        self._held: dict[str, Chunk] = {}
        self._written_bytes = 0

    @classmethod
    def at(cls, path: Path) -> Self:
        """A folder in that of a run, which holds it; this process only reads and writes there.

        Raises:
            SeqprepError: if it is not there, naming the machine that does not see it.
        """
        if not path.is_dir():
            raise SeqprepError(
                f"{path} is not there on {socket.gethostname()}: workers on other machines must "
                "see the store under the same path (a shared file system), and the run that "
                "made the folder must live"
            )
        folder = cls(path.parent)
        folder.path = path
        return folder

    def attempt(self, prefix: str) -> SpillFolder:
        """A folder in this one for one attempt at a task, which no other attempt writes to."""
        return SpillFolder.at(Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=self.path)))

    def __enter__(self) -> Self:
        self._parent.mkdir(parents=True, exist_ok=True)
        collect_spills(self._parent)
        made = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._parent))
        self._lock = os.open(made / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Only now does it get the name that others may collect.
        self.path = made.rename(made.with_name(made.name.replace(_NEW, _PREFIX)))
        return self

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def write(self, name: str, table: pa.Table) -> int:
        """Keep a table on disk; return its bytes."""
        with (
            pa.OSFile(str(self.path / name), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as writer,
        ):
            writer.write_table(table)
        self._written_bytes += int(table.nbytes)
        if self._written_bytes > LARGE_BYTES:
            self._written_bytes = 0
            release_memory()
        return int(table.nbytes)

    def read(
        self, name: str, *, keep: bool = False, names: Sequence[str] | None = None
    ) -> pa.Table:
        """Read a table into memory, and forget it on disk unless it is wanted again.

        Args:
            name: of the table.
            keep: whether it is.
            names: columns to read; default all.
        """
        path = self.path / name
        with pa.OSFile(str(path), "rb") as source:
            file = pa.ipc.open_file(source)
            if names is not None:
                places = [file.schema.get_field_index(column) for column in names]
                options = pa.ipc.IpcReadOptions(included_fields=places)
                file = pa.ipc.open_file(source, options=options)
            table = file.read_all() if names is None else file.read_all().select(names)
        if not keep:
            path.unlink()
        return table

    def claim(self, size_bytes: int) -> bool:
        """Whether there is room in memory for so many bytes, which are then taken."""
        fits = size_bytes <= self._room_bytes
        self._room_bytes -= size_bytes if fits else 0
        return fits

    def put(self, name: str, chunk: Chunk) -> int:
        """Keep a chunk, in memory if there is room for it; return its bytes."""
        table = chunk_table(chunk)
        size_bytes = int(table.nbytes) + chunk.steps.values.nbytes
        if self.claim(size_bytes):
            self._held[name] = chunk
            return size_bytes
        chunk.steps.values.tofile(self._values(name))
        self.write(name, table)
        return size_bytes

    def take(
        self, name: str, *, width: int | None, target_width: int | None, keep: bool = False
    ) -> Chunk:
        """A chunk that was kept; its steps may be written to.

        Args:
            name: of the chunk.
            width: features of its values; None for tokens.
            target_width: of its targets, likewise.
            keep: whether it stays on disk, for another attempt.
        """
        if name in self._held:
            return self._held.pop(name)
        table = self.read(name, keep=keep)
        values = np.fromfile(self._values(name), table.schema.metadata[_KIND].decode())
        if not keep:
            self._values(name).unlink()
        values = values if width is None else values.reshape(-1, width)
        return table_chunk(table, values, target_width=target_width)

    def _values(self, name: str) -> Path:
        return self.path / f"{name}.values"


def collect_spills(parent: Path) -> int:
    """Delete the folders of runs that died; return how many."""
    count = 0
    for folder in parent.glob(f"{_NEW}*"):
        if is_older(folder, time.time() - STALE_S):
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder / "lock", os.O_RDWR)
        except FileNotFoundError:
            continue  # its run has just deleted it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            count += 1
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
    return count


def live_spills(parent: Path) -> list[Path]:
    """The folders that a run works in now."""
    found = []
    for folder in sorted(parent.glob(f"{_PREFIX}*")):
        try:
            lock = os.open(folder / "lock", os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found.append(folder)
        finally:
            os.close(lock)
    return found


def release_memory() -> None:
    """Give back what Arrow and the C library keep for the next arrays, of any thread."""
    pa.default_memory_pool().release_unused()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    """A function of the GNU C library; None for another one."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None


def chunk_table(chunk: Chunk) -> pa.Table:
    """A chunk as an Arrow table, but for the values of its steps, whose type it tells."""
    columns: dict[str, pa.Array | npt.NDArray[np.generic]] = {
        "key": chunk.keys,
        "row": chunk.rows,
        "split": chunk.splits,
        "view": chunk.views,
        "window": chunk.windows,
        "length": chunk.lengths,
    }
    if chunk.targets is not None:
        columns["targets"] = list_array(chunk.targets)
    return pa.table(columns, metadata={_KIND: chunk.steps.values.dtype.str})


def table_chunk(table: pa.Table, values: npt.NDArray[Any], *, target_width: int | None) -> Chunk:
    """The chunk of a `chunk_table` and the values of its steps."""
    targets = None
    if "targets" in table.column_names:
        targets = list_rows(table["targets"], width=target_width)
    return Chunk(
        steps=Ragged(values, ragged.to_offsets(table["length"].to_numpy())),
        targets=targets,
        keys=table["key"].to_numpy(),
        rows=table["row"].to_numpy(),
        splits=table["split"].to_numpy(),
        views=table["view"].to_numpy(),
        windows=table["window"].to_numpy(),
    )
