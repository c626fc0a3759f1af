"""The weights that a run hands on are those of its best epoch on validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from models import train
from models.answers import outputs
from models.answers.objectives import objective_for
from models.bundle import Bundle
from models.job import Job
from models.options.model import Model
from models.options.training import Optimizer, Train
from models.training import loop
from seqprep.batches import BatchSettings, BatchSource
from seqprep.snapshot import Snapshot
from tests.synthetic import example_table, facts_of_task, write_snapshot

OVERFIT = Train(
    model=Model(hidden=8, embedding=4),
    optimizer=Optimizer(lr=0.03),
    epochs=6,
    max_rows=4,
    threads=1,
    device="cpu",
)


def contradicted(root: Path) -> Path:
    """A snapshot whose validation contradicts one label in four: being too sure costs."""
    rows = [[2, 3, 2], [4, 5, 4]] * 8
    train_data = {"tokens": rows, "label": [0, 1] * 8}
    other = {"tokens": rows, "label": [1, 1, 0, 1, 0, 1, 0, 0] * 2}
    facts = facts_of_task("classify", train_data)
    tables = {"train": example_table(train_data, facts)}
    tables |= {name: example_table(other, facts, prefix=name) for name in ("validation", "test")}
    return write_snapshot(root, facts, tables)  # type: ignore[arg-type]


def validation_loss(bundle: Bundle, snapshot: Path) -> float | None:
    source = BatchSource.of_snapshot(
        Snapshot.read(snapshot), "validation", settings=BatchSettings()
    )
    plain = objective_for("classify", moments=None)
    return outputs.run(bundle.model, source, plain, device=torch.device("cpu")).loss


@pytest.mark.parametrize("stop", [None, 17])
def test_the_bundle_is_that_of_the_best_epoch_and_not_of_the_last(
    tmp_path: Path, stop: int | None
) -> None:
    """An overfitted last epoch would be shipped under the figures of a better one."""
    snapshot = contradicted(tmp_path / "data")
    work = Job(snapshot=str(snapshot), out=str(tmp_path / "out"), train=OVERFIT)
    if stop is not None:  # the best weights have to outlive a stop after they were overtaken
        asked = iter([False] * (stop - 1) + [True])
        with pytest.raises(loop.Stopped):
            train.train(work, stopping=lambda: next(asked))
    report: dict[str, Any] = json.loads(train.train(work).read_bytes())
    history = [epoch["validation_loss"] for epoch in report["train"]["history"]]
    assert min(history[0], history[-1]) > min(history) + 0.05, "the best must lie between"
    assert report["train"]["best_epoch"] == history.index(min(history)) + 1
    shipped = Bundle.read(tmp_path / "out/bundle")
    assert validation_loss(shipped, snapshot) == pytest.approx(min(history), abs=1e-5)
    assert report["metrics"]["validation"]["loss"] == pytest.approx(min(history), abs=1e-5)
