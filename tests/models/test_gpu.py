"""On CUDA: the same results as on a CPU, and the same bits twice where that is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from models import train
from models.answers.objectives import objective_for
from models.architectures import build
from models.device import prepare_torch, set_determinism, set_execution
from models.job import Job, to_json
from models.options.checks import JobError
from models.options.model import Conv, Front, Model
from models.options.training import Train
from models.shape import Shape, TensorBatch, to_tensors
from models.training.run import Stopped
from seqprep.batches import BatchSettings, BatchSource
from seqprep.snapshot import Snapshot
from tests.synthetic import task_snapshot

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]
ROOT = Path(__file__).resolve().parents[2]
CUDA = Train(model=Model(hidden=16, dropout=0.3), epochs=1, max_rows=8, threads=1, device="cuda")


def gradients(model: torch.nn.Module, batch: TensorBatch, task: Any) -> dict[str, torch.Tensor]:
    """Gradients of the loss, and the outputs, on the CPU."""
    model.zero_grad(set_to_none=True)
    outputs = model(batch)
    total, weight = objective_for(task).loss(outputs, batch)
    (total / weight).backward()
    found = {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}
    return found | {"outputs": outputs.detach().cpu()}


@pytest.mark.parametrize("task", ["classify", "label_steps", "translate"])
def test_dense_packed_and_the_cpu_agree(tmp_path: Path, task: Any) -> None:
    """Another machine or form of the LSTM must not be another model."""
    snapshot = Snapshot.read(task_snapshot(tmp_path, task, rows=24))
    rows = BatchSource.of_snapshot(snapshot, "train", settings=BatchSettings())
    batch = next(rows.batches(rows.plan(0)))
    name = "encoder_decoder" if task == "translate" else "lstm"
    front = Front(conv=(Conv(channels=8, kernel=3, stride=1),))
    torch.manual_seed(0)
    config = Model(name=name, hidden=16, layers=2, dropout=0.0, front=front)  # type: ignore[arg-type]
    model = build(config, Shape.of(snapshot.facts))
    wanted = gradients(model, to_tensors(batch, torch.device("cpu")), task)
    model.cuda()
    for execution in ("dense", "packed"):
        set_execution(model, execution)  # type: ignore[arg-type]
        found = gradients(model, to_tensors(batch, torch.device("cuda")), task)
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            real = float((found[key] - value).norm() / (value.norm() + 1e-6))
            if key == "outputs" and task == "label_steps":  # after the end they mean nothing
                continue
            assert real < 1e-3, (execution, key)


def run(path: Path, out: Path, options: Train) -> dict[str, Any]:
    job = Job(snapshot=str(path), out=str(out), train=options)
    report: dict[str, Any] = json.loads(train.train(job).read_bytes())
    return report


def test_bf16_trains_on_cuda(tmp_path: Path) -> None:
    """Mixed precision must leave losses finite and weights in float32."""
    path = task_snapshot(tmp_path / "data", "classify", rows=30)
    report = run(path, tmp_path / "out", replace(CUDA, precision="bf16"))
    assert report["model"]["device"] == "cuda" and report["model"]["precision"] == "bf16"
    assert report["train"]["history"][0]["validation_loss"] is not None
    weights = load_file(tmp_path / "out/bundle/weights.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_float16_trains_on_cuda_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """The scale of the loss is part of where a run stands; weights stay in float32."""
    path = task_snapshot(tmp_path / "data", "classify", rows=60)
    model = replace(CUDA.model, execution="dense")
    options = replace(CUDA, model=model, precision="float16", deterministic=True, epochs=2)
    calls: list[int] = []
    try:
        run(path, tmp_path / "whole", options)
        job = Job(snapshot=str(path), out=str(tmp_path / "parts"), train=options)
        with pytest.raises(Stopped):
            train.train(job, stopping=lambda: (calls.append(1), len(calls) == 5)[1])
        report = run(path, tmp_path / "parts", options)
    finally:
        set_determinism(False)
    assert report["train"]["history"][-1]["validation_loss"] is not None
    first, second = (
        load_file(tmp_path / name / "bundle/weights.safetensors") for name in ("whole", "parts")
    )
    assert {tensor.dtype for tensor in first.values()} == {torch.float32}
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_devices_train_one_job(tmp_path: Path) -> None:
    """NCCL joins the gradients where gloo does on a CPU."""
    path = task_snapshot(tmp_path / "data", "classify", rows=60)
    job = Job(snapshot=str(path), out=str(tmp_path / "out"), train=replace(CUDA, processes=2))
    (tmp_path / "job.json").write_text(json.dumps(to_json(job)))
    command = [sys.executable, "-m", "models.train", str(tmp_path / "job.json")]
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=600
    )
    start = json.loads((tmp_path / "out/metrics.jsonl").read_text().splitlines()[0])
    assert (start["processes"], start["device"]) == (2, "cuda")


@pytest.mark.skipif(torch.cuda.device_count() != 1, reason="needs one CUDA device")
def test_more_processes_than_devices_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two processes on one device share its memory, and NCCL refuses them in its own words."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(JobError, match="use processes: 1, or device: cpu"):
        prepare_torch(replace(CUDA, processes=2))


def test_deterministic_gives_the_same_bits_twice(tmp_path: Path) -> None:
    """Who asks for the same bits compares two runs by them."""
    path = task_snapshot(tmp_path / "data", "classify", rows=60)
    model = replace(CUDA.model, execution="dense")  # `auto` is measured, and may come out otherwise
    options = replace(CUDA, model=model, deterministic=True)
    try:
        for name in ("first", "second"):
            run(path, tmp_path / name, options)
    finally:
        set_determinism(False)
    first, second = (
        load_file(tmp_path / name / "bundle/weights.safetensors") for name in ("first", "second")
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
