"""Source files: which there are, what they are called, and their bytes, expanded and checked.

A source file is its path relative to the source's root and its SHA-256 (CONTRACT 1). Listing looks
at names only; a file is opened by the reader of its domain. What lies outside the root (by symbolic
links) or is no plain file is refused, so that nothing is read that the person did not point at.
"""

from __future__ import annotations

import functools
import io
import os
import posixpath
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from seqprep.errors import InputError, SeqprepError
from seqprep.ingestion.globs import matcher, strip_gz
from seqprep.source import Source

SHOWN_NAMES = 6
"""How many file names an error lists."""


class NothingFoundError(SeqprepError):
    """No file in a folder is one that the reader reads."""


@dataclass(kw_only=True, slots=True)
class SourceFile:
    """One source file: as it is listed, and then hashed.

    There may be very many, so it is neither frozen nor does it hold a `Path` for each.

    Args:
        path: relative to the source's root, with forward slashes.
        full: where it lies; None for a generated one. member: its name inside the zip file `full`.
        size_bytes: as it lies there.
        sha256: of those bytes, in hex; "" until hashed.
        category: what a corpus says it is, instead of its folder; categories: all it says, where
            that is not one.
        beside: the file that holds its target; beside_sha256: of that one.
        number: place in the listing, from 0, for generated files.
        stamp: sizes, times of last change, inodes and devices when it was listed, then hashed.
        settled: whether those change with the bytes; see `hashes`.
    """

    path: str
    full: str | None = None
    member: str | None = None
    size_bytes: int = 0
    sha256: str = ""
    category: str | None = None
    categories: tuple[str, ...] = ()
    beside: Path | None = None
    beside_sha256: str = ""
    number: int = 0
    stamp: tuple[int, ...] = ()
    settled: bool = False

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a fingerprint knows of the file."""
        return (self.path, self.sha256, self.beside_sha256)

    @property
    def suffix(self) -> str:
        """The lower-case suffix, without `.gz`: `.csv` for `A.CSV.gz`."""
        return os.path.splitext(strip_gz(self.path))[1].lower()

    def open(self) -> BinaryIO:
        """The file's bytes as they lie there."""
        assert self.full is not None, f"{self.path} is generated"
        try:
            if self.member is not None:
                return io.BufferedReader(_Member(self.full, self.member, self.path))
            return open(self.full, "rb")
        except OSError as error:
            raise InputError(
                f"cannot be opened: {error.strerror or error}; check that it exists and that you "
                "may read it",
                file=self.path,
            ) from error


class _Member(io.RawIOBase):
    """A file inside a zip file.

    Args:
        full: path of the zip file. member: the name in it. path: what errors call it.

    Raises:
        InputError: here or on reading, if the zip file is damaged.
    """

    def __init__(self, full: str, member: str, path: str) -> None:
        self._named = f"cannot be read in {full}", path
        found = os.stat(full)
        with self._told():
            archive = _archive(full, (found.st_size, found.st_mtime_ns, found.st_ino))
            self._stream = archive.open(member)

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: object) -> int:
        """Fill `buffer` with what comes next; 0 at the end."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        with self._told():
            data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DAMAGED as error:
            what, path = self._named
            raise InputError(f"{what}: {error}; get that file again", file=path) from error


DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(KeyError, NotImplementedError, RuntimeError, ValueError),
)
"""What Python's reader of zip files runs into where one is cut, or bytes of it were altered."""


@functools.lru_cache(maxsize=4)
def _archive(path: str, stamp: tuple[int, ...]) -> zipfile.ZipFile:
    """An open zip file, which stays open until others were; `stamp` tells a newer one."""
    return zipfile.ZipFile(path)


def source_root(source: Source, base: Path) -> Path:
    """The folder or file that `source.path` names.

    Raises:
        SeqprepError: if there is no such thing.
    """
    assert source.path is not None
    root = base / Path(source.path).expanduser()
    if not root.exists():
        raise SeqprepError(
            f"source.path: {source.path!r} does not exist (looked for {root.absolute()}); relative "
            "paths are relative to the pipeline file"
        )
    return root


