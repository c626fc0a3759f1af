"""The local folder that mirrors a store on S3: all other rooms read and write files there.

What is named by its hash (rows, state) is fetched when it is first needed, once, and compared with
that hash. What is named otherwise (the log, marks, reports of models) is compared with the server
by `sync`. The server is the truth: whatever a crash leaves here is put right from there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from seqprep.digested import read_digested, write_digested
from seqprep.errors import CorruptError, RemoteError
from seqprep.parallel import ordered
from seqprep.remote.address import SUFFIX, Address, mirror_folder
from seqprep.snapshot import check_file, replace_bytes

if TYPE_CHECKING:
    from seqprep.remote.bucket import Bucket, Stored

MARK = ".mirror.json"
"""In a mirror's folder: which store it mirrors. Nothing secret stands there."""
KNOWN = ".mirrored"
"""In a dataset's folder: what the server said of the files here; see Seen."""
LOCK = ".mirroring"
STAGING = ".staging"
"""In a mirror's folder: files on their way."""
AT_ONCE = 8
"""Files that are fetched or sent at the same time."""


class Seen(NamedTuple):
    """A file here as it was when it equalled the server's.

    Args:
        etag: the server's. size_bytes, changed_ns: of the file here.
    """

    etag: str
    size_bytes: int
    changed_ns: int


Known = dict[str, Seen]
"""By the file's name below the store's prefix."""


class Mirror:
    """A store on S3, and the folder that mirrors it.

    Args:
        root: the folder.
        address: of the store.
    """

    def __init__(self, root: Path, address: Address) -> None:
        self.root, self.address = root, address
        self.bucket = _bucket(address)

    def name(self, path: Path) -> str:
        """The name of a file's object."""
        return path.relative_to(self.root).as_posix()

    def listed(self, folder: Path, *, beginning: str = "") -> dict[Path, Stored]:
        """The objects below a folder by the path that they have here, as the server lists them."""
        found = self.bucket.list(f"{self.name(folder)}/{beginning}")
        return {self.root / one.name: one for one in found if not one.name.endswith("/")}

    def folders(self, folder: Path) -> list[str]:
        """Names of the folders in a folder on the server."""
        start = "" if folder == self.root else f"{self.name(folder)}/"
        found = self.bucket.list(start, shallow=True)
        return [one.name[len(start) : -1] for one in found if one.name.endswith("/")]

    @contextmanager
    def held(self, dataset: str) -> Iterator[Known]:
        """Be the only process here that compares a dataset with the server; not for threads twice.

        Yields:
            What is known of its files; changes are kept.
        """
        folder = self.root / dataset
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            known = _read_known(folder / KNOWN)
            before = dict(known)
            try:
                yield known
            finally:
                if known != before:
                    write_digested(folder / KNOWN, known)
        finally:
            os.close(handle)

    def _staged(self) -> Path:
        # Not beside its target: what a crash leaves there would not belong to a bundle.
        (self.root / STAGING).mkdir(parents=True, exist_ok=True)
        return self.root / STAGING / f".{uuid4().hex}.tmp"

    @contextmanager
    def aside(self) -> Iterator[Path]:
        """A file of the mirror that is gone when the block ends, unless it was moved."""
        path = self._staged()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def fetch(self, path: Path, *, size_bytes: int | None, sha256: str) -> bool:
        """Get one file that is named by its hash; False where the server lacks it.

        Raises:
            CorruptError: if the server's bytes are not those that were committed.
        """
        with self.aside() as staged:
            if not self.bucket.get(self.name(path), staged):
                return False
            try:
                size = staged.stat().st_size if size_bytes is None else size_bytes
                check_file(staged, size_bytes=size, sha256=sha256)
            except CorruptError as error:
                raise CorruptError(
                    f"{self.address}/{self.name(path)}: the bytes are not those that were "
                    "committed; restore the object or run the stage that made it again"
                ) from error
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staged, path)
            return True

    def copy(self, paths: Sequence[Path]) -> Iterator[Path]:
        """Get files as the server has them now, in this order; those that it lacks are left out."""

        def got(path: Path) -> tuple[Path, Path | None]:
            staged = self._staged()
            return path, staged if self.bucket.get(self.name(path), staged) else None

        for path, staged in ordered(got, paths, workers=AT_ONCE):
            if staged is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged, path)
                yield path


def md5(path: Path) -> bytes:
    """The MD5 of a file, against accidents."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).digest()


def _read_known(path: Path) -> Known:
    """What was known; nothing where that cannot be trusted: then files are fetched again."""
    try:
        return {name: Seen(*seen) for name, seen in read_digested(path).items()}
    except (OSError, CorruptError, ValueError, TypeError, AttributeError):
        return {}


@lru_cache(maxsize=64)
def _bucket(address: Address) -> Bucket:
    try:
        # Not at the top: boto3 is an extra, and slow to import.
        from seqprep.remote.bucket import Bucket
    except ModuleNotFoundError as error:
        raise RemoteError(
            f"{address}: a store on S3 needs boto3; install it with pip install 'seqprep[s3]'"
        ) from error
    return Bucket(address)


def mirror_at(address: Address) -> Mirror:
    """The mirror of a store; its folder is made where there is none."""
    root = mirror_folder(address)
    body = {"bucket": address.bucket, "prefix": address.prefix, "endpoint": address.endpoint}
    if not (root / MARK).is_file():
        replace_bytes(root / MARK, json.dumps(body).encode())
    return _opened(root)


def mirror_of(path: Path) -> Mirror | None:
    """The mirror that a path lies in; None for a store in a plain folder, which is not touched."""
    for parent in (path, *path.parents):
        if parent.suffix == SUFFIX and (parent / MARK).is_file():
            return _opened(parent)
    return None


@lru_cache(maxsize=64)
def _opened(root: Path) -> Mirror:
    body = json.loads((root / MARK).read_bytes())
    return Mirror(root, Address(**body))
