"""Backpropagation to the last k steps, and the choice of the way from the options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.answers.objectives import CrossEntropy
from models.architectures.lstm import PooledLSTM
from models.backpropagation.bptt import full, loss_of
from models.backpropagation.exact import Exact
from models.backpropagation.last_k import LastK
from models.layers.pooling import Pool
from models.options.model import Model, Pooling
from models.options.training import Backpropagation, Train
from models.shape import TensorBatch
from seqprep.schema import Task
from tests.models.long_batches import (
    batch_of,
    difference,
    gradient,
    gradient_of,
    model_of,
    objective_of,
)
from tests.models.peak import peak_bytes

SMALL = Model(hidden=6, embedding=5, dropout=0.0, bidirectional=False)
EVERY: tuple[Pooling, ...] = ("last", "mean", "max", "attention")
VARIANTS: dict[str, tuple[Task, Model]] = {
    **{name: ("classify", replace(SMALL, pooling=(name,))) for name in EVERY},
    "every pooling, stacked": ("regress", replace(SMALL, layers=2, pooling=EVERY)),
    "minimal": ("classify", replace(SMALL, name="min_lstm", pooling=EVERY)),
    "label steps": ("label_steps", replace(SMALL, layers=2)),
    "regress steps": ("regress_steps", SMALL),
    "next": ("next", replace(SMALL, name="next_symbol")),
}
LENGTHS = (17, 1, 23, 9, 23, 4)


def both(name: str, *, tokens: bool = True) -> tuple[Task, nn.Module, TensorBatch]:
    task, config = VARIANTS[name]
    return (
        task,
        model_of(config, task, tokens=tokens),
        batch_of(task, LENGTHS, tokens=tokens),
    )


@pytest.mark.parametrize("k", [23, 40])
@pytest.mark.parametrize("name", VARIANTS)
def test_last_k_of_all_steps_equals_full(name: str, k: int) -> None:
    """With k >= T nothing is left out, so loss, count and gradient are those of mode full."""
    task, model, batch = both(name)
    objective = objective_of(task)
    for found, wanted in zip(
        LastK(k)(model, objective, batch), full(model, objective, batch), strict=True
    ):
        torch.testing.assert_close(found, wanted, atol=1e-10, rtol=0)
    found = gradient_of(LastK(k), model, task, batch)
    assert difference(found, gradient_of(full, model, task, batch)) <= 1e-10


@pytest.mark.parametrize("name", [n for n in VARIANTS if n != "next"])
def test_steps_before_the_last_k_get_no_gradient(name: str) -> None:
    """Exactly zero before, by each record's own length, and none zero in the last k steps."""
    task, model, batch = both(name, tokens=False)
    inputs = batch.inputs.requires_grad_()
    LastK(5)(model, objective_of(task), batch)[0].backward()
    assert inputs.grad is not None
    for row, length in enumerate(LENGTHS):
        seen = inputs.grad[row].abs().sum(-1)
        first = max(0, length - 5)
        assert not seen[:first].any() and not seen[length:].any()
        assert name == "max" or bool((seen[first:length] > 0).all())


@pytest.mark.parametrize("longer", [0, 100])
@pytest.mark.parametrize("name", VARIANTS)
def test_gradient_is_that_of_a_past_held_still(name: str, longer: int) -> None:
    """One record alone: its first steps make a state and a pooled past, without gradient."""
    task, config = VARIANTS[name]
    model = model_of(config, task)
    lengths = (17, 1, 23 + longer, 9, 23 + longer, 4)  # the longer ones in several segments
    batch = batch_of(task, lengths)
    found = gradient_of(LastK(5, prefix_bytes=1), model, task, batch)
    wanted = torch.zeros_like(found)
    for row, length in enumerate(lengths):
        alone = rows(batch, row, length)
        wanted += gradient(model, lambda alone=alone: past_held_still(model, task, alone, 5))
    assert difference(found, wanted) <= 1e-10


