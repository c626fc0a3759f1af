"""The report says what the figures say, and its plots are real pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.reporting import plots, reports
from flows.show_print import sparkline

REPORT: dict[str, Any] = {
    "labels": ["a", "b"],
    "model": {
        "parameters": 1200,
        "device": "cpu",
        "threads": 1,
        "precision": "float32",
        "execution": "dense",
    },
    "train": {
        "updates": 10,
        "epochs": 2,
        "best_epoch": 2,
        "seconds": 1.5,
        "real_steps_per_s": 1000.0,
        "padding_share": 0.02,
        "seconds_per_step": 3.25e-6,
        "memory_bytes": 300 * 2**20,
        "memory_bytes_per_step": 5120.0,
    },
    "metrics": {"test": {"records": 10, "accuracy": 0.9, "macro_f1": 0.9, "majority": 0.5}},
    "baselines": {
        "test": {"majority": {"accuracy": 0.5}, "length": {"accuracy": 0.95, "macro_f1": 0.95}}
    },
    "per_class": {
        "test": [{"label": "a|b", "precision": 1.0, "recall": 0.5, "f1": 0.667, "support": 4}]
    },
    "confusion": {"test": [[4, 1], [0, 5]]},
}
EPOCHS = [
    {"epoch": n, "train_loss": 1 / n, "validation_loss": 1.1 / n, "validation": {"accuracy": 0.8}}
    for n in (1, 2)
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A training run's folder with the files that a report is made from."""
    pipeline = {"dataset": "d", "prepare": {"recipe": "r"}, "source": {"domain": "text"}}
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    (tmp_path / "job.json").write_text(json.dumps({"pipeline": pipeline}))
    lines = [{"event": "epoch", **epoch} for epoch in EPOCHS]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_a_report_says_when_a_cheap_baseline_is_better(folder: Path) -> None:
    """Would break if the page praised a model that a glance at the length beats."""
    text = reports.write_report(folder, prepared=None).read_text(encoding="utf-8")
    assert "Test accuracy **0.900**" in text
    assert "does not beat the best cheap baseline (length: 0.950)" in text


def test_a_report_tells_time_and_memory_of_a_step(folder: Path) -> None:
    """Would break if nobody could say what twice the length would cost."""
    text = reports.write_report(folder, prepared=None).read_text(encoding="utf-8")
    assert "| time a real step | 3.25 microseconds |" in text
    assert "| memory that training took | 300 MB |" in text
    assert "| memory a step of a batch | 5.0 kB |" in text
    old = {**REPORT, "train": {**REPORT["train"]}}  # type: ignore[dict-item]
    del old["train"]["memory_bytes"]  # type: ignore[attr-defined]
    (folder / "report.json").write_text(json.dumps(old))
    assert "memory" not in reports.write_report(folder, prepared=None).read_text()


def test_a_label_cannot_break_the_table(folder: Path) -> None:
    """Would break if a `|` in a class name added a column."""
    text = reports.write_report(folder, prepared=None).read_text(encoding="utf-8")
    assert "| a\\|b | 1.000 | 0.500 | 0.667 | 4 |" in text


def test_an_artifact_carries_its_pictures(folder: Path) -> None:
    """Would break if Prefect's page showed broken images."""
    text = reports.inline_images(reports.write_report(folder, prepared=None))
    assert text.count("data:image/png;base64,") == 2
    assert ".png)" not in text


def test_a_line_still_being_written_is_left_for_later(folder: Path) -> None:
    """Would break if following a running training choked on half a line."""
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text() + '{"event": "epo')
    assert [event["epoch"] for event in reports.read_events(path)] == [1, 2]


def test_a_repeated_epoch_counts_once(folder: Path) -> None:
    """Would break if a resumed run drew an epoch twice."""
    path = folder / "metrics.jsonl"
    again = {"event": "epoch", **EPOCHS[1], "train_loss": 0.25}
    path.write_text(path.read_text() + json.dumps(again) + "\n")
    assert [epoch["train_loss"] for epoch in reports.read_epochs(path)] == [1.0, 0.25]


def test_plots_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Would break if a report changed without its figures changing."""
    for name in ("a.png", "b.png"):
        plots.confusion(tmp_path / name, matrix=[[1, 2], [3, 4]], labels=["x", "a long label name"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_an_empty_histogram_is_an_empty_line() -> None:
    """Would break if `show` failed on a dataset without rows."""
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "  "
