"""Backpropagation through time: from a batch to gradients in the model's parameters.

Full backpropagation keeps the activations of every step until the backward pass is done: exact, and
the fastest where they fit the memory, which grows with B T H for each layer. For sequences of
hundreds of thousands of steps they do not.

Legend: B batch, T steps, H hidden.
Source: Werbos 1990, doi:10.1109/5.58337
"""

from __future__ import annotations

from torch import Tensor, nn

from models.objectives import Objective
from models.shape import TensorBatch


def full(model: nn.Module, objective: Objective, batch: TensorBatch) -> tuple[Tensor, int]:
    """Add the gradients of the mean loss over all steps to the parameters.

    Args:
        model: in training mode.
        objective: what the loss is.
        batch: `x_BT` ids or `x_BTF` float32, `lengths_B`, and the targets.

    Returns:
        The mean loss, and the rows, steps or symbols that it is the mean of.
    """
    total, weight = objective.loss(model(batch), batch)
    loss = total / weight.clamp(min=1)
    loss.backward()
    return loss, int(weight)
