"""Ends what a command started when the command itself is killed.

Prefect's temporary server and worker processes do not notice that the command is gone. Everything a
command starts inherits a mark; a small process of its own waits for the command's end, however it
comes, and then ends what still bears the mark. It needs /proc, thus Linux; elsewhere nothing is
guarded.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

MARK = "SEQPREP_COMMAND"
PATIENCE_S = 30.0
"""For a training to write its checkpoint after it was asked to end."""
_PROC = Path("/proc")


def start() -> None:
    """Mark all that this process will start, and guard it until this process ends."""
    if not (_PROC / "self" / "environ").exists() or MARK in os.environ:
        return
    os.environ[MARK] = uuid4().hex
    # The guard reads to the end of a pipe that only this process can write to.
    subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, os.environ[MARK]],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def marked(mark: str) -> list[int]:
    """Processes that bear a mark, without this one."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or belongs to somebody else
        if wanted in variables:
            found.append(int(folder.name))
    return found


def end(mark: str) -> None:
    """Ask all that bear a mark to end, and kill what does not."""
    deadline = time.monotonic() + PATIENCE_S
    number = signal.SIGTERM
    while processes := marked(mark):
        for process in processes:
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue
        if number == signal.SIGKILL:
            return
        while marked(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
        number = signal.SIGKILL


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end(sys.argv[1])
