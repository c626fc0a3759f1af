"""One trainer a folder, and none that nobody watches."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.options.checks import JobError
from models.train import STOPPED
from models.training.lock import PARENT, exclusive
from tests.synthetic import task_snapshot

ROOT = Path(__file__).resolve().parents[3]
LAUNCHER = """
import os, subprocess, sys, time
os.environ["SEQPREP_PARENT"] = str(os.getpid())
print(subprocess.Popen([sys.executable, "-m", "models.train", sys.argv[1]]).pid, flush=True)
time.sleep(600)
"""


def job_file(folder: Path, **options: Any) -> Path:
    """A job that ends only when it is asked to."""
    path = task_snapshot(folder / "data", "classify", rows=60)
    train = {"model": {"hidden": 8}, "epochs": 100_000, "max_rows": 4, "threads": 1, **options}
    (folder / "job.json").write_text(
        json.dumps({"snapshot": str(path), "out": "out", "train": train})
    )
    return folder / "job.json"


def start(*command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(what: Callable[[], bool], *, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_second_trainer_of_a_job_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    """Two trainers would write one checkpoint and one bundle in turns."""
    job = job_file(tmp_path)
    (tmp_path / "out").mkdir()
    with exclusive(tmp_path / "out"):
        second = start("-m", "models.train", str(job))
        _, errors = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"process {os.getpid()} is training there" in errors


def test_a_held_folder_is_free_again_after_its_holder(tmp_path: Path) -> None:
    """A file left behind must not lock a job for ever."""
    with (
        exclusive(tmp_path),
        pytest.raises(JobError, match=f"process {os.getpid()}"),
        exclusive(tmp_path, wait_s=0.1),
    ):
        pass
    with exclusive(tmp_path, wait_s=0):
        pass


def test_a_trainer_whose_parent_was_killed_stops_with_its_checkpoint(tmp_path: Path) -> None:
    """An orphan would train on beside the run that its parent's successor starts."""
    launcher = start("-c", LAUNCHER, str(job_file(tmp_path)))
    assert launcher.stdout is not None
    trainer = int(launcher.stdout.readline())
    try:
        wait_until((tmp_path / "out/checkpoint/state.safetensors").is_file)
        launcher.kill()
        with exclusive(tmp_path / "out", wait_s=30):  # held until the trainer's end
            events = (tmp_path / "out/metrics.jsonl").read_text().splitlines()
        assert json.loads(events[-1])["event"] == "stopped"
    finally:
        launcher.kill()
        launcher.communicate()
        if is_alive(trainer):
            os.kill(trainer, signal.SIGKILL)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_exit_status_of_an_orphan_is_that_of_a_stop(tmp_path: Path) -> None:
    """Whoever reads the status must see that the same command goes on."""
    process = start("-m", "models.train", str(job_file(tmp_path)), **{PARENT: "1"})
    process.communicate(timeout=60)
    assert process.returncode == STOPPED
