"""Content-addressed files beside the tables: fitted state, manifests, lists of rejections."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from seqprep.errors import CorruptError
from seqprep.remote.files import obtain_state
from seqprep.snapshot import file_sha256, replace_bytes


@dataclass(slots=True)
class Added:
    """A state file on its way: where it is written, and its name once it is stored."""

    path: Path
    name: str = ""


class StateDir:
    """Content-addressed files beside the tables: fitted state, manifests, rejections."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, data: bytes | memoryview, suffix: str) -> str:
        """Store `data` once; return its name, `<sha256>.<suffix>`."""
        name = f"{hashlib.sha256(data).hexdigest()}.{suffix}"
        target = self.path / name
        if target.is_file() and target.read_bytes() == data:
            os.utime(target)  # in use from now on, so `gc` must not take it for an old leftover
        else:
            # Content that was altered is made whole again, so that a rerun mends it.
            replace_bytes(target, data)
        return name

    @contextmanager
    def adding(self, suffix: str) -> Iterator[Added]:
        """A file to write, which is stored under its name when the block ends without an error."""
        self.path.mkdir(parents=True, exist_ok=True)
        added = Added(path=self.path / f".{suffix}.{uuid4().hex}.tmp")
        try:
            yield added
            added.name = f"{file_sha256(added.path)}.{suffix}"
            with added.path.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(added.path, self.path / added.name)
        finally:
            added.path.unlink(missing_ok=True)

    def check(self, name: str) -> Path:
        """The file stored under `name`, read in small parts.

        Raises:
            CorruptError: naming the file, if it is missing or altered.
        """
        path = self._found(name)
        _compare(path, file_sha256(path))
        return path

    def get(self, name: str) -> bytes:
        """The bytes stored under `name`.

        Raises:
            CorruptError: naming the file, if it is missing or altered.
        """
        path = self._found(name)
        data = path.read_bytes()
        _compare(path, hashlib.sha256(data).hexdigest())
        return data

    def _found(self, name: str) -> Path:
        path = self.path / name
        obtain_state(path)
        if not path.is_file():
            raise CorruptError(f"{path}: the file is missing; run the stage that made it again")
        return path


def _compare(path: Path, sha256: str) -> None:
    if sha256 != path.name.split(".")[0]:
        raise CorruptError(f"{path}: the bytes are not those that were committed")
