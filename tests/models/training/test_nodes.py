"""One training run on two machines, each with a torchrun of its own; here both are this one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import train
from models.job import Job, to_json
from models.options.model import Model
from models.options.training import Train
from tests.models.in_processes import ROOT, children_of
from tests.synthetic import task_snapshot

STILL = Train(
    model=Model(hidden=8, embedding=4, dropout=0.0),
    max_rows=7,
    epochs=2,
    threads=1,
    device="cpu",
)
"""Without dropout, which each process draws for itself."""

pytestmark = pytest.mark.slow


def job_file(folder: Path, snapshot: Path, options: Train) -> Path:
    folder.mkdir()
    job = Job(snapshot=str(snapshot), out=str(folder), train=options)
    (folder / "job.json").write_text(json.dumps(to_json(job)))
    return folder / "job.json"


def nodes(job: Path) -> list[subprocess.Popen[str]]:
    """The command of each of two machines, as the README gives it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-id", job.parent.name]
    options += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}"]
    options += ["--local-addr", "127.0.0.1"]
    return [
        subprocess.Popen(
            [sys.executable, "-m", "torch.distributed.run", *options, "-m", "models.train", job],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]


def kill(machine: subprocess.Popen[str]) -> None:
    """All of it at once: torchrun, and the trainer, which has a session of its own."""
    for pid in (machine.pid, *children_of(machine.pid)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def history(folder: Path) -> list[tuple[float, float]]:
    body = json.loads((folder / "report.json").read_bytes())["train"]
    return [(epoch["train_loss"], epoch["grad_norm"]) for epoch in body["history"]]


def test_two_machines_train_the_model_of_one(tmp_path: Path) -> None:
    """Who adds a machine would get another model."""
    snapshot = task_snapshot(tmp_path / "data", "classify", rows=60)
    job = job_file(tmp_path / "two", snapshot, STILL)
    ended = [(process.communicate(timeout=300)[1], process.returncode) for process in nodes(job)]
    assert [status for _, status in ended] == [0, 0], ended
    start = json.loads((job.parent / "metrics.jsonl").read_text().splitlines()[0])
    assert start["processes"] == 2
    train.train(Job(snapshot=str(snapshot), out=str(tmp_path / "one"), train=STILL))
    np.testing.assert_allclose(history(job.parent), history(tmp_path / "one"), rtol=1e-4)


def test_a_machine_that_dies_ends_the_run_which_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """The other one would wait for its gradients, or the work so far be lost."""
    snapshot = task_snapshot(tmp_path / "data", "classify", rows=60)
    options = replace(STILL, epochs=100_000)
    job = job_file(tmp_path / "two", snapshot, options)
    machines = nodes(job)
    while not (job.parent / "checkpoint/state.safetensors").is_file():
        assert all(machine.poll() is None for machine in machines)
        time.sleep(0.05)
    kill(machines[1])
    try:
        _, errors = machines[0].communicate(timeout=120)
    finally:
        kill(machines[0])
    assert machines[0].returncode == 1, errors
    machines[1].communicate()
    calls: list[int] = []
    with pytest.raises(train.Stopped):  # one machine goes on where two were
        train.train(train.read_job(job), stopping=lambda: bool(calls.append(1)) or len(calls) > 2)
    events = [json.loads(line) for line in (job.parent / "metrics.jsonl").read_text().splitlines()]
    begun = [event for event in events if event["event"] == "start"]
    assert [event["processes"] for event in begun] == [2, 1]
    assert begun[1]["update"] > 0
