"""What the options say of models is what the models do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from models.architectures import build
from models.device import set_execution
from models.layers import recurrent
from models.layers.segmented import Segmented
from models.options.checks import JobError
from models.options.model import Model
from models.options.model_fits import ANSWERED_BY_STEP, CARRIED, OF_RECORDS, TASKS, can_pack
from models.shape import Shape
from models.stream import check_streams
from tests.models.long_batches import batch_of, model_of

ONE_WAY = Model(hidden=4, bidirectional=False)
PAIRS = [(name, task) for name, tasks in TASKS.items() for task in tasks]


@pytest.mark.parametrize(("name", "task"), PAIRS)
@pytest.mark.parametrize("overlap", [0, 5])
def test_a_model_that_can_pack_packs(
    name: Any, task: Any, overlap: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form that is accepted and reported must be the one that ran."""
    calls = []
    packed = recurrent.EXECUTIONS["packed"]
    counted = lambda *given: (calls.append(1), packed(*given))[1]  # noqa: E731
    monkeypatch.setitem(recurrent.EXECUTIONS, "packed", counted)
    config = replace(ONE_WAY, name=name, overlap=overlap)
    model = model_of(config, task, dtype=torch.float32)
    set_execution(model, "packed")
    model(batch_of(task, (9, 4, 1), dtype=torch.float32))
    assert bool(calls) == can_pack(config)


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_models_with_carried_state_are_those_that_read_by_segments(name: Any, task: Any) -> None:
    """A model that is listed and is not fails in the midst of a run; one left out is refused."""
    model = model_of(replace(ONE_WAY, name=name), task)
    assert isinstance(model, Segmented) == (name in CARRIED)


@pytest.mark.parametrize("name", [name for name, tasks in TASKS.items() if "classify" in tasks])
def test_a_stream_advises_models_that_it_takes(name: Any) -> None:
    """What streams is what hands its state on, and nothing else may be advised."""
    config = replace(ONE_WAY, name=name)
    if name in CARRIED:
        check_streams(config, "classify")
        return
    with pytest.raises(JobError, match=f"model '{name}' needs the whole record") as error:
        check_streams(config, "classify")
    for able in str(error.value).rpartition("train ")[2].split(" or "):
        check_streams(replace(ONE_WAY, name=able), "classify")  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_tasks_that_are_answered_by_step_have_outputs_by_step(name: Any, task: Any) -> None:
    """Pooled where every step needs an answer, or the other way round, nothing would fit."""
    model = model_of(replace(ONE_WAY, name=name), task, dtype=torch.float32)
    out = model(batch_of(task, (9, 4, 1), dtype=torch.float32))
    assert out.ndim == (2 if task in OF_RECORDS else 3)
    if task in ANSWERED_BY_STEP:
        assert out.shape[:2] == (3, 9)


def test_what_is_refused_before_training_is_built_from_a_bundle() -> None:
    """A model that was once trained with single steps must go on answering."""
    shape = Shape(task="classify", vocab_size=9, channels=0, outputs=2)
    build(replace(ONE_WAY, name="hierarchical", chunk=1), shape)
    shape = Shape(task="reconstruct", vocab_size=9, channels=0, outputs=9)
    build(replace(ONE_WAY, name="autoencoder", code_every=1), shape)
