"""Small JSON files that carry a digest of themselves: its hex in the first line, JSON after it.

Use them for what stands outside any version and may be replaced: caches, marks. State that a
version needs is named by its hash instead: see `state`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from seqprep.errors import CorruptError
from seqprep.snapshot import replace_bytes


def write_digested(path: Path, value: Any) -> None:
    """Write a value, whole or not at all."""
    body = json.dumps(value, separators=(",", ":")).encode()
    replace_bytes(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def read_digested(path: Path) -> Any:
    """Read what `write_digested` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        CorruptError: if its bytes are not those that were written.
    """
    digest, _, body = path.read_bytes().partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise CorruptError(f"{path}: the bytes are not those that were written")
    return json.loads(body)
