"""Mode exact, stopped and gone on: an epoch's edge must leave no trace in any figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from models import train
from models.job import Job
from models.options.model import Model
from models.options.training import Backpropagation, Optimizer, Train
from models.training.run import Stopped
from tests.synthetic import VOCAB, example_table, facts_of_task, write_snapshot

LENGTHS = (3000, 2950, 2600, 2640, 2500, 2520)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """Long records, of which a batch holds two."""
    random = np.random.default_rng(0)
    rows = [random.integers(2, VOCAB, length).tolist() for length in LENGTHS]
    data = {"tokens": rows, "label": [0, 1] * 3}
    facts = facts_of_task("classify", data)
    tables = {
        split: example_table(data, facts, prefix=split) for split in ("train", "validation", "test")
    }
    return write_snapshot(tmp_path / "data", facts, tables)  # type: ignore[arg-type]


def result(snapshot: Path, out: Path, *, stop: int | None) -> tuple[Any, ...]:
    """Updates, figures of each epoch and of the splits, and the weights."""
    options = Train(
        model=Model(hidden=64, embedding=16, bidirectional=False, dropout=0.0),
        backpropagation=Backpropagation(mode="exact", memory="4MB"),
        batch_tokens=6000,
        max_rows=None,
        epochs=2,
        optimizer=Optimizer(lr=0.01),
        device="cpu",
        threads=1,
    )
    job, asked = Job(snapshot=str(snapshot), out=str(out), train=options), [0]

    def stopping() -> bool:
        asked[0] += 1
        return asked[0] == stop

    if stop is not None:
        with pytest.raises(Stopped):
            train.train(job, stopping=stopping)
    train.train(job)
    report = json.loads((out / "report.json").read_bytes())
    history = [(e["train_loss"], e["validation_loss"]) for e in report["train"]["history"]]
    weights = load_file(out / "bundle/weights.safetensors")
    updates = report["train"]["updates"]
    return updates, history, report["metrics"], {name: w.tolist() for name, w in weights.items()}


def test_a_stop_at_an_edge_or_within_changes_nothing(snapshot: Path, tmp_path: Path) -> None:
    """Evaluation once read by the blocks of the last training batch, which a resume has not."""
    whole = result(snapshot, tmp_path / "whole", stop=None)
    assert len(whole[1]) == 2
    for stop in (2, whole[0] // 2):
        assert result(snapshot, tmp_path / f"stopped-{stop}", stop=stop) == whole, stop
