"""The background processes that `./run up` started, remembered in `.prefect/processes.json`.

A process id is used again after its process has ended, so what is remembered is the id and the
moment of its start; a file left by a crash or a restarted machine thus names nobody else.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flows.commands.guard import MARK
from seqprep.snapshot import replace_bytes

NAME = "processes.json"
END_S = 40.0
"""Seconds that a process may take to end; a worker first stops its flow runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One process, told apart from a later one with the same id.

    Args:
        pid: its id.
        started: when it started, as the kernel counts.
    """

    pid: int
    started: str

    def runs(self) -> bool:
        """Whether it still runs."""
        return _started(self.pid) == self.started


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What `up` left running.

    Args:
        port: of the server, on loopback.
        database: what it stores in, without user and password.
        processes: by name, `server` and `worker`.
    """

    port: int
    database: str
    processes: dict[str, Process] = field(default_factory=dict)

    def running(self) -> dict[str, Process]:
        """Those that still run."""
        return {name: one for name, one in self.processes.items() if one.runs()}

    def write(self, home: Path) -> None:
        """Remember it, for the next `up` and for `down`."""
        replace_bytes(home / NAME, json.dumps(asdict(self), indent=1).encode())


def read(home: Path) -> Served | None:
    """What was remembered; None where nothing was, or nothing that can be read."""
    try:
        body = json.loads((home / NAME).read_bytes())
        processes = {name: Process(**one) for name, one in body.pop("processes").items()}
        return Served(**body, processes=processes)
    except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):
        return None


def forget(home: Path) -> None:
    """Remember nothing any more."""
    (home / NAME).unlink(missing_ok=True)


def start(arguments: Iterable[str], *, log: Path, environment: Mapping[str, str]) -> Process:
    """Start `python -m prefect ...` in the background, with its output in a file.

    Args:
        arguments: of prefect.
        log: is appended to.
        environment: all of it.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    return Process(pid=process.pid, started=_started(process.pid) or "")


def end(processes: Iterable[Process], *, within_s: float = END_S) -> None:
    """Ask processes to end, and kill those that do not."""
    asked = list(processes)
    for process in asked:
        _signal(process, signal.SIGTERM)
    limit_s = time.monotonic() + within_s
    while any(process.runs() for process in asked) and time.monotonic() < limit_s:
        time.sleep(0.1)
    for process in asked:
        _signal(process, signal.SIGKILL)


def of_flow_runs(root: Path) -> dict[str, Process]:
    """Processes that execute runs of the deployments of a project, by the run's id.

    What such a process started bears its guard's mark, and is left out.
    """
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            started = _started(int(folder.name))
        except OSError:
            continue  # it has ended, or belongs to somebody else
        told = dict(text.split(b"=", 1) for text in variables if b"=" in text)
        run = told.get(b"PREFECT__FLOW_RUN_ID")
        here = told.get(b"SEQPREP_ROOT") == str(root).encode()
        if run and started and here and MARK.encode() not in told:
            found[run.decode()] = Process(pid=int(folder.name), started=started)
    return found


def _signal(process: Process, number: int) -> None:
    if process.runs():
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def _started(pid: int) -> str | None:
    """When a process started; None if it has ended."""
    if not Path("/proc/self/stat").exists():  # no Linux: by the id alone
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        return "running"
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]
