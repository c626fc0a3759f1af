"""Truncated backpropagation to the last k steps: all steps are read, the last ones learn.

What comes before a record's last k steps, by its own length, is read in segments without gradient
and without stored activations, so memory depends on k and not on T. State and pooling go on from
there, and the gradient of the earlier steps is exactly zero; k >= T is full backpropagation. Use it
where what counts lies near the end; not where the beginning does, which only its state can tell of.

Where every step has an output, the losses of the last k steps are the whole loss: an earlier one
would have nothing to learn from.

Legend: B rows, T steps, F features, K target channels.
Source: Williams & Peng 1990, doi:10.1162/neco.1990.2.4.490, as truncated backpropagation with one
update a record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.answers.objectives import Objective
from models.backpropagation.activations import working_floats
from models.layers.recompute import cut
from models.layers.segmented import Carried, Segmented
from models.shape import TensorBatch

_FEW_STEPS = 64


@dataclass(frozen=True, slots=True)
class LastK:
    """The loss with gradient through the last k steps of each record.

    Args:
        k: steps of gradient.
        prefix_bytes: about what reading the steps before them takes at a time.
    """

    k: int
    prefix_bytes: int = 8 * 2**20

    def __call__(
        self, model: nn.Module, objective: Objective, batch: TensorBatch
    ) -> tuple[Tensor, Tensor]:
        """Sum of the losses of a batch, ready for `backward`, and their count.

        Args:
            model: Segmented, in one direction.
            objective: what the loss is.
            batch: whole records.
        """
        assert isinstance(model, Segmented)
        before_B = (batch.lengths - self.k).clamp(min=0)
        last = last_steps(batch, self.k)
        carried = read_prefix(model, batch, before_B, memory=self.prefix_bytes)
        states_BTF, carried = model.read(last.inputs, last.lengths, carried)
        if model.per_step:
            return objective.loss(model.answer_steps(states_BTF), last)
        return objective.loss(model.answer(carried), last)


@torch.no_grad()
def read_prefix(model: Segmented, batch: TensorBatch, before_B: Tensor, *, memory: int) -> Carried:
    """Read the first steps of each row, `before_B` of them, without gradient."""
    carried = model.begin(len(batch))
    longest = int(before_B.max())
    if not longest:
        return carried
    a_step = 4 * working_floats(model.core) * len(batch)
    steps = max(_FEW_STEPS, int(memory / a_step))
    for part, left_B in cut(batch.inputs[:, :longest], before_B, steps):
        _, carried = model.read(part, left_B, carried)
    return carried


def last_steps(batch: TensorBatch, k: int) -> TensorBatch:
    """The last k steps of each row, by its own length, as rows of at most k steps.

    >>> rows = torch.tensor([[1, 2, 3], [4, 0, 0]])
    >>> last_steps(TensorBatch(inputs=rows, lengths=torch.tensor([3, 1])), 2).inputs.tolist()
    [[2, 3], [4, 0]]
    """
    steps = min(k, batch.inputs.shape[1])
    first_B = (batch.lengths - k).clamp(min=0)
    place_BT = first_B[:, None] + torch.arange(steps, device=first_B.device)
    return replace(
        batch,
        inputs=_take(batch.inputs, place_BT),
        lengths=batch.lengths.clamp(max=k),
        targets=None if batch.targets is None else _take(batch.targets, place_BT),
    )


def _take(x: Tensor, place_BT: Tensor) -> Tensor:
    """Steps of each row, `(B, T, ...)`."""
    index = place_BT if x.ndim == 2 else place_BT[:, :, None].expand(-1, -1, x.shape[2])
    return x.gather(1, index)
