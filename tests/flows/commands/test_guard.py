"""A command that is killed leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.commands import guard

DATA = Path(__file__).parents[3] / "data"
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="processes are found through /proc (Linux)"
)


def wait_for(what: Callable[[], bool], *, seconds: float) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.1)
    return False


def processes_with(variable: str) -> dict[int, bytes]:
    """Command lines of the processes that have this in their environment."""
    found = {}
    for folder in Path("/proc").iterdir():
        try:
            if variable.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (folder / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
    return found


def test_a_killed_command_leaves_no_server(tmp_path: Path) -> None:
    """Prefect's temporary server would run for ever, one for each kill (S8)."""
    home = f"PREFECT_HOME={tmp_path / 'home'}"
    command = [sys.executable, "-c", "from flows.cli import main; main()"]
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path / "home")}
    environment.pop("PREFECT_API_URL", None)
    process = subprocess.Popen(
        [*command, "run", str(DATA / "text.yaml"), "--store", str(tmp_path / "store")],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=DATA.parent,
    )
    served = wait_for(
        lambda: any(b"uvicorn" in line for line in processes_with(home).values()), seconds=120
    )
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert served, "the server never came up"
    assert wait_for(lambda: not processes_with(home), seconds=guard.PATIENCE_S + 10)


def test_only_what_bears_the_mark_is_ended() -> None:
    """A guard that takes others for its own would end the person's work."""
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    own = subprocess.Popen(sleep, env={**os.environ, guard.MARK: "mine"})
    other = subprocess.Popen(sleep, env={**os.environ, guard.MARK: "yours"})
    try:
        assert wait_for(lambda: own.pid in guard.marked("mine"), seconds=10)
        guard.end("mine")
        assert own.wait(timeout=10) == -signal.SIGTERM
        assert other.poll() is None
    finally:
        for process in (own, other):
            process.kill()
            process.wait()


def test_what_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores the request would stay."""
    deaf = (
        "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    )
    command, environment = [sys.executable, "-c", deaf], {**os.environ, guard.MARK: "deaf"}
    monkeypatch.setattr(guard, "PATIENCE_S", 0.5)
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        guard.end("deaf")
        assert process.wait(timeout=10) == -signal.SIGKILL
