"""One trainer a folder, and none that outlives the process that watches over it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.options.checks import JobError

NAME = "lock"
WAIT_S = 5.0
PARENT = "SEQPREP_PARENT"
"""Environment variable with the process id of the parent without which a trainer shall stop."""


@contextmanager
def exclusive(folder: Path, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold a folder for this process alone; the kernel lets go of it however the process ends.

    Args:
        folder: of the job; it gets a file `lock` with the holder's process id, which stays.
        wait_s: seconds to wait for a holder that is about to end.

    Raises:
        JobError: naming the process that holds the folder.
    """
    limit = time.monotonic() + wait_s
    with (folder / NAME).open("a+", encoding="ascii") as file:
        while not _taken(file.fileno()):
            if time.monotonic() >= limit:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise JobError(
                    f"{folder}: process {holder} is training there; wait for its end, or stop it: "
                    "it writes a checkpoint and this job goes on from it"
                )
            time.sleep(0.05)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_orphan() -> bool:
    """Whether the parent that the environment names has died.

    The parent is asked for by number: a death signal of the kernel would follow the thread that
    started us, and a flow's threads end before the flow does.

    Raises:
        JobError: if the environment names no process.
    """
    named = os.environ.get(PARENT)
    if not named:
        return False
    if not named.isdigit():
        raise JobError(f"{PARENT} must be a process id, got {named!r}")
    return os.getppid() != int(named)
