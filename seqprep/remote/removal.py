"""Deletions in a mirror reach the server; in a plain folder there is nothing to do here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from seqprep.remote.mirror import mirror_of
from seqprep.remote.sync import drop, push_files

if TYPE_CHECKING:
    from seqprep.remote.bucket import Stored

Listed = Mapping[Path, "Stored"]
"""Objects on the server by the path that they have in the mirror."""
NOTHING: Listed = MappingProxyType({})


def stored_below(folder: Path) -> Listed:
    """What lies on the server below a folder of a mirror; nothing for a plain folder."""
    mirror = mirror_of(folder)
    return NOTHING if mirror is None else mirror.listed(folder)


def delete_stored(paths: Sequence[Path]) -> None:
    """Delete objects of a mirror, in this order."""
    mirror = mirror_of(paths[0]) if paths else None
    if mirror is not None:
        drop(mirror, paths)


def push(paths: Sequence[Path]) -> None:
    """Send what others must know before anything is deleted."""
    mirror = mirror_of(paths[0]) if paths else None
    if mirror is not None:
        push_files(mirror, paths)
