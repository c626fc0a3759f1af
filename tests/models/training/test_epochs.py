"""Which weights are kept, at which rate is learnt, and what no checkpoint may hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models import train
from models.job import Job
from models.options.model import Model
from models.options.training import Optimizer, Train
from models.training.checkpoint import NAME
from models.training.optimize import learning_rate
from models.training.setting import save, set_up
from seqprep.errors import SeqprepError
from seqprep.schema import SPLITS
from seqprep.snapshot import Snapshot
from tests.synthetic import (
    example_table,
    facts_of_task,
    task_snapshot,
    token_rows,
    write_snapshot,
)

TINY = Train(
    model=Model(hidden=8, embedding=4, dropout=0.0),
    max_rows=8,
    epochs=4,
    threads=1,
    device="cpu",
)


def test_the_best_epochs_weights_are_shipped_not_the_last_ones(tmp_path: Path) -> None:
    """A model that overfits after its best epoch would be shipped overfitted."""
    rng, tables = np.random.default_rng(0), {}
    for number, split in enumerate(SPLITS):  # labels by chance: what is learnt helps nobody
        data = token_rows(30, seed=number)
        data["label"] = rng.integers(0, 2, 30).tolist()
        facts = facts_of_task("classify", data)
        tables[split] = example_table(data, facts, prefix=split)
    path = write_snapshot(tmp_path / "data", facts, tables)
    rough = Optimizer(lr=0.05, schedule="constant", warmup=0.0)
    options = replace(TINY, optimizer=rough, epochs=6)
    job = Job(snapshot=str(path), out=str(tmp_path / "out"), train=options)
    report = json.loads(train.train(job).read_bytes())
    found = [epoch["validation_loss"] for epoch in report["train"]["history"]]
    best = report["train"]["best_epoch"]
    assert best < 6 and found[best - 1] == min(found) < found[-1]
    assert report["metrics"]["validation"]["loss"] == pytest.approx(min(found), rel=1e-6)
    shipped = load_file(tmp_path / "out/bundle/weights.safetensors")
    stored = load_file(tmp_path / "out/checkpoint" / NAME)
    assert all(torch.equal(shipped[key], stored[f"best/{key}"]) for key in shipped)
    assert any(not torch.equal(shipped[key], stored[f"model/{key}"]) for key in shipped)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_rate_follows_the_schedule_through_the_run(tmp_path: Path, schedule: str) -> None:
    """A schedule that stands in the file but not in the optimiser trains at another rate."""
    path = task_snapshot(tmp_path / "data", "classify", rows=32)
    optimizer = Optimizer(lr=0.01, schedule=schedule, warmup=0.25)  # type: ignore[arg-type]
    options = replace(TINY, optimizer=optimizer, epochs=None, updates=16)
    job = Job(snapshot=str(path), out=str(tmp_path / "out"), train=options)
    history = json.loads(train.train(job).read_bytes())["train"]["history"]
    assert len(history) >= 3
    for epoch in history:
        share = (epoch["update"] - 0.5) / 16
        assert epoch["lr"] == pytest.approx(learning_rate(optimizer, share))
    assert {epoch["lr"] == 0.01 for epoch in history[1:]} == {schedule == "constant"}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_checkpoint_holds_what_is_not_finite(tmp_path: Path, value: float) -> None:
    """A run could never go on from it, and the last good one would be gone."""
    path = task_snapshot(tmp_path / "data", "classify", rows=8)
    (tmp_path / "out").mkdir()
    job = Job(snapshot=str(path), out=str(tmp_path / "out"), train=TINY)
    setting = set_up(job, Snapshot.read(path), {"snapshot": "one"}, torch.device("cpu"))
    save(setting)
    before = (tmp_path / "out/checkpoint" / NAME).read_bytes()
    with torch.no_grad():
        next(iter(setting.run.model.parameters())).view(-1)[0] = value
    with pytest.raises(SeqprepError, match=r"not finite.*lower train.optimizer.lr"):
        save(setting)
    assert (tmp_path / "out/checkpoint" / NAME).read_bytes() == before
