"""Optimisers, learning-rate schedule, clipping and the guard against what is not finite.

Source: decoupled weight decay, Loshchilov & Hutter 2019, arXiv:1711.05101; clipping by norm,
Pascanu et al. 2013, arXiv:1211.5063: the whole gradient is rescaled to the limit, nothing is cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from models.options.training import Optimizer


def build_optimizer(model: nn.Module, options: Optimizer) -> torch.optim.Optimizer:
    """The optimiser over a model's parameters; biases and other vectors are not decayed."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for p in parameters if p.ndim >= 2],
            "weight_decay": options.weight_decay,
        },
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    if options.name == "adamw":
        return torch.optim.AdamW(groups, lr=options.lr)
    if options.name == "adam":
        return torch.optim.Adam(groups, lr=options.lr)
    if options.name == "sgd":
        return torch.optim.SGD(groups, lr=options.lr, momentum=options.momentum)
    if options.name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=options.lr, momentum=options.momentum)
    if options.name == "adagrad":
        return torch.optim.Adagrad(groups, lr=options.lr)
    if options.name == "adadelta":
        return torch.optim.Adadelta(groups, lr=options.lr)
    raise AssertionError(f"unknown optimizer {options.name!r}")


def learning_rate(options: Optimizer, share: float) -> float:
    """The rate when `share` of all updates is done: a linear warm-up, then the schedule.

    >>> options = Optimizer(lr=1.0, warmup=0.1)
    >>> [round(learning_rate(options, s), 3) for s in (0.05, 0.1, 0.55, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if share < options.warmup:
        return options.lr * share / options.warmup
    if options.schedule == "constant":
        return options.lr
    if options.schedule == "cosine":
        done = (share - options.warmup) / (1 - options.warmup)
        return options.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    raise AssertionError(f"unknown schedule {options.schedule!r}")


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Clipped:
    """What clipping did to one gradient.

    Args:
        loss: of the batch.
        before: norm of the whole gradient. after: of what the optimiser sees.
        clipped: whether anything was changed.
        finite: whether loss and gradient are; if not, no step may be taken.
        rescaled: whether it was the scale of a float16 loss alone that was too large; it is
            halved, and nobody has to look.
    """

    loss: float
    before: float
    after: float
    clipped: bool
    finite: bool
    rescaled: bool = False


def clip(model: nn.Module, options: Optimizer, loss: torch.Tensor) -> Clipped:
    """Clip the gradients in place, by norm and then by value, as the options say."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    value, before = torch.stack([loss.detach().float(), norm.float()]).tolist()
    finite = math.isfinite(value) and math.isfinite(before)
    after, clipped = before, False
    if finite and options.clip_norm is not None and before > options.clip_norm:
        torch._foreach_mul_(gradients, options.clip_norm / before)
        after, clipped = options.clip_norm, True
    if finite and options.clip_value is not None:
        top = max(float(gradient.abs().max()) for gradient in gradients)
        if top > options.clip_value:
            for gradient in gradients:
                gradient.clamp_(-options.clip_value, options.clip_value)
            after, clipped = float(torch.nn.utils.get_total_norm(gradients)), True
    return Clipped(loss=value, before=before, after=after, clipped=clipped, finite=finite)
