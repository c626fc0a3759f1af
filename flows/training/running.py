"""Trainers that run for this process, how one is asked to end, and who takes the signals.

It imports next to nothing: a signal may ask for it while the flows are still being imported.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable

from models.training.grace import GRACE_S


class TrainingStopped(RuntimeError):  # noqa: N818
    """A training was told to stop; the same command goes on."""


RUNNING: set[subprocess.Popen[bytes]] = set()
"""Trainers of this process, for a command that is interrupted."""
ENDED: list[int] = []
"""Exit codes of those that were asked to end."""
HANDLERS: dict[int, Callable[[int, object], None]] = {}
"""What a command does at a signal, by its number; empty in a worker, where Prefect is in charge."""


def hold_signals() -> None:
    """Put a command's own handlers back where Prefect has put its own for the time of a flow.

    Prefect's would unwind the flow and report to the temporary server, which a signal to the whole
    group of processes (`timeout`, a batch system) has ended, too: it waits for it in vain.
    """
    if threading.current_thread() is threading.main_thread():
        for number, handler in HANDLERS.items():
            signal.signal(number, handler)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a trainer for a checkpoint and its end; end it if it does not answer in time."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        ENDED.append(process.returncode)
