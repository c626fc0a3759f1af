"""Trainers that run for this process, and how one is asked to end.

It imports next to nothing: a signal may ask for it while the flows are still being imported.
"""

from __future__ import annotations

import subprocess

from models.training.grace import GRACE_S


class TrainingStopped(RuntimeError):  # noqa: N818
    """A training was told to stop; the same command goes on."""


RUNNING: set[subprocess.Popen[bytes]] = set()
"""Trainers of this process, for a command that is interrupted."""
ENDED: list[int] = []
"""Exit codes of those that were asked to end: at SIGTERM Prefect first unwinds a flow, and with it
its training, and only then is the command told."""


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
