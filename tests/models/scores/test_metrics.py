"""Scores on tiny literal data, and where they do not exist."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models import train
from models.answers.outputs import Outputs, pool
from models.job import Job
from models.options.model import Model
from models.options.training import Train
from models.scores.folds import pooled_scores
from models.scores.metrics import (
    classify_scores,
    confusion_of,
    per_class,
    regress_scores,
    score,
    translate_scores,
)
from seqprep.errors import SeqprepError
from seqprep.ragged import Ragged, from_lists, to_lists
from tests.synthetic import task_snapshot


def sure(codes: list[int], classes: int) -> np.ndarray:
    """Probabilities that name these classes."""
    return np.eye(classes)[codes] * 0.9 + 0.1 / classes


def test_two_classes() -> None:
    """Sensitivity is of the second label, specificity of the first; swapped they mislead."""
    found = classify_scores(sure([1, 1, 0, 0, 0], 2), np.array([1, 0, 0, 0, 1]), majority=0)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["sensitivity"] == pytest.approx(1 / 2)
    assert found["specificity"] == pytest.approx(2 / 3)
    assert found["majority"] == pytest.approx(3 / 5)
    assert found["macro_f1"] == pytest.approx((2 / 4 + 4 / 6) / 2)
    assert found["mcc"] == pytest.approx((1 * 2 - 1 * 1) / 6)
    assert found["auroc"] == pytest.approx(7 / 12)


def test_a_class_that_a_split_lacks_gives_no_warning() -> None:
    """Small test sets lack classes; their scores are means over those that can be had."""
    found = classify_scores(sure([0, 1, 1], 4), np.array([0, 1, 0]), majority=3)
    assert found["macro_f1"] == pytest.approx(2 / 3)
    assert found["auroc"] is not None and found["majority"] == 0
    alone = classify_scores(sure([0, 0], 2), np.array([0, 0]), majority=0)
    assert alone["auroc"] is None and alone["mcc"] is None and alone["sensitivity"] is None


def test_per_class_table() -> None:
    """Rows of the confusion matrix are the truth; turned round, precision would be recall."""
    matrix = confusion_of(sure([0, 1, 1], 3), np.array([0, 0, 1]))
    assert matrix == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    table = per_class(matrix, ["a", "b", "c"])
    assert table[0] == {"label": "a", "precision": 1, "recall": 0.5, "f1": 2 / 3, "support": 2}
    assert table[2] == {"label": "c", "precision": None, "recall": None, "f1": None, "support": 0}


def test_regression() -> None:
    """R2 of the mean is 0; of a constant truth it does not exist."""
    truth = np.array([[1.0], [3.0]])
    assert regress_scores(np.array([[2.0], [2.0]]), truth) == {"mae": 1, "rmse": 1, "r2": 0}
    assert regress_scores(truth, np.ones((2, 1)))["r2"] is None


def test_translation_counts_missing_and_extra_symbols() -> None:
    """A prediction that stops early must not look perfect."""
    truth = from_lists([[4, 5, 6], [7], [8, 9]])
    found = translate_scores(from_lists([[4, 5], [7], [8, 8, 8]]), truth)
    assert found["token_accuracy"] == pytest.approx(4 / 7)
    assert found["exact_match"] == pytest.approx(1 / 3)


def test_steps_without_a_label_do_not_count() -> None:
    """Averaging over ignored steps would reward a model for the empty parts."""
    answers = from_lists([[0, 0, 0]])
    outputs = Outputs(
        ids=pa.array(["a"]),
        windows=np.ones(1, np.int32),
        answers=type(answers)(sure([0, 0, 1], 2), answers.offsets),
        truth=from_lists([[0, -1, -1]]),
        loss=None,
    )
    found = score("label_steps", outputs)
    assert found["steps"] == 1 and found["accuracy"] == 1


def test_answers_for_steps_are_averaged_where_windows_overlap() -> None:
    """Windows put back at the wrong step would score the wrong labels."""
    outputs = Outputs(
        ids=pa.array(["a", "b", "a"]),
        windows=np.ones(3, np.int32),
        answers=Ragged(np.array([[1.0], [2.0], [9.0], [4.0], [3.0]]), np.array([0, 2, 3, 5])),
        truth=from_lists([[5, 6], [7], [6, 8]]),
        loss=None,
        first_steps=np.array([0, 0, 1]),
    )
    found = pool(outputs)
    assert isinstance(found.answers, Ragged) and isinstance(found.truth, Ragged)
    assert found.answers.values.ravel().tolist() == [1.0, 3.0, 3.0, 9.0]
    assert to_lists(found.truth) == [[5, 6, 8], [7]]
    assert found.windows.tolist() == [2, 1]


def test_steps_of_several_views_are_refused() -> None:
    """Pooling views step by step would mix up the record."""
    outputs = Outputs(
        ids=pa.array(["a", "a"]),
        windows=np.ones(2, np.int32),
        answers=from_lists([[1], [2]]),
        truth=None,
        loss=None,
    )
    with pytest.raises(SeqprepError, match="cannot be pooled"):
        pool(outputs)


@pytest.mark.parametrize("task", ["classify", "label_steps", "regress", "translate"])
def test_pooled_scores_of_one_run_are_its_own(tmp_path: Path, task: str) -> None:
    """Scores over all folds must be computed as those of one."""
    path = task_snapshot(tmp_path / "data", task, rows=30)  # type: ignore[arg-type]
    name = "encoder_decoder" if task == "translate" else "lstm"
    options = Train(model=Model(name=name, hidden=8), epochs=1, threads=1, device="cpu")  # type: ignore[arg-type]
    out = tmp_path / "out"
    train.train(Job(snapshot=str(path), out=str(out), train=options))
    own = json.loads((out / "report.json").read_bytes())["metrics"]["test"]
    found = pooled_scores([out / "predictions-test.parquet"])
    assert found == {key: pytest.approx(own[key], abs=1e-6) for key in found}
    twice = pooled_scores([out / "predictions-test.parquet"] * 2)
    assert twice["records"] == 2 * own["records"]
