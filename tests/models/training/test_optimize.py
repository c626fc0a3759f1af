"""Clipping, the schedule, losses over real steps only, and class weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from torch import nn

from models.answers.objectives import (
    CrossEntropy,
    SquaredError,
    class_weights,
    objective_for,
    target_moments,
    training_objective,
)
from models.device import flush_denormals
from models.options.training import Optimizer, Train
from models.shape import TensorBatch
from models.training.optimize import build_optimizer, clip, learning_rate
from seqprep.batches import BatchSettings, BatchSource
from seqprep.schema import IGNORED_LABEL
from seqprep.snapshot import Snapshot
from tests.synthetic import task_snapshot

NAMES = get_type_hints(Optimizer)["name"]


def with_gradient(values: list[float]) -> nn.Module:
    model = nn.Linear(len(values), 1, bias=False)
    model.weight.grad = torch.tensor([values])
    return model


def test_norm_clipping_rescales_the_whole_gradient() -> None:
    """It is often taken for cutting off single components; the direction must stay."""
    model = with_gradient([3.0, 4.0])
    done = clip(model, Optimizer(clip_norm=1.0), torch.tensor(0.5))
    assert (done.before, done.after, done.clipped, done.loss) == (5.0, 1.0, True, 0.5)
    assert isinstance(model.weight, nn.Parameter) and model.weight.grad is not None
    torch.testing.assert_close(model.weight.grad, torch.tensor([[0.6, 0.8]]), atol=1e-6, rtol=0)


def test_value_clipping_cuts_each_component() -> None:
    """The other kind of clipping, by its own key."""
    model = with_gradient([3.0, -0.1])
    done = clip(model, Optimizer(clip_norm=None, clip_value=1.0), torch.tensor(0.5))
    assert done.clipped and model.weight.grad is not None
    torch.testing.assert_close(model.weight.grad, torch.tensor([[1.0, -0.1]]), atol=0, rtol=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_seen(bad: float) -> None:
    """A NaN compares as no larger than any limit, and would pass unnoticed."""
    assert not clip(with_gradient([1.0, bad]), Optimizer(), torch.tensor(0.5)).finite
    assert not clip(with_gradient([1.0, 1.0]), Optimizer(), torch.tensor(bad)).finite


@pytest.mark.parametrize("name", get_args(NAMES))
def test_each_name_is_that_optimiser(name: str) -> None:
    """One switch: the name that is read must be the rule that moves the weights."""
    rules = {
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "adagrad": torch.optim.Adagrad,
        "adadelta": torch.optim.Adadelta,
    }
    momentum = {"momentum": 0.9} if name in ("sgd", "rmsprop") else {}
    options = Optimizer(name=name, lr=0.1, weight_decay=0.0, **momentum)  # type: ignore[arg-type]
    moved = []
    for own in (False, True):
        model = with_gradient([3.0, -0.1])
        nn.init.ones_(model.weight)  # type: ignore[arg-type]
        rule = (
            build_optimizer(model, options)
            if own
            else rules[name](model.parameters(), lr=0.1, weight_decay=0.0, **momentum)  # type: ignore[arg-type]
        )
        rule.step()
        rule.step()
        moved.append(model.weight.detach().clone())  # type: ignore[operator]
    torch.testing.assert_close(moved[0], moved[1], atol=0, rtol=0)
    assert not torch.equal(moved[0], torch.ones(1, 2))


def test_biases_are_not_decayed() -> None:
    """Decay pulls a forget gate's bias towards forgetting."""
    groups = build_optimizer(nn.Linear(2, 2), Optimizer(weight_decay=0.1)).param_groups
    assert [(g["weight_decay"], g["params"][0].ndim) for g in groups] == [(0.1, 2), (0.0, 1)]


def test_constant_schedule_stays_after_warm_up() -> None:
    """The schedule that is named must be the one that runs."""
    options = replace(Optimizer(lr=1.0), schedule="constant")
    assert [learning_rate(options, share) for share in (0.05, 0.5, 1.0)] == [0.5, 1.0, 1.0]


def test_loss_of_steps_averages_real_ones_only() -> None:
    """Padded and unlabelled steps must change neither the sum nor the count."""
    logits = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [9.0, 9.0]]])
    targets = torch.tensor([[0, 1, IGNORED_LABEL]])
    batch = TensorBatch(inputs=logits, lengths=torch.tensor([2]), targets=targets)
    total, count = CrossEntropy(ignored=IGNORED_LABEL).loss(logits, batch)
    wanted = -torch.log_softmax(logits[0, :2], -1)[[0, 1], [0, 1]].sum()
    assert count == 2
    torch.testing.assert_close(total, wanted, atol=1e-6, rtol=0)
    values = TensorBatch(
        inputs=logits, lengths=torch.tensor([2]), targets=torch.tensor([[[1.0], [3.0], [99.0]]])
    )
    total, count = SquaredError(mean=(1.0,), std=(2.0,)).loss(torch.zeros(1, 3, 1), values)
    assert (float(total), int(count)) == (1.0, 2)


def test_class_weights_balance_training_rows(tmp_path: Path) -> None:
    """A class without rows must not weigh infinitely."""
    assert class_weights(np.array([3, 0, 1])) == (2 / 3, 0.0, 2.0)
    path = task_snapshot(tmp_path, "classify", rows=30)
    source = BatchSource.of_snapshot(Snapshot.read(path), "train", settings=BatchSettings())
    plain = objective_for("classify")
    options = Train(class_weights="balanced", label_smoothing=0.1)
    objective = training_objective(options, plain, source)
    assert isinstance(objective, CrossEntropy)
    assert objective.weights is not None and objective.smoothing == 0.1


def test_target_moments_do_not_depend_on_windows_of_shards(tmp_path: Path) -> None:
    """Little memory must not change what is learnt."""
    path = task_snapshot(tmp_path, "regress_steps", rows=40, shards=4)
    found = []
    for memory in (1, 2**30):
        settings = BatchSettings(memory=memory)
        source = BatchSource.of_snapshot(Snapshot.read(path), "train", settings=settings)
        found.append(target_moments(source))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)
    assert found[0] is not None and abs(found[0][0][0] - 100) < 1


def test_denormals_are_flushed() -> None:
    """Gradients that decay over long records make a CPU 4 to 20 times slower otherwise."""
    assert flush_denormals()
