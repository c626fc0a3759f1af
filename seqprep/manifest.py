"""The manifest of a version: size, rows and SHA-256 of every file, named by its own hash.

The commit names it, so a version and the list of its files are one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields

from seqprep.staging import StagedFile
from seqprep.state import StateDir

NAME = "manifest"
"""Under `CommitInfo.state`."""
_LISTED = tuple(item.name for item in fields(StagedFile))


def put_manifest(state: StateDir, files: Iterable[StagedFile]) -> str:
    """Store the list of a version's files; its name."""
    ordered = sorted(files, key=lambda file: file.path)
    # Not `asdict`, which copies the name of every source file.
    listed = [{name: getattr(file, name) for name in _LISTED} for file in ordered]
    body = json.dumps({"files": listed}, sort_keys=True, separators=(",", ":")).encode()
    return state.put(body, "json")


def read_manifest(state: StateDir, name: str) -> tuple[StagedFile, ...]:
    """The files that a manifest lists, sorted by path.

    Raises:
        CorruptError: if it is missing or altered.
    """
    body = json.loads(state.get(name))
    return tuple(
        StagedFile(**{**entry, "sources": tuple(entry["sources"])}) for entry in body["files"]
    )
