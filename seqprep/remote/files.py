"""Files of a version in a mirror: fetched when needed, once. Plain folders are left alone."""

from __future__ import annotations

from pathlib import Path

from seqprep.parallel import ordered
from seqprep.remote.mirror import AT_ONCE, mirror_of
from seqprep.snapshot import Shard, Snapshot
from seqprep.staging import StagedFile


def obtain(table: Path, file: StagedFile) -> Path:
    """Where a file of a table lies, fetched where a mirror lacks it."""
    path = table / file.path
    mirror = mirror_of(table)
    if mirror is not None and not _has(path, file.size_bytes):
        mirror.fetch(path, size_bytes=file.size_bytes, sha256=file.sha256)
    return path


def obtain_examples(path: Path) -> None:
    """Fetch a snapshot and those of its shards that a mirror lacks, several at once.

    Raises:
        CorruptError: if the server's bytes are not those that were committed.
    """
    mirror = mirror_of(path)
    if mirror is None:
        return
    if not path.is_file() and not list(mirror.copy([path])):
        return
    snapshot = Snapshot.read(path)

    def fetch(shard: Shard) -> None:
        place = snapshot.root / shard.path
        if not _has(place, shard.size_bytes):
            mirror.fetch(place, size_bytes=shard.size_bytes, sha256=shard.sha256)

    for _ in ordered(fetch, snapshot.shards, workers=AT_ONCE):
        pass


def obtain_state(path: Path) -> None:
    """Fetch a state file, which is named by its hash, where a mirror lacks it."""
    mirror = mirror_of(path)
    if mirror is not None and not path.is_file():
        mirror.fetch(path, size_bytes=None, sha256=path.name.partition(".")[0])


def fetched_again(path: Path, *, sha256: str) -> bool:
    """Put an altered copy right from the server; False where this is no mirror."""
    mirror = mirror_of(path)
    return mirror is not None and mirror.fetch(path, size_bytes=None, sha256=sha256)


def has_all(table: Path, files: tuple[StagedFile, ...]) -> bool:
    """Whether all files of a version are there with their sizes: for a mirror, on the server.

    Raises:
        OSError: if one is missing in a plain folder.
    """
    mirror = mirror_of(table)
    if mirror is None:
        return all((table / file.path).stat().st_size == file.size_bytes for file in files)
    listed = mirror.listed(table)
    sizes = {path: one.size_bytes for path, one in listed.items()}
    return all(sizes.get(table / file.path) == file.size_bytes for file in files)


def _has(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except FileNotFoundError:
        return False