def rows(batch: TensorBatch, row: int, length: int) -> TensorBatch:
    """One record without padding."""

    def part(x: Tensor | None) -> Tensor | None:
        return None if x is None else x[row : row + 1]

    return TensorBatch(
        inputs=batch.inputs[row : row + 1, :length],
        lengths=torch.tensor([length]),
        labels=part(batch.labels),
        targets=None if batch.targets is None else batch.targets[row : row + 1, :length],
    )


def past_held_still(model: nn.Module, task: Task, one: TensorBatch, k: int) -> Tensor:
    """The loss of a record whose states before the last k steps are constants, step by step."""
    assert isinstance(model, PooledLSTM)
    first = max(0, int(one.lengths) - k)
    x = model.front(one)[0]
    state, states = None, []
    for step in range(x.shape[1]):
        ones = torch.ones(1, dtype=torch.int64)
        out, state = model.core.carry(x[:, step : step + 1], ones, state)
        if step < first:
            out, state = out.detach(), tuple(part.detach() for part in state)
        states.append(out)
    if model.per_step:
        last = replace(one, inputs=one.inputs[:, first:], lengths=one.lengths - first)
        last = replace(last, targets=None if one.targets is None else one.targets[:, first:])
        return objective_of(task).loss(model.head(torch.cat(states[first:], 1)), last)[0]
    pooled = pool_with_past(model.pool, torch.cat(states, 1), first)
    return objective_of(task).loss(model.head(pooled), one)[0]


def pool_with_past(pool: Pool, states: Tensor, first: int) -> Tensor:
    """Every pooling of one record, those parts that earlier steps add being constants."""
    vectors = []
    for name in pool.names:
        if name == "last":
            vectors.append(states[:, -1])
        elif name == "mean":
            vectors.append(states.mean(1))
        elif name == "max":
            vectors.append(states.amax(1))
        else:
            scores = pool.attention.scores(states)
            scores = torch.cat([scores[:, :first].detach(), scores[:, first:]], dim=1)
            vectors.append((torch.softmax(scores, 1)[:, None] @ states)[:, 0])
    return torch.cat(vectors, dim=-1)


@pytest.mark.parametrize("name", ["every pooling, stacked", "label steps"])
def test_memory_of_last_k_does_not_grow_with_the_length(name: str) -> None:
    """The prefix must leave nothing behind, or long records fill the memory after all."""
    task, config = VARIANTS[name]
    model = model_of(replace(config, hidden=32), task, dtype=torch.float32)

    def peak(steps: int) -> int:
        batch = batch_of(task, (steps, steps - 1), dtype=torch.float32)
        return peak_bytes(lambda: gradient_of(LastK(64, prefix_bytes=1), model, task, batch))

    peak(200)  # the first gradients are made
    assert peak(64 + 32 * 256) < 1.01 * peak(64 + 4 * 256)


def test_last_k_counts_the_steps_that_learn() -> None:
    """A loss that is a mean over all steps would shrink with T while its gradient does not."""
    task, model, batch = both("label steps")
    _, count = LastK(5)(model, objective_of(task), batch)
    assert int(count) == sum(min(5, length) for length in LENGTHS)


def test_class_weights_and_smoothing_reach_last_k_and_exact() -> None:
    """The loss goes through the objective of training, whatever the way."""
    _, model, batch = both("mean")
    objective = CrossEntropy(ignored=-100, weights=(0.5, 2.0, 1.0), smoothing=0.1)
    wanted, _ = full(model, objective, batch)
    for loss in (LastK(23), Exact(SMALL)):
        torch.testing.assert_close(loss(model, objective, batch)[0], wanted, atol=1e-10, rtol=0)


def test_options_name_the_loss() -> None:
    """An option that led to another loss would train another way than it says."""

    def of(**options: Any) -> object:
        return loss_of(Train(model=SMALL, backpropagation=Backpropagation(**options)))

    assert of() is full
    assert of(mode="last_k", k=7) == LastK(7)
    assert of(mode="exact", memory="512MB") == Exact(SMALL, 512 * 2**20)
    assert of(mode="exact") == Exact(SMALL, None)
    with pytest.raises(AssertionError, match="segments"):
        of(mode="segments", k1=9)
