"""Processes in the background: told apart, ended, and no others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.commands.guard import MARK
from flows.serving import processes
from flows.serving.processes import Process, Served

SLEEP = "import time; time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); {SLEEP}"


@pytest.fixture
def spawned() -> Iterator[list[subprocess.Popen[bytes]]]:
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for process in found:
        process.kill()
        process.communicate()


def spawn(
    found: list[subprocess.Popen[bytes]], code: str = SLEEP, **variables: str
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **variables}, stdout=subprocess.PIPE
    )
    found.append(process)
    return process


def known(process: subprocess.Popen[bytes]) -> Process:
    return Process(pid=process.pid, started=processes._started(process.pid) or "")


def test_what_was_remembered_is_read_again(tmp_path: Path) -> None:
    """Would break if the next `up` did not know what the last one started."""
    served = Served(
        port=4200, database="SQLite", processes={"server": Process(pid=7, started="12")}
    )
    served.write(tmp_path)
    assert processes.read(tmp_path) == served
    processes.forget(tmp_path)
    assert processes.read(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[{", "[]", '{"port": 1}', '[{"pid": "1", "started": "2"}]'])
def test_a_list_that_cannot_be_read_names_nobody(tmp_path: Path, text: str) -> None:
    """Would break if half a file, or another version's, kept `up` from starting."""
    (tmp_path / processes.NAME).write_text(text)
    assert processes.read(tmp_path) is None


def test_another_process_with_the_same_id_is_not_ours(
    spawned: list[subprocess.Popen[bytes]],
) -> None:
    """Would break if `down` ended a stranger after the machine was restarted."""
    stranger = spawn(spawned)
    old = Process(pid=stranger.pid, started="1")
    assert not old.runs()
    processes.end([old])
    assert known(stranger).runs()


def test_a_process_that_does_not_listen_is_killed(
    spawned: list[subprocess.Popen[bytes]],
) -> None:
    """Would break if `down` waited for ever for a worker that hangs."""
    deaf = spawn(spawned, DEAF)
    assert deaf.stdout is not None
    deaf.stdout.readline()
    begun_s = time.monotonic()
    processes.end([known(deaf)], within_s=0.5)
    assert deaf.wait(timeout=10) == -signal.SIGKILL
    assert time.monotonic() - begun_s >= 0.5


def test_processes_of_flow_runs_are_found_by_their_project(
    spawned: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """Would break if a run's trainer, or another project's run, passed for a run that lives."""
    of_run = {"PREFECT__FLOW_RUN_ID": "run-1", "SEQPREP_ROOT": str(tmp_path)}
    flow = spawn(spawned, **of_run)
    spawn(spawned, **of_run, **{MARK: "of the run"})
    spawn(spawned, **{**of_run, "SEQPREP_ROOT": "/elsewhere", "PREFECT__FLOW_RUN_ID": "run-2"})
    limit_s = time.monotonic() + 10
    while not (found := processes.of_flow_runs(tmp_path)) and time.monotonic() < limit_s:
        time.sleep(0.05)  # between fork and exec a child bears its parent's variables
    assert found == {"run-1": known(flow)}


def test_nothing_secret_is_remembered(tmp_path: Path) -> None:
    """Would break if the list of processes held more than it says."""
    Served(port=1, database="PostgreSQL host:5432/runs").write(tmp_path)
    body = json.loads((tmp_path / processes.NAME).read_text())
    assert body == {"port": 1, "database": "PostgreSQL host:5432/runs", "processes": {}}
