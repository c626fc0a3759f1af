"""A folder that new files arrive in: which of them can be read now, and which are left for later.

Listing is that of the domain's reader, as in an ingest. A file that somebody may still be writing
is left alone until nothing has touched it for some seconds. Use it for files that are read once
each as they come; what was read before is for the caller to know.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seqprep.errors import ConfigError, InputError
from seqprep.ingestion.files import NothingFoundError, SourceFile
from seqprep.ingestion.hashes import hash_or_tell, hashes_to_keep, read_hashes, write_hashes
from seqprep.new_files import list_new
from seqprep.source import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What a look into the folder found.

    Args:
        files: that can be read now, hashed, sorted by path.
        waiting: those that are left for the next look, and why.
    """

    files: tuple[SourceFile, ...] = ()
    waiting: dict[str, str] = field(default_factory=dict)


def look(
    source: Source,
    folder: Path,
    *,
    cache: Path,
    settle_s: float,
    now_s: float | None = None,
) -> Look:
    """List the files of a folder and hash those that nobody writes to.

    Args:
        source: of the training; its path is not used.
        folder: to look into.
        cache: a file that remembers hashes; see `ingestion.hashes`.
        settle_s: seconds that nothing must have touched a file.
        now_s: seconds since 1970.

    Raises:
        ConfigError: if `settle_s` is negative.
        SeqprepError: if there is no such folder.
        InputError: for what must not lie there; see `list_files`.
    """
    if not settle_s >= 0:
        raise ConfigError(f"settle_s (--settle) must be >= 0 seconds, got {settle_s}")
    now_s = time.time() if now_s is None else now_s
    try:
        listed = list_new(source, folder.absolute())
    except NothingFoundError:
        return Look()
    ages = {file.path: now_s - _touched_s(file) for file in listed}
    still = [file for file in listed if ages[file.path] >= settle_s]
    waiting = {
        path: f"changed {max(age, 0):.1f} s ago, and is read when it was left alone for "
        f"{settle_s:g} s"
        for path, age in ages.items()
        if age < settle_s
    }
    waiting |= _hashed(still, cache)
    files = tuple(file for file in still if file.path not in waiting)
    return Look(files=files, waiting=waiting)


def _touched_s(file: SourceFile) -> float:
    """When a file last changed, in seconds since 1970.

    By its inode's time, which nobody can set: a copy may carry the older time of its original.
    """
    return file.stamp[2] / 1e9


def _hashed(files: Sequence[SourceFile], cache: Path) -> dict[str, str]:
    """Hash files, by what is remembered where it holds; those that could not be, and why."""
    known = read_hashes(cache)
    failed: dict[str, str] = {}
    for file, error in hash_or_tell(files, known):
        failed[file.path] = _why(error)
    keep = hashes_to_keep([file for file in files if file.path not in failed])
    if keep != known:
        write_hashes(cache, keep)
    return failed


def _why(error: InputError) -> str:
    return "changed while it was read" if error.reason == "changed" else error.text
