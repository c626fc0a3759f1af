"""All of a dataset on S3 against its mirror, for `verify`: fetched where it is not here yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from seqprep.parallel import ordered
from seqprep.remote.mirror import AT_ONCE, Mirror, md5, mirror_of
from seqprep.snapshot import file_sha256


def check_stored(folder: Path) -> Iterator[str | None]:
    """Compare what the server has with the files here; in a plain folder there is nothing to do.

    Neither side is changed where both have a file: which of them is right, its hash tells.

    Yields:
        What is wrong with each object that the mirror held already; None for one that is equal.
    """
    mirror = mirror_of(folder)
    if mirror is None:
        return
    listed = mirror.listed(folder)
    here = [path for path in listed if path.is_file()]
    for _ in mirror.copy([path for path in listed if path not in here]):
        pass

    def differs(path: Path) -> str | None:
        if md5(path).hex() == listed[path].etag or _is_equal(mirror, path):
            return None
        return (
            f"{mirror.address}/{mirror.name(path)}: not what its copy here is, {path}; put back "
            "the one whose bytes fit"
        )

    yield from ordered(differs, here, workers=AT_ONCE)


def _is_equal(mirror: Mirror, path: Path) -> bool:
    """Compare the bytes themselves: not every etag is an MD5."""
    with mirror.aside() as copy:
        return mirror.bucket.get(mirror.name(path), copy) and file_sha256(copy) == file_sha256(path)
