"""Scores without a token are those of rows in which it never stood."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from models.answers import outputs
from models.answers.objectives import objective_for
from models.bundle import Bundle
from models.job import Job
from models.options.model import Model
from models.options.training import Train
from models.scores.masking import example_sums, mask_tokens, token_rows, without_token
from models.train import train
from seqprep.batches import BatchSettings, BatchSource
from seqprep.ragged import to_lists
from seqprep.schema import IGNORED_LABEL, OOV, Task
from seqprep.snapshot import Snapshot, read_shard
from tests.synthetic import (
    example_table,
    facts_of_task,
    rows_of_task,
    task_snapshot,
    write_snapshot,
)

CPU = torch.device("cpu")


def trained(folder: Path, task: Task = "classify") -> tuple[Bundle, Snapshot]:
    """A model after a few updates, and what it was trained on."""
    snapshot = task_snapshot(folder, task)
    name = "encoder_decoder" if task == "translate" else "lstm"
    options = Train(model=Model(name=name, hidden=8, embedding=8), updates=6, epochs=None)
    train(Job(snapshot=str(snapshot), out=str(folder / "run"), train=options))
    return Bundle.read(folder / "run" / "bundle"), Snapshot.read(snapshot)


def validation(snapshot: Snapshot) -> pa.Table:
    return pa.concat_tables([read_shard(snapshot, shard) for shard in snapshot.of("validation")])


@pytest.mark.parametrize("task", ["classify", "translate"])
def test_scores_equal_those_of_rows_without_the_token(task: Task, tmp_path: Path) -> None:
    """Running only changed rows, all tokens together, would give other scores than one by one."""
    bundle, snapshot = trained(tmp_path, task)
    table, ids = validation(snapshot), [2, 5, 7]
    found = mask_tokens(bundle, snapshot, "validation", ids, device=CPU)
    base = example_sums(bundle, table, device=CPU)
    torch.testing.assert_close(found.scores, base[0] / base[1], rtol=1e-5, atol=1e-6)
    for place, token in enumerate(ids):
        rows = np.arange(len(table))
        changed = without_token(table, rows, np.full(len(table), token))
        sums = example_sums(bundle, changed, device=CPU)
        mine = found.scores.copy()
        mine[found.record[found.token == place]] = found.without[found.token == place]
        torch.testing.assert_close(mine, sums[0] / sums[1], rtol=1e-4, atol=1e-5)
    assert len(found.token) < len(ids) * len(table)


def test_the_score_is_the_probability_of_the_right_class(tmp_path: Path) -> None:
    """The drop would be of another figure than the one it is called."""
    bundle, snapshot = trained(tmp_path)
    source = BatchSource.of_examples(
        validation(snapshot), snapshot.facts, settings=BatchSettings(batch_tokens=64)
    )
    found = outputs.run(bundle.model, source, objective_for("classify"), device=CPU)
    right = found.answers[np.arange(len(found)), found.truth]
    scores = mask_tokens(bundle, snapshot, "validation", [], device=CPU).scores
    torch.testing.assert_close(scores, right.astype(np.float64), rtol=1e-5, atol=1e-6)


def test_windows_of_a_record_give_one_score(tmp_path: Path) -> None:
    """A record of many windows would count more than one of few."""
    data = rows_of_task("classify", 12, seed=0)
    data |= {"id": [f"r{n // 3}" for n in range(12)], "window": [n % 3 for n in range(12)]}
    data["label"] = [n // 3 % 2 for n in range(12)]
    facts = facts_of_task("classify", data)
    table = example_table(data, facts)
    path = write_snapshot(tmp_path, facts, {"train": table, "validation": table}, shards=1)
    options = Train(model=Model(hidden=4, embedding=4), updates=2, epochs=None)
    train(Job(snapshot=str(path), out=str(tmp_path / "run"), train=options))
    bundle = Bundle.read(tmp_path / "run" / "bundle")
    found = mask_tokens(bundle, Snapshot.read(path), "validation", [3, 7], device=CPU)
    sums = example_sums(bundle, table, device=CPU)[0].reshape(4, 3)
    torch.testing.assert_close(found.scores, sums.mean(axis=1), rtol=1e-5, atol=1e-6)
    pairs = set(zip(found.token.tolist(), found.record.tolist(), strict=True))
    assert len(pairs) == len(found.token)
    for place, token in enumerate((3, 7)):
        changed = without_token(table, np.arange(12), np.full(12, token))
        mine = found.scores.copy()
        mine[found.record[found.token == place]] = found.without[found.token == place]
        expected = example_sums(bundle, changed, device=CPU)[0].reshape(4, 3).mean(axis=1)
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-5)


def test_removing_closes_up_and_never_leaves_a_row_empty() -> None:
    """Holes would be padding inside a row, targets stand at other steps, or a row vanish."""
    data = {"tokens": [[2, 3, 2, 4], [2, 2], [3]], "targets": [[0, 1, 0, 1], [1, 1], [0]]}
    facts = facts_of_task("label_steps", data)
    table = example_table(data, facts)
    changed = without_token(table, np.array([0, 1, 0]), np.array([2, 2, 3]))
    assert to_lists(token_rows(changed)) == [[3, 4], [OOV], [2, 2, 4]]
    assert changed["targets"].to_pylist() == [[1, 1], [IGNORED_LABEL], [0, 0, 1]]
    assert changed["length"].to_pylist() == [2, 1, 3]
    assert changed["id"].to_pylist() == ["r#0", "r#1", "r#0"]
    assert changed.schema == table.schema
