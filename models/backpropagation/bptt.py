"""Backpropagation through time: from a batch to gradients in the model's parameters.

Full backpropagation keeps the activations of every step until the backward pass is done: exact, and
the fastest where they fit the memory, which grows with B T H for each layer. For sequences of
hundreds of thousands of steps they do not; `exact` computes them again, with the same gradient, and
`last_k` leaves the gradient of early steps out.

Legend: B batch, T steps, H hidden.
Source: Werbos 1990, doi:10.1109/5.58337
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from models.answers.objectives import Objective
from models.backpropagation.exact import Exact
from models.backpropagation.last_k import LastK
from models.options.training import Train
from models.shape import TensorBatch

Loss = Callable[[nn.Module, Objective, TensorBatch], tuple[Tensor, Tensor]]
"""Sum of the losses of a batch, ready for `backward`, and their count: rows, steps or symbols."""


def full(model: nn.Module, objective: Objective, batch: TensorBatch) -> tuple[Tensor, Tensor]:
    """The loss over all steps, every activation kept.

    Args:
        model: in training mode.
        objective: what the loss is.
        batch: `x_BT` ids or `x_BTF` float32, `lengths_B`, and the targets.
    """
    return objective.loss(model(batch), batch)


def loss_of(options: Train) -> Loss:
    """The way from a batch to its loss that `train.backpropagation` names.

    Raises:
        AssertionError: for a mode that has no loss of a batch: segments.
    """
    chosen = options.backpropagation
    if chosen.mode == "full":
        return full
    if chosen.mode == "exact":
        return Exact(options.model, chosen.memory_bytes)
    if chosen.mode == "last_k":
        assert chosen.k is not None
        return LastK(chosen.k)
    raise AssertionError(f"mode {chosen.mode!r} has no loss of a batch")
