"""Digests of the files of a Delta log, which the log itself does not keep.

After each commit every new file of `_delta_log` gets a seal in `_seals` beside it. Readers of Delta
skip folders whose name starts with an underscore. A file whose seal a crash kept from being written
is sealed by the next commit; until then `verify` counts it as not sealed. Use it to find altered
bytes; it does not protect against somebody who writes a new seal, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from seqprep.errors import CorruptError
from seqprep.snapshot import replace_bytes

LOG, SEALS = "_delta_log", "_seals"
REPLACED = "_last_checkpoint"
"""The one file of a log that is written anew, together with each checkpoint."""


def seal_log(table: Path) -> None:
    """Seal the files of a table's log that have no seal yet.

    What cannot be written now, on a disk that is full, is left to the next commit.
    """
    with suppress(OSError):
        _seal(table)


def _seal(table: Path) -> None:
    names = _logged(table)
    new = [name for name in names if not (table / SEALS / name).is_file()]
    if REPLACED in names and any(".checkpoint" in name for name in new):
        new.append(REPLACED)
    for name in new:
        digest = hashlib.sha256((table / LOG / name).read_bytes()).hexdigest()
        # Written twice, so that damage to the seal is told from damage to what it seals.
        replace_bytes(table / SEALS / name, f"{digest}\n{digest}\n".encode())


def _logged(table: Path) -> list[str]:
    # delta-rs stages a commit under a hidden name.
    found = (path for path in (table / LOG).iterdir() if path.is_file())
    return sorted(path.name for path in found if not path.name.startswith("."))


def read_sealed(table: Path, name: str) -> bytes:
    """A file of the log, compared with its seal if it has one.

    Raises:
        CorruptError: naming what is missing or altered.
    """
    path = table / LOG / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorruptError(f"{path}: cannot be read: {error.strerror}; restore it") from error
    _compare(table, name, data)
    return data


def check_seals(table: Path) -> Iterator[tuple[Path, CorruptError | None, bool]]:
    """Compare the whole log with its seals.

    Yields:
        Each file of the log, what is wrong with it or with its seal, and whether it has a seal.
    """
    sealed = {path.name for path in (table / SEALS).glob("*") if not path.name.startswith(".")}
    for name in sorted({*_logged(table), *sealed}):
        try:
            read_sealed(table, name)
        except CorruptError as error:
            yield table / LOG / name, error, name in sealed
        else:
            yield table / LOG / name, None, name in sealed


def _compare(table: Path, name: str, data: bytes) -> None:
    seal = table / SEALS / name
    if not seal.is_file():
        return
    lines = seal.read_bytes().split(b"\n")
    if len(lines) != 3 or lines[0] != lines[1] or lines[2] != b"" or len(lines[0]) != 64:
        raise CorruptError(f"{seal}: the seal was altered; delete it if the log reads well")
    if hashlib.sha256(data).hexdigest().encode() != lines[0]:
        raise CorruptError(
            f"{table / LOG / name}: the bytes are not those that were committed; restore the file"
        )
