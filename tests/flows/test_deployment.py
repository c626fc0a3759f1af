"""The server, the worker and a deployment run, for real, on loopback."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.flows.system import System

FEW = {"settings": ["train.updates=5"]}

pytestmark = pytest.mark.slow


def up_while_all_is_killed(system: System) -> str:
    """`./run up` after the server was killed, and the worker while the new one starts."""
    killed, worker = system.process("server"), system.process("worker")
    os.kill(killed.pid, signal.SIGKILL)

    def kill_worker() -> None:
        while system.process("server") == killed:
            time.sleep(0.05)
        os.kill(worker.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill_worker, daemon=True)
    thread.start()
    said = system.up()
    thread.join(timeout=5)
    return said


def test_a_deployment_run_trains_a_model_and_what_was_killed_is_mended(tmp_path: Path) -> None:
    """Would break if `./run up` could not deploy, a worker not run a flow, or `up` not mend."""
    with System(tmp_path) as system:
        assert "already run" in system.up()
        assert system.wait(system.start("pipeline/default", **FEW)).name == "Completed"
        assert list(tmp_path.glob("store/sample_text/models/*/bundle/manifest.json"))
        with system.client() as client:
            schedules = {s.slug: s for one in client.read_deployments() for s in one.schedules}
            assert not any(schedule.active for schedule in schedules.values())
            nightly = schedules["nightly"]
            of = client.read_deployment_by_name("pipeline/default")
            client.update_deployment_schedule(of.id, nightly.id, active=True)
            [silent] = client.read_automations_by_name("seqprep silent runs have crashed")
            client.pause_automation(silent.id)
        os.kill(system.process("worker").pid, signal.SIGKILL)
        assert "started: worker" in system.up()
        (tmp_path / "flows" / "__init__.py").write_text('"""Changed code."""\n')
        said = up_while_all_is_killed(system)
        assert "started: server and worker" in said
        assert "deployed prefect.yaml" in said
        with system.client() as client:
            [kept] = client.read_deployment_by_name("pipeline/default").schedules
            assert kept.active, "a schedule that a person resumed was paused again"
            [silent] = client.read_automations_by_name(silent.name)
            assert not silent.enabled, "an automation that a person switched off is on again"
        assert system.wait(system.start("pipeline/default", **FEW)).name == "Completed"
        assert "stopped 2 processes" in system.serve("down")
    assert not (tmp_path / ".prefect" / "processes.json").exists()


def test_what_cannot_be_started_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """Would break if a taken port, an old list of processes or a wrong database left a mess."""
    system = System(tmp_path)
    home = tmp_path / ".prefect"
    home.mkdir()
    state = home / "processes.json"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", system.port))
        taken.listen()
        said = system.serve("up", status=2)
    assert f"something else listens on 127.0.0.1:{system.port}" in said
    assert not state.exists()
    state.write_text("[{]")  # half written by another program
    nowhere = "postgresql://me:secret-word@127.0.0.1:9/runs"
    said = system.serve("up", status=2, DATABASE_URL=nowhere)
    assert "error: the server ended" in said
    assert not state.exists()
    logs = "".join(path.read_text() for path in home.rglob("*.log"))
    assert "secret-word" not in said + logs
    said = system.serve("up", status=2, DATABASE_URL="mysql://me:secret-word@host/runs")
    assert "DATABASE_URL must look like postgresql" in said
    assert "secret-word" not in said
    assert "stopped 0 processes" in system.serve("down")
