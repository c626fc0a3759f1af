"""Several processes of one run: the gradients and the order of one, and one end for all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import train
from models.job import Job, to_json
from models.options.model import Model
from models.options.training import Backpropagation, Train
from models.training import loop
from models.training.lock import exclusive
from seqprep.batches import Batch
from tests.models.in_processes import ROOT, children_of, run_processes
from tests.synthetic import task_snapshot

TINY = Train(
    model=Model(hidden=8, embedding=4, dropout=0.3),
    max_rows=7,
    epochs=2,
    threads=1,
    device="cpu",
)
STILL = {
    "full": replace(TINY, model=replace(TINY.model, dropout=0.0)),
    "segments": replace(
        TINY,
        model=replace(TINY.model, dropout=0.0, bidirectional=False),
        backpropagation=Backpropagation(mode="segments", k1=8),
    ),
}
"""Without dropout, which each process draws for itself."""
LIMITS = {"float32": 1e-5, "float64": 1e-10}


def test_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    """Means of parts of unequal size would weigh a record by the process that it fell to."""
    still = Model(hidden=8, dropout=0.0)
    cases: list[dict[str, Any]] = []
    for name, task, options in (
        ("full", "classify", Train(model=still, class_weights="balanced")),
        ("exact", "classify", Train(model=still, backpropagation=Backpropagation(mode="exact"))),
        ("steps", "label_steps", Train(model=still)),
        ("symbols", "translate", Train(model=replace(still, name="encoder_decoder"))),
    ):
        path = task_snapshot(tmp_path / name, task, rows=10)  # type: ignore[arg-type]
        cases += [
            {"snapshot": str(path), "dtype": kind, "train": to_json(options)} for kind in LIMITS
        ]
    (printed, _) = run_processes(2, "gradients", json.dumps(cases))
    for case, found in zip(cases, json.loads(printed), strict=True):
        assert found["relative"] < LIMITS[case["dtype"]], (case, found)
        assert found["fewest"] == 0  # a process without a row took part


def job_file(folder: Path, snapshot: Path, options: Train) -> Path:
    job = Job(snapshot=str(snapshot), out=str(folder / "out"), train=options)
    (folder / "job.json").write_text(json.dumps(to_json(job)))
    return folder / "job.json"


def stop_after(updates: int) -> Any:
    calls: list[int] = []
    return lambda: (calls.append(1), len(calls) == updates)[1]


@pytest.mark.parametrize("way", ["full", pytest.param("segments", marks=pytest.mark.slow)])
def test_going_on_with_another_number_of_processes_keeps_order_and_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Who gets fewer or more machines in between must neither repeat a record nor miss one."""
    path = task_snapshot(tmp_path / "data", "classify", rows=60)
    options = STILL[way]
    seen: list[list[str]] = []
    update = loop.update

    def recorded(run: loop.Run, batch: Batch, share: float) -> Any:
        seen.append(batch.ids.to_pylist())
        return update(run, batch, share)

    monkeypatch.setattr(loop, "update", recorded)
    train.train(Job(snapshot=str(path), out=str(tmp_path / "whole"), train=options))
    whole, seen[:] = list(seen), []
    job = job_file(tmp_path, path, options)
    with pytest.raises(loop.Stopped):
        train.train(train.read_job(job), stopping=stop_after(4))
    begun = len(seen)  # not every round of segments is an update
    run_processes(2, "training", str(job), str(tmp_path / "log"), "8")
    first, second = (json.loads((tmp_path / f"log.{rank}").read_text()) for rank in (0, 1))
    assert len(first) == len(second) == 8  # one was asked, and both stopped
    for one, two, ids in zip(first, second, whole[begun : begun + 8], strict=True):
        assert (one, two) == ((ids[::2], ids[1::2]) if way == "full" else (ids, ids))
    train.train(train.read_job(job))
    assert seen == whole[:begun] + whole[begun + 8 :]
    histories = []
    for name in ("whole", "out"):
        body = json.loads((tmp_path / name / "report.json").read_bytes())["train"]
        histories.append([(epoch["train_loss"], epoch["grad_norm"]) for epoch in body["history"]])
    assert body["resumed"] == 2
    assert len(histories[0]) == 2
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-4)


def command(job: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "models.train", str(job)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_signal_stops_all_processes_with_one_checkpoint_and_one_status(tmp_path: Path) -> None:
    """A worker that is taken away tells one process; all must end, and the same command goes on."""
    path = task_snapshot(tmp_path / "data", "classify", rows=60)
    options = replace(TINY, epochs=100_000, processes=2)
    job = job_file(tmp_path, path, options)
    process = command(job)
    limit = time.monotonic() + 120
    while not (tmp_path / "out/checkpoint/state.safetensors").is_file():
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == train.STOPPED, errors
    assert errors.count("goes on") == 1
    events = [json.loads(x) for x in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events].count("stopped") == 1
    assert events[0]["processes"] == 2
    with exclusive(tmp_path / "out", wait_s=0):  # nobody trains on
        pass


@pytest.mark.slow
def test_an_error_of_one_process_ends_all_with_its_message(tmp_path: Path) -> None:
    """Among tracebacks of processes that lost another nobody finds what went wrong."""
    path = task_snapshot(tmp_path / "data", "classify", rows=20)
    job = job_file(tmp_path, path, replace(TINY, processes=2))
    (tmp_path / "out").mkdir()
    with exclusive(tmp_path / "out"):  # it is rank 0 that wants it
        process = command(job)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert f"process {os.getpid()} is training there" in errors
    assert len(errors.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_killed_process_ends_the_others(tmp_path: Path) -> None:
    """One that the system kills for memory must not leave the rest waiting for its gradients."""
    path = task_snapshot(tmp_path / "data", "classify", rows=60)
    job = job_file(tmp_path, path, replace(TINY, epochs=100_000, processes=2))
    process = command(job)
    while not (tmp_path / "out/checkpoint/state.safetensors").is_file():
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(children_of(process.pid)[-1], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Signal 9 (SIGKILL)" in errors.splitlines()[-1]


@pytest.mark.slow
def test_torchrun_itself_starts_the_same_job(tmp_path: Path) -> None:
    """On several machines a person calls torchrun; the job file stays as it is."""
    path = task_snapshot(tmp_path / "data", "classify", rows=20)
    job = job_file(tmp_path, path, TINY)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run(
        [sys.executable, *torchrun, "-m", "models.train", str(job)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=300,
    )
    start = json.loads((tmp_path / "out/metrics.jsonl").read_text().splitlines()[0])
    assert start["processes"] == 2
    assert (tmp_path / "out/report.json").is_file()
