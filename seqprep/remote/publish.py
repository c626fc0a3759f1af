"""A commit enters the log: of a plain folder at once, of a mirror first on the server.

There the files go first, then the entry of the log, which one writer of several wins. The entry is
made in a copy of the log, and put on condition that there is none of its number. Only then it is
written here, so the mirror never shows a version that the server lacks. Killed in between, the next
`pull` brings the entry; killed before, nobody sees anything.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deltalake.exceptions import CommitFailedError

from seqprep.errors import RemoteError
from seqprep.parallel import ordered
from seqprep.remote.address import NO_CONDITIONS
from seqprep.remote.files import obtain_state
from seqprep.remote.mirror import AT_ONCE, STAGING, Known, Mirror, mirror_of
from seqprep.remote.sync import note, pull_table
from seqprep.snapshot import replace_bytes
from seqprep.staging import STALE_S, collect_stale, is_older
from seqprep.upkeep.seals import LOG, REPLACED, SEALS, seal_log

PROBE, PROBED = ".written-on-condition", ".probed"
COPY = ".commit-"
FRESH_S = STALE_S / 2
"""An object older than this is sent again, so that `gc` does not take it for a leftover."""


def publish(
    table: Path, paths: Sequence[Path], *, base: int | None, write: Callable[[Path], None]
) -> None:
    """Make the files of a version visible by one entry of the log.

    Args:
        table: its folder.
        paths: rows and state of the version, all named by their hashes.
        base: the version that is built upon; None for a new table.
        write: commits to the table in a folder; of a mirror, to one with a copy of the log.

    Raises:
        CommitFailedError: if another commit came first.
        RemoteError: if the server cannot be used, or the table was deleted there.
    """
    mirror = mirror_of(table)
    if mirror is None:
        write(table)
        seal_log(table)
        return
    _check_conditions(mirror)
    _send(mirror, paths)
    number = 0 if base is None else base + 1
    with _copied(mirror, table) as copy:
        write(copy)
        if not _enter(mirror, table, copy, number):
            pull_table(mirror, table)
            raise CommitFailedError(f"{table}: version {number} was committed by another run")


def _enter(mirror: Mirror, table: Path, copy: Path, number: int) -> bool:
    """Put the entry on the server and here; False where another one is there."""
    entry = table / LOG / f"{number:020d}.json"
    place = f"{mirror.address}/{mirror.name(table)}"
    data = _without_folder((copy / LOG / entry.name).read_bytes(), place)
    with mirror.held(table.parent.name) as known:
        before = entry.with_name(f"{number - 1:020d}.json")
        if number and not any(mirror.bucket.list(mirror.name(before))):
            raise RemoteError(f"{place}: the table was deleted meanwhile; run again")
        etag = mirror.bucket.put_if_absent(mirror.name(entry), data)
        if etag is None and not _is_ours(mirror, entry, data):
            return False
        replace_bytes(entry, data)
        if etag is not None:
            note(mirror, known, [(entry, etag)])
        _put_beside(mirror, table, copy, known)
    return True


def _without_folder(data: bytes, place: str) -> bytes:
    """An entry of the log without the folder that it was made in, which delta-rs tells at first."""
    lines = [json.loads(line) for line in data.splitlines()]
    for line in lines:
        told = line.get("commitInfo", {}).get("operationParameters", {})
        if "location" in told:
            told["location"] = place
    return b"\n".join(json.dumps(line, separators=(",", ":")).encode() for line in lines)


def _is_ours(mirror: Mirror, entry: Path, data: bytes) -> bool:
    """Whether the entry on the server is this one: the answer to a first try may have been lost."""
    with mirror.aside() as there:
        return mirror.bucket.get(mirror.name(entry), there) and there.read_bytes() == data


def _put_beside(mirror: Mirror, table: Path, copy: Path, known: Known) -> None:
    """Checkpoints that the commit made, and digests of what is new in the log."""
    made = sorted((copy / LOG).glob("*.checkpoint*.parquet"))
    new = [path for path in made if not (table / LOG / path.name).is_file()]
    if new:
        new.append(copy / LOG / REPLACED)
    for path in new:
        replace_bytes(table / LOG / path.name, path.read_bytes())
    seal_log(table)
    paths = [table / LOG / path.name for path in new]
    paths += sorted(
        path
        for path in (table / SEALS).glob("[!.]*")
        if mirror.name(path) not in known or (path.name == REPLACED and new)
    )
    note(mirror, known, ((path, mirror.bucket.put(mirror.name(path), path)) for path in paths))


@contextmanager
def _copied(mirror: Mirror, table: Path) -> Iterator[Path]:
    """A folder with a copy of a table's log, without its rows."""
    for old in mirror.root.glob(f"{COPY}*"):
        if is_older(old, time.time() - STALE_S):
            shutil.rmtree(old, ignore_errors=True)
    collect_stale(mirror.root / STAGING)
    with tempfile.TemporaryDirectory(dir=mirror.root, prefix=COPY) as folder:
        copy = Path(folder)
        (copy / LOG).mkdir()
        for path in (table / LOG).glob("[!.]*"):
            os.link(path, copy / LOG / path.name)
        yield copy


def _send(mirror: Mirror, paths: Sequence[Path]) -> None:
    """Send what the server has not got, or got so long ago that `gc` might take it."""
    since_s = time.time() - FRESH_S

    def send(path: Path) -> None:
        obtain_state(path)  # an older version's may be on the server alone
        name, size_bytes = mirror.name(path), path.stat().st_size
        there = next(mirror.bucket.list(name), None)
        if there is None or there.size_bytes != size_bytes or there.modified_s < since_s:
            mirror.bucket.put(name, path)

    for _ in ordered(send, paths, workers=AT_ONCE):
        pass


def _check_conditions(mirror: Mirror) -> None:
    """Try once for each mirror whether the server writes on condition, as two writers need.

    Raises:
        RemoteError: if it overwrites instead.
    """
    if (mirror.root / PROBED).is_file():
        return
    mirror.bucket.put_if_absent(PROBE, b"")
    if mirror.bucket.put_if_absent(PROBE, b"") is not None:
        raise RemoteError(NO_CONDITIONS.format(mirror.address))
    replace_bytes(mirror.root / PROBED, b"")
