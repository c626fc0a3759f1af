"""Cheap answers find what they should, and are fitted on plain training rows only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.reporting.reports import best_baseline, score_table
from models.bundle import Bundle
from models.job import Job
from models.options.model import Model
from models.options.training import Train
from models.scores import baselines
from models.scores.baselines import score_all
from models.train import train
from seqprep.batches import BatchSettings, BatchSource
from seqprep.schema import SPLITS, Task
from seqprep.snapshot import Snapshot
from tests.synthetic import (
    example_table,
    facts_of_task,
    task_snapshot,
    value_rows,
    write_snapshot,
)


def scores(path: Path) -> dict[str, Any]:
    snapshot, settings = Snapshot.read(path), BatchSettings()
    sources = {s: BatchSource.of_snapshot(snapshot, s, settings=settings) for s in SPLITS}
    return score_all(sources, ("validation", "test"))


def snapshot_of(
    root: Path, data: dict[str, Any], *, task: Task = "classify", **changes: Any
) -> Path:
    facts = facts_of_task(task, data, **changes)
    tables = {split: example_table(data, facts, prefix=split) for split in SPLITS}
    return write_snapshot(root, facts, tables)


def test_length_alone_finds_a_shortcut(tmp_path: Path) -> None:
    """Where length gives the class away a person must see it beside the model's score."""
    lengths = [n + 40 * (n % 2) for n in range(1, 41)]
    data = {"tokens": [[2] * n for n in lengths], "label": [n % 2 for n in range(1, 41)]}
    test = scores(snapshot_of(tmp_path, data))["test"]
    assert test["length"]["accuracy"] > 0.8 > test["majority"]["accuracy"]


def test_naive_bayes_reads_words_by_presence(tmp_path: Path) -> None:
    """A rare word tells the class, however often the frequent ones occur."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    rows = [[*rng.integers(2, 390, 20).tolist(), 395 + code] for code in label]
    path = snapshot_of(tmp_path, {"tokens": rows, "label": label.tolist()}, vocab_size=400)
    assert scores(path)["test"]["naive_bayes"]["accuracy"] > 0.9


def test_naive_bayes_reads_the_order_of_a_small_vocabulary(tmp_path: Path) -> None:
    """DNA of equal composition differs in its 4-mers."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 60)
    rows = [[2, 3, 4, 5] * 5 if code else [5, 4, 3, 2] * 5 for code in label]
    path = snapshot_of(tmp_path, {"tokens": rows, "label": label.tolist()})
    assert scores(path)["test"]["naive_bayes"]["accuracy"] == 1


def test_standard_deviation_reads_amplitude(tmp_path: Path) -> None:
    """In signals amplitude alone is often most of the answer."""
    path = task_snapshot(tmp_path, "regress", rows=3)
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 60)
    rows = [(rng.normal(size=60) * (1 + 3 * code)).tolist() for code in label]
    path = snapshot_of(tmp_path, {"values": rows, "label": label.tolist()})
    assert scores(path)["test"]["standard_deviation"]["accuracy"] > 0.95


def test_augmented_views_do_not_count(tmp_path: Path) -> None:
    """A class whose rows were augmented more would become the majority."""
    data = {
        "tokens": [[2]] * 8,
        "label": [0, 0, 1, 1, 1, 1, 1, 1],
        "view": [0, 0, 0, 1, 2, 3, 4, 5],
    }
    facts = facts_of_task("classify", data)
    plain = example_table({"tokens": [[2]] * 3, "label": [0, 0, 1]}, facts)
    tables = {"train": example_table(data, facts), "validation": plain, "test": plain}
    path = write_snapshot(tmp_path, facts, tables, shards=1)  # type: ignore[arg-type]
    assert scores(path)["test"]["majority"]["accuracy"] == 2 / 3


def test_every_task_has_a_baseline(tmp_path: Path) -> None:
    """A score without one says nothing."""
    wanted = {
        "classify": {"majority", "length", "naive_bayes"},
        "regress": {"mean", "linear"},
        "label_steps": {"majority", "naive_bayes"},
        "regress_steps": {"mean", "linear"},
        "translate": {"majority", "table"},
    }
    for task, names in wanted.items():
        path = task_snapshot(tmp_path / task, task, rows=30)  # type: ignore[arg-type]
        assert set(scores(path)["test"]) == names
    values = snapshot_of(tmp_path / "values", value_rows(30, seed=0))
    wanted_of_values = {"majority", "length", "standard_deviation", "band_power"}
    assert set(scores(values)["test"]) == wanted_of_values


