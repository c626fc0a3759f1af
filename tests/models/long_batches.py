"""Small batches of every task, and the gradient of a model on them, as one vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from models.answers.objectives import Objective, objective_for
from models.architectures import build
from models.backpropagation.bptt import Loss
from models.options.model import Model
from models.shape import Shape, TensorBatch, step_mask
from seqprep.schema import IGNORED_LABEL, Task

VOCAB, OUTPUTS, CHANNELS, SYMBOLS = 9, 3, 2, 6


def batch_of(
    task: Task, lengths: Sequence[int], *, tokens: bool = True, dtype: torch.dtype = torch.float64
) -> TensorBatch:
    """Random rows of these lengths with what the task needs; what stands after an end is noise."""
    torch.manual_seed(3)
    rows, steps = len(lengths), max(lengths)
    lengths_B = torch.tensor(lengths)
    inputs = torch.randint(2, VOCAB, (rows, steps))
    if not tokens:
        inputs = torch.randn(rows, steps, CHANNELS, dtype=dtype)
    labels = torch.randint(0, OUTPUTS, (rows,))
    codes = torch.randint(0, OUTPUTS, (rows, steps))
    codes = codes.masked_fill(~step_mask(lengths_B, steps), IGNORED_LABEL)
    symbols = torch.cat([torch.randint(4, 8, (rows, SYMBOLS - 1)), torch.full((rows, 1), 3)], 1)
    return TensorBatch(
        inputs=inputs,
        lengths=lengths_B,
        labels={"classify": labels, "regress": labels.to(dtype)}.get(task),
        targets={
            "label_steps": codes,
            "next": codes,
            "regress_steps": torch.randn(rows, steps, OUTPUTS, dtype=dtype),
        }.get(task),
        target_tokens=symbols if task == "translate" else None,
    )


def model_of(
    config: Model, task: Task, *, tokens: bool = True, dtype: torch.dtype = torch.float64
) -> nn.Module:
    """A model with fresh weights."""
    torch.manual_seed(0)
    outputs = {"regress": 1, "translate": VOCAB, "next": VOCAB, "reconstruct": VOCAB}
    shape = Shape(
        task=task,
        vocab_size=VOCAB if tokens else None,
        channels=0 if tokens else CHANNELS,
        outputs=outputs.get(task, OUTPUTS),
    )
    return build(config, shape).to(dtype)


def objective_of(task: Task) -> Objective:
    """The plain objective."""
    channels = 1 if task == "regress" else OUTPUTS
    moments = ((1.0,) * channels, (2.0,) * channels)
    return objective_for(task, moments=None if task == "reconstruct" else moments)


def gradient(model: nn.Module, loss: Callable[[], Tensor]) -> Tensor:
    """The gradient of a loss in every parameter."""
    model.zero_grad()
    loss().backward()
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
            for p in model.parameters()
        ]
    )


def gradient_of(loss: Loss, model: nn.Module, task: Task, batch: TensorBatch) -> Tensor:
    """The gradient of a way of backpropagation."""
    return gradient(model, lambda: loss(model, objective_of(task), batch)[0])


def difference(found: Tensor, wanted: Tensor) -> float:
    """Relative norm."""
    return float((found - wanted).norm() / wanted.norm())
