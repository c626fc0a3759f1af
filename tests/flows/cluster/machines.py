"""A Dask scheduler and workers as processes of their own, for tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT

PATIENCE_S = 240


class Machines:
    """A scheduler, and workers with one thread that nobody starts again; ended on exit.

    Args:
        folder: for their files and logs. count: of workers.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._file = folder / "scheduler.json"
        self._started: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Machines:
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        for _ in range(self._count):
            self.add_worker()
        deadline = time.monotonic() + PATIENCE_S
        while not self._file.exists():
            assert time.monotonic() < deadline and self._started[0].poll() is None
            time.sleep(0.1)
        self.address = json.loads(self._file.read_text())["address"]
        return self

    def add_worker(self) -> None:
        """Start one more."""
        options = ("--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        self.workers.append(self._start("worker", *options))

    def kill(self, place: int) -> None:
        """End a worker at once, as the system does for want of memory."""
        os.kill(self.workers[place].pid, signal.SIGKILL)
        self.workers[place].wait()

    def _start(self, kind: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", kind, *options, "--scheduler-file", self._file]
        with (self._folder / f"{kind}-{len(self._started)}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process

    def __exit__(self, *error: object) -> None:
        for process in reversed(self._started):
            process.kill()
            process.wait()
