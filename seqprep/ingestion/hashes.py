"""Hashes of source files, and those that need not be found again.

What was hashed is remembered beside a dataset's versions. An entry holds for a file whose size,
times of last change, inode and device are what they were when it was hashed, as in the index of
Git. Use it when a folder is ingested again. It decides nothing: a cache that is missing, damaged or
of another version only means that files are hashed anew, and it may be deleted at any time.
Source: Git's index, https://git-scm.com/docs/racy-git
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from seqprep.digested import read_digested, write_digested
from seqprep.errors import InputError
from seqprep.ingestion.files import SourceFile, stamp_of

NAME = ".hashes"
"""The file's name in the dataset's folder."""
VERSION = 1
MARGIN_NS = 2 * 10**9
"""A file that changed later than this before it was hashed may change again under the same times:
the clock of a file system ticks every few milliseconds, at worst every two seconds (FAT)."""


class Hashed(NamedTuple):
    """What is remembered of one source file.

    Args:
        stamp: sizes, times, inodes and devices of the file and of its target's, when it was hashed.
        sha256, beside_sha256: of their bytes, in hex; "" where there is no such file.
    """

    stamp: tuple[int, ...]
    sha256: str
    beside_sha256: str = ""


Known = Mapping[str, Hashed]
"""What is remembered, by relative path."""


def read_hashes(path: Path) -> dict[str, Hashed]:
    """What was remembered; {} where nothing was, or where it cannot be trusted."""
    try:
        content = read_digested(path)
        if content["version"] != VERSION:
            return {}
        columns = (content[name] for name in ("paths", "stamps", "sha256", "beside"))
        return {
            path: Hashed(tuple(stamp), sha256, beside)
            for path, stamp, sha256, beside in zip(*columns, strict=True)
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_hashes(path: Path, known: Known) -> None:
    """Remember, whole or not at all; a disk that is full or read-only only costs time later."""
    columns = {
        "version": VERSION,
        "paths": list(known),
        "stamps": [one.stamp for one in known.values()],
        "sha256": [one.sha256 for one in known.values()],
        "beside": [one.beside_sha256 for one in known.values()],
    }
    with suppress(OSError):
        write_digested(path, columns)


def is_settled(times_ns: Iterable[int], *, began_ns: int) -> bool:
    """Whether files that last changed at these times cannot have changed since unnoticed.

    >>> is_settled([5], began_ns=MARGIN_NS + 6), is_settled([5, 7], began_ns=MARGIN_NS + 6)
    (True, False)
    """
    return all(time_ns + MARGIN_NS < began_ns for time_ns in times_ns)


def hash_files(files: Sequence[SourceFile], known: Known | None = None) -> list[SourceFile]:
    """Add their SHA-256 to files; several are read at once.

    Args:
        files: as listed.
        known: hashes that hold for files whose stamp is what it was.

    Returns:
        The same files, in the same order.

    Raises:
        InputError: if one cannot be opened, or changed while it was read.
    """
    for _, error in hash_or_tell(files, known):
        raise error
    return list(files)


def hash_or_tell(
    files: Sequence[SourceFile], known: Known | None = None
) -> Iterator[tuple[SourceFile, InputError]]:
    """The same, and where a file cannot be hashed that file and why; the others are."""
    for file in files if known else ():
        _recall(file, known or {})
    unknown = [file for file in files if not file.sha256]
    if not unknown:
        return
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for file, error in zip(unknown, pool.map(_try_hash, unknown), strict=True):
            if error is not None:
                yield file, error


def hashes_to_keep(files: Sequence[SourceFile]) -> dict[str, Hashed]:
    """What may be remembered of files that were hashed."""
    return {
        file.path: Hashed(file.stamp, file.sha256, file.beside_sha256)
        for file in files
        if file.settled
    }


def _recall(file: SourceFile, known: Known) -> None:
    one = known.get(file.path)
    if one is None or file.sha256:
        return
    # As it was listed a moment ago; its target was not looked at then.
    now = file.stamp if file.beside is None and file.stamp else _stamp(file)
    if one.stamp == now:
        file.sha256, file.beside_sha256 = one.sha256, one.beside_sha256
        file.stamp, file.settled = one.stamp, True


def _try_hash(file: SourceFile) -> InputError | None:
    try:
        _hash(file)
    except InputError as error:
        file.sha256 = ""
        return error
    return None


def _hash(file: SourceFile) -> None:
    began_ns = time.time_ns()
    file.stamp = _stamp(file)
    file.sha256, file.beside_sha256 = _digests(file)
    file.settled = is_settled([*file.stamp[1::5], *file.stamp[2::5]], began_ns=began_ns)
    check_unchanged(file)


def _digests(file: SourceFile) -> tuple[str, str]:
    with file.open() as stream:
        digest = hashlib.sha256()
        while block := stream.read(2**20):
            digest.update(block)
    beside = ""
    if file.beside is not None and file.beside.is_file():
        beside = hashlib.sha256(file.beside.read_bytes()).hexdigest()
    return digest.hexdigest(), beside


def check_unchanged(file: SourceFile) -> None:
    """Compare a file that was read with what it was when it was hashed.

    Raises:
        InputError: if it changed, so that its rows are not those of its hash.
    """
    if not file.stamp or _stamp(file) == file.stamp:
        return
    # A link to it or a change of owner alters a time, too: then the bytes decide.
    if _digests(file) != (file.sha256, file.beside_sha256):
        raise InputError(
            "changed while it was read; run again when nothing writes to it",
            file=file.path,
            reason="changed",
        )


def is_as_hashed(file: SourceFile) -> bool:
    """Whether a file is still what it was when it was hashed: nothing touched it, and its bytes."""
    try:
        return _stamp(file) == file.stamp and _digests(file) == (file.sha256, file.beside_sha256)
    except InputError:  # gone in the meantime
        return False


def _stamp(file: SourceFile) -> tuple[int, ...]:
    """What changes with the bytes of the file, and with its target's if it has one."""
    stamp: list[int] = []
    for path in (file.full, file.beside):
        if path is None:
            continue
        try:
            stamp += stamp_of(os.stat(path))
        except OSError:
            stamp += [-1] * 5
    return tuple(stamp)
