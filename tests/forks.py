"""Work in a forked process, for the scripts of storms."""

from __future__ import annotations

import os
from collections.abc import Callable


def child(work: Callable[[], object]) -> int:
    """Start it in a process of its own, which says what went wrong; the process's id."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            os._exit(1)
    return pid


def ends(pid: int) -> int:
    """Wait for its end; the exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
