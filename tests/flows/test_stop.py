"""A signal ends a command in one line and one stated code, and its training in a checkpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.pipeline_file import to_json
from flows.training import running
from models.training import launch
from models.training.checkpoint import NAME
from models.training.grace import GRACE_S, STOPPED
from tests.conftest import ROOT
from tests.flows.stages import ingest_and_prepare
from tests.flows.training.test_job import pipeline
from tests.synthetic import task_snapshot

FOLLOW = """
import sys
from pathlib import Path
from flows.commands.ending import ending
from flows.training.running import RUNNING
from flows.train import follow

def tell(*_):
    print(*(process.pid for process in RUNNING), flush=True)

with ending():
    follow(Path(sys.argv[1]), tell)
"""
IMPORT = """
import os, signal, sys
from importlib.abc import MetaPathFinder
from flows.commands.ending import ending

class Signal(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "flows.reporting.artifacts":  # what flows.train imports
            os.kill(os.getpid(), signal.SIGTERM)

with ending():
    sys.meta_path.insert(0, Signal())
    import flows.train
"""


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "SEQPREP_TERMINAL": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A training that would take for ever."""
    path = task_snapshot(tmp_path / "data", "classify", rows=300)
    options = {"model": {"hidden": 4}, "epochs": 100_000, "max_rows": 4, "threads": 1}
    (tmp_path / "out").mkdir()
    file = tmp_path / "out/job.json"
    file.write_text(json.dumps({"snapshot": str(path), "out": str(file.parent), "train": options}))
    return file


@pytest.mark.parametrize("alone", [False, True])
def test_a_stopped_training_is_exit_75_whoever_gets_the_signal(job: Path, alone: bool) -> None:
    """Would break if whoever waits for the command could not tell a stop from a failure."""
    command = python(FOLLOW, str(job))
    assert command.stdout is not None
    trainer = int(command.stdout.readline())
    os.kill(trainer if alone else command.pid, signal.SIGTERM)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == STOPPED == 75, errors
    assert (job.parent / "checkpoint" / NAME).is_file()
    assert ("wrote a checkpoint; run again" in errors) == alone
    assert ("stopped; the same command goes on" in errors) != alone
    assert "Traceback" not in errors


def test_a_signal_while_the_flows_are_imported_is_one_line(tmp_path: Path) -> None:
    """Would break if an early Ctrl-C ended in an ImportError of our own."""
    command = python(IMPORT)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == 128 + signal.SIGTERM, errors
    assert errors == "stopped; the same command goes on from here\n"


def test_a_trainer_has_one_grace_whoever_stops_it(job: Path) -> None:
    """Would break if the command killed what it had just asked for a checkpoint."""
    assert launch.GRACE_S is running.GRACE_S is GRACE_S
    command = python(FOLLOW, str(job))
    assert command.stdout is not None
    trainer = int(command.stdout.readline())
    os.kill(trainer, signal.SIGSTOP)  # a long update
    command.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(timeout=2)
    os.kill(trainer, signal.SIGCONT)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == STOPPED, errors


def test_a_second_interrupt_does_not_wait_for_the_checkpoint(job: Path) -> None:
    """Would break if a person who is in a hurry had to wait ten minutes."""
    command = python(FOLLOW, str(job))
    assert command.stdout is not None
    trainer = int(command.stdout.readline())
    os.kill(trainer, signal.SIGSTOP)
    command.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        command.wait(timeout=1.5)
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=10)
    assert command.returncode == 128 + signal.SIGINT, errors
    assert "goes on from the last checkpoint" in errors


@pytest.mark.parametrize("group", [pytest.param(False, marks=pytest.mark.slow), True])
def test_seqprep_train_that_is_stopped_is_exit_75(tmp_path: Path, group: bool) -> None:
    """Would break if Prefect stood between the signal and the code that the README states.

    `timeout` and batch systems signal all processes of a command, its temporary server among them.
    """
    spec = pipeline(tmp_path)
    ingest_and_prepare(spec, tmp_path / "store")
    body = to_json(spec)
    body["train"]["updates"] = 1_000_000
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(body))
    code = "from flows.cli import main; main()"
    command = subprocess.Popen(
        [sys.executable, "-c", code, "train", str(file), "--store", str(tmp_path / "store")],
        cwd=ROOT,
        env={**os.environ, "PREFECT_HOME": str(tmp_path / "prefect")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert command.stderr is not None
    with command:
        said = []
        for line in command.stderr:
            said.append(line)
            if "steps/s" in line:
                (os.killpg if group else os.kill)(command.pid, signal.SIGTERM)
                break
        errors = "".join([*said, *command.stderr])
    assert errors.endswith("stopped; the same command goes on from here\n"), errors
    assert "ERROR" not in errors
    assert command.returncode == STOPPED, errors
    assert list(tmp_path.glob(f"store/tiny/models/*/checkpoint/{NAME}")), errors
