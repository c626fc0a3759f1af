"""Who uses a dataset: many runs that add to it, or one that deletes.

Ingest and prepare hold a shared lock while their files are not committed yet; `gc` and `remove`
hold it alone, so that nothing is deleted that a live run is about to publish. The kernel lets go of
a lock however its holder ends. Training holds a lock of its own folder instead: see `model_runs`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seqprep.errors import SeqprepError

NAME = ".lock"


class InUseError(SeqprepError):
    """Another run works on the dataset."""


@contextmanager
def using(folder: Path) -> Iterator[None]:
    """Keep a dataset's files from being deleted; waits for a deletion that is under way."""
    folder.mkdir(parents=True, exist_ok=True)
    with _opened(folder) as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only run that works on a dataset.

    Raises:
        InUseError: if an ingest, a prepare or another deletion is running.
    """
    with _opened(folder) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(
                f"{folder}: an ingest, a prepare or a deletion is running there; run again when it "
                "has ended"
            ) from None
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder / NAME, os.O_CREAT | os.O_RDWR, 0o666)
    try:
        yield handle
    finally:
        os.close(handle)
