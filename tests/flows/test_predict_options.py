"""What prediction cannot do is refused where it is asked for, not after a day of training."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from flows.pipeline_file import build
from flows.predict import predict_files
from seqprep.errors import ConfigError
from seqprep.schema import Task

SOURCES: dict[Task, dict[str, Any]] = {
    "classify": {"domain": "text", "path": "x"},
    "regress": {"domain": "text", "path": "x"},
    "label_steps": {"domain": "eeg", "path": "x", "target": {"from": "column", "column": "s"}},
    "regress_steps": {"domain": "eeg", "path": "x", "target": {"from": "column", "columns": ["q"]}},
    "translate": {"domain": "dna", "path": "x", "target": {"from": "codons"}},
    "next": {"domain": "text", "path": "x"},
    "reconstruct": {"domain": "text", "path": "x"},
}
MODELS = {"translate": "encoder_decoder", "next": "next_symbol", "reconstruct": "autoencoder"}


def body_of(task: Task, step: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A pipeline file of a task with one random step."""
    return {
        "dataset": "x",
        "source": {**SOURCES[task], "task": task},
        "prepare": {"steps": [{"subsequences": {"pieces": 1, "piece": 6, **step}}]},
        "train": {"model": {"name": MODELS.get(task, "lstm"), "bidirectional": task != "next"}},
        **options,
    }


@pytest.mark.parametrize("step", [{"views": 2}, {"when": "train"}], ids=["stored", "drawn"])
@pytest.mark.parametrize("task", get_args(Task))
def test_views_are_averaged_only_where_records_have_one_answer(
    task: Task, step: dict[str, Any]
) -> None:
    """A bundle that was trained with views it cannot pool would never answer: they are in it."""
    assert build(body_of(task, step)).predict.views == 0
    asked = body_of(task, step, predict={"views": 3})
    if task in ("classify", "regress"):
        assert build(asked).predict.views == 3
        return
    with pytest.raises(ConfigError, match=f"predict.views = 3.*got task: {task}.*remove it"):
        build(asked)


def test_attention_of_a_stream_is_refused() -> None:
    """Rows of a stream hold no weights: the option would be ignored, and the plot would fail."""
    with pytest.raises(ConfigError, match=r"--attention has no meaning with --stream.*remove one"):
        predict_files.fn("no such bundle", ["x"], out="p.parquet", every=5, attention=True)


def test_next_symbols_of_training_rows_without_their_records_are_refused() -> None:
    """A model that never saw a record begin or end would foretell neither."""
    with pytest.raises(ConfigError, match=r"original: drop.*begin and end.*remove it"):
        build(body_of("next", {"views": 2, "original": "drop"}))
    build(body_of("reconstruct", {"views": 2, "original": "drop"}))


def test_windows_of_next_symbols_come_last() -> None:
    """Steps after windows would leave unknown which symbols two windows share."""
    body = body_of("next", {"when": "train"})
    body["prepare"]["steps"] = [{"windows": {"length": 9}}, {"truncate": {"length": 5}}]
    with pytest.raises(ConfigError, match="move windows to the end"):
        build(body)
    body["prepare"]["steps"].reverse()
    build(body)
