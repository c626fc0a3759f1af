"""Content-addressed files beside the tables: fitted state, manifests, lists of rejections."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from seqprep.errors import CorruptError
from seqprep.snapshot import replace_bytes


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
