"""Evaluation in blocks: the answers of whole rows, in a memory that does not grow with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import train
from models.answers.outputs import run as run_outputs
from models.backpropagation.activations import Size
from models.backpropagation.evaluation import evaluation_block, in_blocks
from models.backpropagation.exact import set_block
from models.job import Job
from models.layers.core import Core
from models.options.model import Model
from models.options.training import Backpropagation, Train
from seqprep.schema import Task
from tests.models.long_batches import batch_of, model_of
from tests.models.peak import peak_bytes
from tests.synthetic import task_snapshot

ONE_WAY = Model(hidden=32, embedding=8, dropout=0.0, bidirectional=False)
CPU = torch.device("cpu")
WAYS = {
    "exact": Backpropagation(mode="exact", memory="1MB"),
    "last_k": Backpropagation(mode="last_k", k=20),
    "segments": Backpropagation(mode="segments", k1=20),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("task", ["classify", "label_steps", "regress_steps"])
def test_answers_are_those_of_whole_rows(task: Task, way: str, bidirectional: bool) -> None:
    """Figures of one model must not hang on the way it was trained."""
    config = replace(ONE_WAY, bidirectional=bidirectional)
    model = model_of(config, task, dtype=torch.float32).eval()
    batch = batch_of(task, (9000, 4000, 17), dtype=torch.float32)
    with torch.no_grad():
        whole = model(batch)
        with in_blocks(model, Train(model=config, backpropagation=WAYS[way]), CPU):
            found = model(batch)
            assert any(getattr(m, "block", None) is not None for m in model.modules())
    assert all(getattr(m, "block", None) is None for m in model.modules())
    for length, one, other in zip((9000, 4000, 17), found, whole, strict=True):
        real = slice(None, length if task != "classify" else None)
        torch.testing.assert_close(one[real], other[real], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("way", ["last_k", "segments"])
def test_memory_does_not_grow_with_the_length(way: str) -> None:
    """Training that keeps a segment alone is of no use where its evaluation keeps the record."""
    model = model_of(ONE_WAY, "classify", dtype=torch.float32).eval()
    options = Train(model=ONE_WAY, backpropagation=WAYS[way])

    def read(steps: int) -> None:
        with torch.no_grad(), in_blocks(model, options, CPU):
            model(batch_of("classify", (steps,), dtype=torch.float32))

    inputs = 3 * 8 * 30_000  # of the record itself: ids, and what they are drawn and joined from
    assert peak_bytes(lambda: read(40_000)) < peak_bytes(lambda: read(10_000)) + inputs


def test_short_rows_are_read_at_once() -> None:
    """Blocks of a few steps would make an evaluation slower, and gain nothing."""
    model = model_of(ONE_WAY, "classify", dtype=torch.float32)
    for size in (Size(rows=1, steps=2000), Size(rows=64, steps=100), Size(rows=2000, steps=60)):
        assert evaluation_block(model, ONE_WAY, size, "cpu") is None
    long = evaluation_block(model, ONE_WAY, Size(rows=64, steps=10_000), "cpu")
    assert long is not None and long >= 64 * 128


def test_blocks_follow_from_the_batch_alone() -> None:
    """What the last training batch left on a model once changed the figures after a resume."""
    config = ONE_WAY
    model = model_of(config, "classify", dtype=torch.float32).eval()
    options, answers = Train(model=config, backpropagation=WAYS["exact"]), []
    batch = batch_of("classify", (3000, 2900), dtype=torch.float32)
    for left in (None, 64, 5000):
        set_block(model, left)
        with torch.no_grad(), in_blocks(model, options, CPU):
            answers.append(model(batch))
    assert torch.equal(answers[0], answers[1]) and torch.equal(answers[0], answers[2])


@pytest.mark.parametrize("way", ["last_k", "segments"])
def test_a_job_evaluates_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """In its epochs and at its end: every batch of a split passes here."""
    seen: list[tuple[bool, int | None]] = []
    forward = Core.forward

    def noted(core: Core, x_BTF: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        seen.append((core.training, core.block))
        return forward(core, x_BTF, lengths_B)

    monkeypatch.setattr(Core, "forward", noted)
    monkeypatch.setattr("models.backpropagation.exact.FAST_BYTES", {"cpu": 2**10})
    monkeypatch.setattr("models.backpropagation.exact._FEW_STEPS", 1)
    monkeypatch.setattr("models.backpropagation.evaluation.FAST_BYTES", {"cpu": 2**10})
    path = task_snapshot(tmp_path / "snapshot", "label_steps", rows=40)
    model = Model(hidden=32, dropout=0.0, bidirectional=False)
    options = Train(model=model, backpropagation=WAYS[way], epochs=1, device="cpu", threads=1)
    train.train(Job(snapshot=str(path), out=str(tmp_path / "out"), train=options))
    evaluated = [block for training, block in seen if not training]
    assert evaluated and None not in evaluated


def test_evaluation_counts_as_memory_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that leaves it out hides what a job needs."""
    path = task_snapshot(tmp_path / "snapshot", "classify", rows=40)
    marks = {"now": 2**20}
    monkeypatch.setattr("models.training.memory.peak_bytes", lambda device: marks["now"])

    def raised(*arguments: object, **options: object) -> object:
        marks["now"] += 5 * 2**20
        return run_outputs(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("models.answers.outputs.run", raised)
    options = Train(model=ONE_WAY, epochs=1, device="cpu", threads=1)
    train.train(Job(snapshot=str(path), out=str(tmp_path / "out"), train=options))
    report = json.loads((tmp_path / "out/report.json").read_bytes())
    assert report["train"]["memory_bytes"] == 15 * 2**20  # one epoch, then both splits
