"""The gradient of one batch, of which every process of a run has a part.

A process sums its losses; the sums of all are divided by the count of all, so the gradient is that
of one process on the whole batch, however unequal the parts are. DistributedDataParallel takes the
mean over the processes and sends gradients while the backward pass still runs.

Legend: B rows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from models.answers.objectives import Objective
from models.backpropagation.bptt import Loss
from models.ranks import Ranks
from models.segments.rounds import Round, Rounds
from models.shape import TensorBatch, to_tensors
from seqprep.batches import Batch, Plan
from seqprep.schema import EOS, OOV

_STEPS = 2
_LEAST = 1e-9
"""Below every count and weight that is not 0."""
RoundLoss = Callable[[nn.Module, Objective, Round], tuple[Tensor, Tensor]]
"""The same of a round of segments."""


class SummedLoss(nn.Module):
    """A model with what is minimised, as one module: what the reducer of gradients wraps.

    Args:
        model: in training. objective: of the task. loss: the way of backpropagation.
        shared: whether other processes have a part: then every parameter takes part here, if only
            with a gradient of zero, since each process waits for the others' gradients of it.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        loss: Loss | RoundLoss,
        *,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.objective, self.loss, self.shared = model, objective, loss, shared

    def forward(self, batch: TensorBatch | Round) -> tuple[Tensor, Tensor]:
        """Sum of the losses of a batch, and their count."""
        total, count = self.loss(self.model, self.objective, batch)  # type: ignore[arg-type]
        if self.shared:
            total = total + 0 * sum(p.view(-1)[0] for p in self.model.parameters())
        return total, count


def join(module: SummedLoss, ranks: Ranks, device: torch.device) -> nn.Module:
    """The module as it is, or with gradients that are the mean over all processes."""
    if ranks.world == 1:
        return module
    return DistributedDataParallel(
        module,
        device_ids=[device] if device.type == "cuda" else None,
        gradient_as_bucket_view=True,
    )


def joint_loss(
    module: nn.Module, batch: Batch | Round, ranks: Ranks, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a batch over all processes.

    Args:
        module: what `join` gave.
        batch: the part of this process; it may be without rows, or a round without pieces.
        ranks: all processes.
        device: of the model.

    Returns:
        What to run backwards from, the mean loss, and the count of all.
    """
    divisor = None
    if isinstance(batch, Round):
        total, count = module(batch)
        divisor = batch.divisor
    elif len(batch.lengths):
        total, count = module(to_tensors(batch, device))
    else:
        total, count = module(_placeholder(to_tensors(batch, device)))
        total, count = total * 0, count * 0  # takes part in the exchange, and adds nothing
    return over_all(total, count, ranks, divisor=divisor)


def over_all(
    total: Tensor, count: Tensor, ranks: Ranks, *, divisor: float | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """From one process's sum of losses and their count to the mean over all processes.

    Args:
        total: with a gradient.
        count: rows, steps or symbols, or the sum of their weights; it may be 0.
        ranks: all processes.
        divisor: of what to run backwards from; None: the count of all, so that it is the mean.

    Returns:
        What to run backwards from, the mean loss, and the count of all.
    """
    if ranks.world == 1:
        every = count.clamp(min=_LEAST)
        loss = total / every
        return loss if divisor is None else total / divisor, loss.detach(), count
    sums = ranks.sum(torch.stack([total.detach().double(), count.double()]))
    every = sums[1].clamp(min=_LEAST)
    factor = ranks.world / (every if divisor is None else torch.full_like(every, divisor))
    return total * factor.to(total.dtype), sums[0] / every, sums[1]


def _placeholder(empty: TensorBatch) -> TensorBatch:
    """A batch of one row, of the kinds of tensors that an empty one has."""
    device = empty.inputs.device

    def row(like: Tensor | None, *shape: int) -> Tensor | None:
        return None if like is None else like.new_zeros((*shape, *like.shape[len(shape) :]))

    inputs = row(empty.inputs, 1, _STEPS)
    assert inputs is not None
    if empty.inputs.ndim == 2:
        inputs = inputs + OOV
    symbols = row(empty.target_tokens, 1, 1)
    return TensorBatch(
        inputs=inputs,
        lengths=torch.tensor([_STEPS], device=device),
        labels=row(empty.labels, 1),
        targets=row(empty.targets, 1, _STEPS),
        target_tokens=None if symbols is None else symbols + EOS,
    )


def computed_steps(plan: Plan | Rounds, batch: Batch | Round, world: int) -> int:
    """Steps that the processes compute for a global batch, padding included."""
    if isinstance(batch, Round):
        return batch.computed
    assert isinstance(plan, Plan)
    lengths = plan.lengths[plan.rows(batch.index)]
    parts = (lengths[rank::world] for rank in range(world))
    return sum(len(part) * int(part.max()) for part in parts if len(part))
