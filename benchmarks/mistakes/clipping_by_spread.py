"""Mistake 11: "norm clipping" that cuts each component off at one standard deviation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.mistakes.figures import Figure, plain
from benchmarks.mistakes.learn import Rows, as_batch, batches, ours
from models.options.training import Optimizer
from models.training.optimize import clip

LIMIT = 1.0
Clip = Callable[[nn.Module, Tensor], None]


def wrong(model: nn.Module, loss: Tensor) -> None:
    """Components beyond one standard deviation of their tensor are cut off; no norm is limited."""
    for parameter in model.parameters():
        assert parameter.grad is not None
        spread = float(parameter.grad.std()) if parameter.numel() > 1 else math.inf
        parameter.grad.clamp_(-spread, spread)


def right(model: nn.Module, loss: Tensor) -> None:
    """`optimizer: {clip_norm: 1.0}`: the whole gradient is rescaled to the limit."""
    clip(model, Optimizer(clip_norm=LIMIT), loss)


def levels(rows: int, *, seed: int) -> Rows:
    """Random walks of 60 steps, and where each of them ends: now and then far away."""
    rng = np.random.default_rng(seed)
    walks = rng.standard_t(2, (rows, 60, 1)).cumsum(1).astype(np.float32)
    ends = torch.from_numpy(walks[:, -1, 0].copy())
    return Rows(inputs=list(torch.from_numpy(walks / 10)), labels=ends)


def gradient(model: nn.Module) -> Tensor:
    """All of it in one vector."""
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def loss_of(model: nn.Module, rows: Rows) -> Tensor:
    """Squared error of the ends."""
    return functional.mse_loss(model(as_batch(rows))[:, 0], rows.labels)


def clipped(way: Clip) -> tuple[float, float, float]:
    """Norm of a first gradient before and after, and the cosine between the two."""
    torch.manual_seed(0)
    model = ours(channels=1, outputs=1)
    loss = loss_of(model, levels(32, seed=1))
    loss.backward()
    before = gradient(model).clone()
    way(model, loss)
    after = gradient(model)
    return (
        float(before.norm()),
        float(after.norm()),
        float(functional.cosine_similarity(before, after, dim=0)),
    )


def error_after(way: Clip, *, lr: float, seeds: int = 3, epochs: int = 8) -> float:
    """Median error of walks that were held out, after training by plain SGD; mean over seeds."""
    found, rows, test = [], levels(300, seed=1), levels(300, seed=2)
    for seed in range(seeds):
        torch.manual_seed(seed)
        model, rng = ours(channels=1, outputs=1), np.random.default_rng(seed)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        for batch in (batch for _ in range(epochs) for batch in batches(rows, rng)):
            optimizer.zero_grad()
            loss = functional.mse_loss(model(batch)[:, 0], batch.labels)
            loss.backward()
            way(model, loss)
            optimizer.step()
        with torch.no_grad():
            found.append(float((model(as_batch(test))[:, 0] - test.labels).abs().median()))
    return float(np.mean(found))


def measure() -> list[Figure]:
    """What is left of one gradient, and errors after training at three learning rates."""
    (_, norm, cosine), (_, ours_norm, ours_cosine) = clipped(wrong), clipped(right)
    return [
        plain(
            f"norm of a gradient of {clipped(right)[0]:.0f} after clipping to 1", norm, ours_norm
        ),
        plain("cosine of the angle between it and the gradient", cosine, ours_cosine),
        *(
            plain(
                f"median error of held-out walks, plain SGD, learning rate {lr:g}",
                error_after(wrong, lr=lr),
                error_after(right, lr=lr),
                seeds=3,
            )
            for lr in (0.1, 0.3, 1.0)
        ),
    ]