def test_wide_rows_are_read_in_small_slices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording of 64 channels would be copied whole, 64 times what was reckoned with."""
    path = snapshot_of(tmp_path, value_rows(40, seed=0))
    snapshot, settings = Snapshot.read(path), BatchSettings()
    monkeypatch.setattr(baselines, "SLICE_CELLS", 400)
    source = BatchSource.of_snapshot(snapshot, "train", settings=settings)
    sizes = [part.inputs.values.size for part in baselines._slices(source)]
    longest = 2 * max(int(part.inputs.lengths.max()) for part in source.examples())
    assert len(sizes) > 2 and max(sizes) < 400 + longest


def test_a_report_names_the_baselines_that_fitted_state_allows(tmp_path: Path) -> None:
    """Without the vocabulary and the recipe, which a training run has, bases cannot be spelt."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 60)
    bodies = ["".join(rng.choice(list("ACG"), 73)) for _ in label]
    rows = [
        f"ATG{body[: 36 + code]}TAA{body[36 + code :]}"  # a stop in phase, or beside it
        for body, code in zip(bodies, label, strict=True)
    ]
    data = {
        "tokens": [["--ACGT".index(base) for base in row] for row in rows],
        "label": label.tolist(),
    }
    snapshot = snapshot_of(tmp_path / "data", data, vocab_size=6)
    fitted = tmp_path / "fitted.json"
    fitted.write_text(json.dumps({"vocabulary": list("ACGT")}), encoding="utf-8")
    job = Job(
        snapshot=str(snapshot),
        out=str(tmp_path / "out"),
        train=Train(model=Model(hidden=4), epochs=1, threads=1, device="cpu"),
        fitted=str(fitted),
        pipeline={"prepare": {"tokens": {"unit": "kmer", "k": 1, "stride": 1}, "steps": []}},
    )
    report = json.loads(train(job).read_bytes())
    assert report["baselines"]["test"]["open_frame"]["accuracy"] == 1
    assert best_baseline(report) == ("open frame", 1.0)
    assert "open frame, test" in score_table(report)
    assert Bundle.read(tmp_path / "out/bundle").scores["baselines"] == report["baselines"]


def test_a_step_alone_tells_its_class(tmp_path: Path) -> None:
    """Where the sign of a value is the label, a model of sequences has nothing to add."""
    path = task_snapshot(tmp_path / "values", "label_steps", rows=60)
    found = scores(path)["test"]
    assert found["naive_bayes"]["accuracy"] > 0.9 > found["majority"]["accuracy"]
    rows = [[2, 3, 4, 5] * (n % 3 + 1) for n in range(12)]
    targets = [[token % 2 for token in row] for row in rows]
    path = snapshot_of(
        tmp_path / "tokens", {"tokens": rows, "targets": targets}, task="label_steps"
    )
    assert scores(path)["test"]["naive_bayes"]["accuracy"] == 1


def test_steps_without_a_label_do_not_count(tmp_path: Path) -> None:
    """Code -1 is no class; counted, it would be the last one."""
    rows = [[2, 3, 4, 5]] * 12
    targets = [[0, -1, 0, 1]] * 12
    path = snapshot_of(tmp_path, {"tokens": rows, "targets": targets}, task="label_steps")
    found = scores(path)["test"]
    assert found["naive_bayes"]["accuracy"] == 1
    assert found["majority"]["accuracy"] == 2 / 3


def test_a_linear_answer_of_a_step_is_found(tmp_path: Path) -> None:
    """The sample's target is 100 + left - right: one line of least squares finds it."""
    path = task_snapshot(tmp_path, "regress_steps", rows=60)
    found = scores(path)["test"]
    assert found["linear"]["r2"] > 0.999 > 0.1 > found["mean"]["r2"]
    rows = [[2, 3, 4, 5] * (n % 3 + 1) for n in range(12)]
    targets = [[float(token) for token in row] for row in rows]
    data = {"tokens": rows, "targets": targets}
    path = snapshot_of(tmp_path / "tokens", data, task="regress_steps")
    assert scores(path)["test"]["linear"]["r2"] > 0.999


def test_a_value_that_follows_length_composition_or_amplitude_is_found(tmp_path: Path) -> None:
    """What length, tokens or amplitude tell must stand beside the model's score."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 60, 90)
    rows = [rng.integers(2, 6, n).tolist() for n in lengths]
    of_length = snapshot_of(
        tmp_path / "length",
        {"tokens": rows, "label": [3.0 * n for n in lengths]},
        task="regress",
    )
    of_tokens = snapshot_of(
        tmp_path / "tokens",
        {"tokens": rows, "label": [row.count(3) / len(row) for row in rows]},
        task="regress",
    )
    scale = rng.uniform(1, 5, 90)
    values = [(rng.normal(size=200) * s).tolist() for s in scale]
    of_values = snapshot_of(
        tmp_path / "values", {"values": values, "label": scale.tolist()}, task="regress"
    )
    for path in (of_length, of_tokens, of_values):
        assert scores(path)["test"]["linear"]["r2"] > 0.9


def test_a_table_of_symbols_finds_a_cipher(tmp_path: Path) -> None:
    """Where each token has its symbol, no decoder is needed; reversed order it does not see."""
    rng = np.random.default_rng(0)
    rows = [rng.integers(2, 6, n).tolist() for n in rng.integers(3, 9, 40)]
    targets = [[9 - token for token in row for _ in range(2)] for row in rows]
    path = snapshot_of(tmp_path, {"tokens": rows, "target_tokens": targets}, task="translate")
    found = scores(path)["test"]
    assert found["table"]["exact_match"] == 1
    assert found["majority"]["token_accuracy"] < 0.6
