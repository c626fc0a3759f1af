"""What prediction gives beside its answers: each record its own, whatever stands beside it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from models.architectures import build
from models.bundle import Bundle
from models.options.model import Conv, Front, Model
from models.predict import answer_fields, predict_examples
from models.shape import Shape
from seqprep.errors import SeqprepError
from seqprep.schema import Task
from tests.synthetic import example_table, facts_of_task, rows_of_task

ATTENTIVE = Model(
    hidden=6,
    embedding=4,
    pooling=("max", "attention"),
    front=Front(conv=Conv(channels=5, kernel=3, stride=2)),
)
TRANSLATING = Model(name="encoder_decoder", hidden=8, embedding=4, beam=3, max_target=2.0)
FITTED = json.dumps({"target_vocabulary": list("abcdef"), "vocabulary": list("abcd")}).encode()


def bundle_of(config: Model, task: Task) -> tuple[Bundle, pa.Table]:
    data = rows_of_task(task, 9, seed=0)
    facts = facts_of_task(task, data)
    torch.manual_seed(0)
    model = build(config, Shape.of(facts)).eval()
    return Bundle(model=model, config=config, facts=facts, fitted=FITTED), example_table(
        data, facts
    )


@pytest.mark.parametrize(
    ("config", "task"), [(ATTENTIVE, "classify"), (TRANSLATING, "translate")], ids=["pooled", "s2s"]
)
def test_columns_belong_to_their_record(config: Model, task: Task) -> None:
    """Weights or beams in the order of batches would be those of other records."""
    bundle, rows = bundle_of(config, task)
    bundle = replace(bundle, batch_tokens=40)
    whole = predict_examples(bundle, rows, attention=True)
    assert whole.column_names[1:] == [
        field.name for field in answer_fields(bundle.facts, config, attention=True)
    ]
    for place in (0, 4, 8):
        alone = predict_examples(bundle, rows.slice(place, 1), attention=True).to_pylist()[0]
        among = whole.to_pylist()[place]
        for key in ("attention", "beam_scores"):
            np.testing.assert_allclose(alone.get(key) or [], among.get(key) or [], atol=1e-5)
        assert alone.get("beams") == among.get("beams") and alone["id"] == among["id"]


def test_pooled_weights_are_one_for_each_step_of_the_core() -> None:
    """Weights of padding, or cut short, would be plotted over the wrong steps."""
    bundle, rows = bundle_of(ATTENTIVE, "classify")
    found = predict_examples(bundle, rows, attention=True)["attention"].to_pylist()
    assert [len(row) for row in found] == (-(-rows["length"].to_numpy() // 2)).tolist()
    assert all(sum(row) == pytest.approx(1, abs=1e-5) for row in found)


def test_the_best_beam_is_the_prediction() -> None:
    """Two searches that disagree would leave a person with two answers."""
    bundle, rows = bundle_of(TRANSLATING, "translate")
    found = predict_examples(bundle, rows, attention=True).to_pylist()
    for row, length in zip(found, rows["length"].to_pylist(), strict=True):
        assert row["beams"][0] == row["prediction"] and len(row["beams"]) == 3
        assert row["attention_shape"][1] == length
        assert len(row["attention"]) == np.prod(row["attention_shape"])


def test_windows_of_a_record_put_their_weights_one_after_the_other() -> None:
    """Weights of one window alone would pass for those of the record."""
    bundle, rows = bundle_of(ATTENTIVE, "classify")
    ids = pa.array(["a", "b", "a", *rows["id"].to_pylist()[3:]])
    windows = pa.array([0, 0, 1, *[0] * 6], pa.int32())
    turned = rows.set_column(0, "id", ids).set_column(3, "window", windows)
    alone = predict_examples(bundle, rows, attention=True)["attention"].to_pylist()
    found = predict_examples(bundle, turned, attention=True).to_pylist()
    assert found[0]["windows"] == 2
    np.testing.assert_allclose(found[0]["attention"], alone[0] + alone[2], atol=1e-5)
    np.testing.assert_allclose(found[1]["attention"], alone[1], atol=1e-5)


@pytest.mark.parametrize(("views", "told"), [((2, 1), 2), ((1, 2), 0)])
def test_of_views_the_first_has_weights(views: tuple[int, int], told: int) -> None:
    """Weights of random pieces side by side would be plotted as those of one record."""
    bundle, rows = bundle_of(ATTENTIVE, "classify")
    ids = pa.array(["a", "b", "a", *rows["id"].to_pylist()[3:]])
    column = pa.array([views[0], 0, views[1], *[0] * 6], pa.int32())
    turned = rows.set_column(0, "id", ids).set_column(2, "view", column)
    alone = predict_examples(bundle, rows, attention=True)["attention"].to_pylist()
    found = predict_examples(bundle, turned, attention=True).to_pylist()
    assert found[0]["windows"] == 2
    np.testing.assert_allclose(found[0]["attention"], alone[told], atol=1e-5)
    np.testing.assert_allclose(found[1]["attention"], alone[1], atol=1e-5)


@pytest.mark.parametrize("task", ["translate", "label_steps", "regress_steps"])
@pytest.mark.parametrize("windows", [False, True], ids=["views", "views of windows"])
def test_views_that_cannot_be_pooled_are_refused(task: Task, windows: bool) -> None:
    """A traceback, or an average over steps that are not the same ones."""
    config = TRANSLATING if task == "translate" else Model(hidden=4, embedding=4)
    bundle, rows = bundle_of(config, task)
    bundle = replace(bundle, facts=replace(bundle.facts, window_stride=2))
    ids = pa.array(["a", "a", "a", *rows["id"].to_pylist()[3:]])
    views = pa.array([0, 1, 1, *[0] * 6], pa.int32())
    numbers = pa.array([0, 0, int(windows), *[0] * 6], pa.int32())
    turned = rows.set_column(0, "id", ids).set_column(2, "view", views)
    turned = turned.set_column(3, "window", numbers)
    if task.endswith("steps"):
        bundle = replace(bundle, moments=((0.0,), (1.0,)))
    with pytest.raises(SeqprepError, match=r"9 examples of 7 records.*predict\.views: 0"):
        predict_examples(bundle, turned)


def test_a_model_without_attention_says_so() -> None:
    """An empty column would look like attention to nothing."""
    bundle, rows = bundle_of(replace(ATTENTIVE, pooling=("mean",)), "classify")
    with pytest.raises(SeqprepError, match="no attention to export"):
        predict_examples(bundle, rows, attention=True)
    assert "attention" not in predict_examples(bundle, rows).column_names


def test_no_rows_have_the_same_columns() -> None:
    """A file of rejected records alone must still be readable beside the others."""
    bundle, rows = bundle_of(TRANSLATING, "translate")
    empty = predict_examples(bundle, rows.slice(0, 0), attention=True)
    assert empty.schema == predict_examples(bundle, rows, attention=True).schema
