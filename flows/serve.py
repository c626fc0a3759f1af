"""`./run up` and `./run down`: Prefect's server and one process worker on loopback.

`up` starts both in the background, creates the work pool, deploys prefect.yaml and prints where the
page is. `down` ends the two processes that `up` started, and no others. Everything stays in
`.prefect/` of the current folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from rich.console import Console

from flows.environment import quiet
from seqprep.errors import SeqprepError
from seqprep.snapshot import replace_bytes

HOST = "127.0.0.1"
POOL = "seqprep"
START_S = 120.0


def up(root: Path, *, port: int) -> str:
    """Start server and worker and deploy.

    Args:
        root: the project's folder.
        port: of the server, on loopback.

    Returns:
        The address of the page.

    Raises:
        SeqprepError: if something already answers there, or the server does not come up.
    """
    home = root / ".prefect"
    state = home / "processes.json"
    if any(_is_ours(entry) for entry in _read(state)):
        raise SeqprepError("server and worker already run; `./run down` stops them")
    address = f"http://{HOST}:{port}"
    if _answers(address):
        raise SeqprepError(f"something else answers on {address}; choose another port: PORT=4201")
    quiet(home=home)
    # Must be known before the server starts, or its page asks the wrong port.
    os.environ.pop("SEQPREP_TERMINAL", None)
    os.environ.update(
        PREFECT_API_URL=f"{address}/api",
        PREFECT_LOGGING_LEVEL="INFO",
        SEQPREP_ROOT=str(root),
    )
    prefect = [sys.executable, "-m", "prefect"]
    started = []
    started.append(
        _start([*prefect, "server", "start", "--host", HOST, "--port", str(port)], home / "server")
    )
    replace_bytes(state, json.dumps(started).encode())
    _wait(address, home / "server.log")
    _run([*prefect, "work-pool", "create", POOL, "--type", "process", "--overwrite"], root)
    _run([*prefect, "--no-prompt", "deploy", "--all"], root)
    started.append(_start([*prefect, "worker", "start", "--pool", POOL], home / "worker"))
    replace_bytes(state, json.dumps(started).encode())
    return address


def down(root: Path) -> int:
    """End the processes that `up` started; return how many were running."""
    state = root / ".prefect" / "processes.json"
    running = [entry for entry in _read(state) if _is_ours(entry)]
    for entry in reversed(running):
        os.kill(int(entry["pid"]), signal.SIGINT)
    limit_s = time.monotonic() + 20
    while time.monotonic() < limit_s and any(_is_ours(entry) for entry in running):
        time.sleep(0.2)
    for entry in running:
        if _is_ours(entry):
            os.kill(int(entry["pid"]), signal.SIGKILL)
    state.unlink(missing_ok=True)
    return len(running)


def _read(state: Path) -> list[dict[str, str]]:
    return json.loads(state.read_bytes()) if state.is_file() else []


def _is_ours(entry: dict[str, str]) -> bool:
    """Whether the process still runs and is the one that was started (pids are used again)."""
    try:
        return _started(int(entry["pid"])) == entry["started"]
    except OSError:
        return False


def _started(pid: int) -> str:
    """What tells one process from a later one with the same id."""
    status = Path(f"/proc/{pid}/stat")
    if status.exists():
        fields = status.read_text().rpartition(")")[2].split()
        if fields[0] == "Z":
            raise ProcessLookupError(pid)
        return fields[19]
    os.kill(pid, 0)
    return "running"


def _start(command: list[str], log: Path) -> dict[str, str]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.with_suffix(".log").open("ab") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return {"pid": str(process.pid), "started": _started(process.pid)}


def _run(command: list[str], root: Path) -> None:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-5:]
        raise SeqprepError(f"{' '.join(command[2:5])} failed: {' '.join(last)}")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/api/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _wait(address: str, log: Path) -> None:
    limit_s = time.monotonic() + START_S
    while not _answers(address):
        if time.monotonic() > limit_s:
            raise SeqprepError(f"the server did not answer on {address}; its log: {log}")
        time.sleep(0.3)


def _port(text: str) -> int:
    if not text.isdigit() or not 1024 <= int(text) < 65536:
        raise SeqprepError(f"PORT must be a number from 1024 to 65535, got {text!r}")
    return int(text)


def main() -> None:
    """Read the one argument, `up` or `down`, and do it."""
    console = Console(highlight=False, soft_wrap=True)
    root = Path.cwd()
    try:
        if sys.argv[1:] == ["up"]:
            console.print("starting server and worker ...")
            address = up(root, port=_port(os.environ.get("PORT", "4200")))
            console.print(f"page:  {address}")
            console.print(f"try:   export PREFECT_API_URL={address}/api")
            console.print(
                "       .venv/bin/prefect deployment run 'pipeline/default' "
                "--param file=data/text.yaml --watch"
            )
            console.print("logs:  .prefect/server.log, .prefect/worker.log")
            console.print("stop:  ./run down")
        elif sys.argv[1:] == ["down"]:
            console.print(f"stopped {down(root)} processes")
        else:
            raise SeqprepError("usage: ./run up | down")
    except SeqprepError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
