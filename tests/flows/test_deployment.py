"""The server, the worker and a deployment run, for real, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def run(command: list[str], folder: Path, environment: dict[str, str], status: int = 0) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_deployment_run_trains_a_model(tmp_path: Path) -> None:
    """Would break if `./run up` could not deploy, or a worker could not run a flow."""
    for name in ("flows", "models", "seqprep", "data", "prefect.yaml"):
        source, target = ROOT / name, tmp_path / name
        shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    port = free_port()
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PREFECT")},
        "PYTHONPATH": str(tmp_path),
        "PORT": str(port),
    }
    serve = [sys.executable, "-m", "flows.serve"]
    try:
        assert f"http://127.0.0.1:{port}" in run([*serve, "up"], tmp_path, environment)
        assert "already run" in run([*serve, "up"], tmp_path, environment, status=2)
        client = {
            **environment,
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_HOME": str(tmp_path / ".prefect"),
        }
        prefect = [sys.executable, "-m", "prefect"]
        start = [*prefect, "deployment", "run", "pipeline/default", "--watch"]
        settings = ["--param", 'settings=["train.updates=5"]']
        assert "Completed" in run([*start, *settings], tmp_path, client)
        assert list(tmp_path.glob("store/sample_text/models/*/bundle/manifest.json"))
        schedules = run(
            [*prefect, "deployment", "schedule", "ls", "pipeline/default"], tmp_path, client
        )
        assert "False" in schedules or "Paused" in schedules or "paused" in schedules
    finally:
        stopped = run([*serve, "down"], tmp_path, environment)
    assert "stopped 2 processes" in stopped