def list_files(source: Source, base: Path, *, default: Sequence[str]) -> list[SourceFile]:
    """The source files under `source.path`, sorted by relative path, not yet hashed.

    Args:
        source: its path, `include` and `exclude`.
        base: the folder that a relative path is relative to.
        default: globs to use where `source.include` is empty.

    Raises:
        SeqprepError: if there is no such folder.
        NothingFoundError: if no file in it fits.
        InputError: if a file that fits is no plain file, or a link that leaves the root.
    """
    root = source_root(source, base)
    include = tuple(source.include) or tuple(default)
    if not root.is_dir():
        return [_with_target(_plain(str(root), root.name), source)]
    side = {posixpath.normpath(table) for table in _side_tables(source) if table}
    found, others = [], []
    folder, fits = os.path.join(root, ""), matcher(include)
    for path in _walk(root, tuple(source.exclude)):
        if path in side:
            continue
        if not fits(path):
            others.append(path)
            continue
        try:
            found.append(_plain(folder + path, path, root=root))
        except InputError:
            if os.path.lexists(folder + path):  # else it went since the folder was listed
                raise
    if not found:
        raise NothingFoundError(nothing_found(root, include, others))
    found.sort(key=lambda file: file.path)
    return _pair_targets(found, source)


def _plain(full: str, path: str, *, root: Path | None = None) -> SourceFile:
    """A file as it is listed; one look at it, because there may be very many.

    Raises:
        InputError: if it is no plain file, or a link that leaves `root`.
    """
    try:
        found = os.lstat(full)
        if stat.S_ISLNK(found.st_mode):
            found = os.stat(full)
            if root is not None:
                _check_inside(Path(full), root, name=path)
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror} (a broken link?); remove it or set source.exclude",
            file=path,
        ) from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a FIFO" if stat.S_ISFIFO(found.st_mode) else "a device, a socket or a folder"
        raise InputError(f"is {kind}, not a plain file; remove it or set source.exclude", file=path)
    return SourceFile(path=path, full=full, size_bytes=found.st_size, stamp=stamp_of(found))


def stamp_of(found: os.stat_result) -> tuple[int, int, int, int, int]:
    """Five numbers, of which one changes with the bytes of a file.

    Size, times of last change of content and of inode in nanoseconds, inode, device.
    """
    return (
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        found.st_dev,
    )


def _side_tables(source: Source) -> Iterator[str | None]:
    for given in (source.label, source.group):
        yield given.table if given is not None else None


def nothing_found(root: Path, include: Sequence[str], others: Sequence[str]) -> str:
    """The message that no file fits: what was looked for, where, and what lies there instead."""
    there = ", ".join(repr(name) for name in sorted(others)[:SHOWN_NAMES])
    more = f" and {len(others) - SHOWN_NAMES} more" if len(others) > SHOWN_NAMES else ""
    return f"no source file in {root}: looked for {', '.join(include)}; " + (
        f"found {there}{more}; set source.include" if others else "the folder holds no files"
    )


def _walk(root: Path, exclude: tuple[str, ...]) -> Iterator[str]:
    """Relative paths of everything that is no folder and is not excluded."""

    def refuse(error: OSError) -> None:
        raise SeqprepError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    excluded = matcher(exclude)
    for folder, folders, names in os.walk(root, onerror=refuse):
        here = Path(folder).relative_to(root).as_posix()
        prefix = "" if here == "." else f"{here}/"
        # What lies in an excluded folder is never seen, so each path is looked at once.
        folders[:] = sorted(name for name in folders if not excluded(prefix + name))
        for name in folders:
            if os.path.islink(os.path.join(folder, name)):
                raise InputError(
                    "is a link to a folder, and those are not followed; copy the folder, or set "
                    "source.exclude",
                    file=prefix + name,
                )
        paths = [path for name in sorted(names) if not excluded(path := prefix + name)]
        for path in paths:
            if not path.isascii():
                _check_name(path)
        yield from paths


def _check_name(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise InputError("the file's name is not UTF-8; rename it", file=shown) from None


def _check_inside(full: Path, root: Path, *, name: str) -> None:
    if not full.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"is a symbolic link that leaves the source's folder {root}; copy what it points to, "
            "or set source.exclude",
            file=name,
        )


def _pair_targets(found: list[SourceFile], source: Source) -> list[SourceFile]:
    """Join each file with the one beside it that holds its target, which is no record itself."""
    if source.target is None or source.target.from_ != "file":
        return found
    targets = {_target_path(file, source) for file in found}
    return [_with_target(file, source) for file in found if Path(file.full or "") not in targets]


def _target_path(file: SourceFile, source: Source) -> Path:
    assert file.full is not None and source.target is not None and source.target.suffix
    full = Path(file.full)
    return full.with_name(os.path.splitext(strip_gz(full.name))[0] + source.target.suffix)


def _with_target(file: SourceFile, source: Source) -> SourceFile:
    if source.target is None or source.target.from_ != "file":
        return file
    return replace(file, beside=_target_path(file, source))
