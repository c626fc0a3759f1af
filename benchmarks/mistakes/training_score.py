"""Mistake 10: the accuracy on training records, or on random labels, told as performance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from benchmarks.mistakes.figures import Figure, accuracies
from benchmarks.mistakes.learn import Rows, Training, correct, fit, ours
from benchmarks.mistakes.tasks import VOCAB, telling_tokens

TRAINING = Training(epochs=60, lr=0.01)


def model() -> nn.Module:
    """The same model for both; what differs is which records it is asked about."""
    return ours(vocab=VOCAB, hidden=48, bidirectional=True, pooling=("mean", "max"))


def both(train: Rows, test: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Right answers among as many training and test records, of each seed."""
    found = []
    for seed in range(TRAINING.seeds):
        torch.manual_seed(seed)
        fitted = fit(model(), train, TRAINING, seed=seed)
        found.append([correct(fitted, rows) for rows in (train, test)])
    training, held_out = zip(*found, strict=True)
    return np.stack(training), np.stack(held_out)


def noisy(rows: Rows, *, seed: int, share: float) -> Rows:
    """With so many of the labels drawn by chance."""
    rng = np.random.default_rng((seed, 1))  # not the numbers that made the rows
    drawn = torch.from_numpy(rng.integers(0, 2, len(rows)))
    chosen = torch.from_numpy(rng.random(len(rows)) < share)
    return replace(rows, labels=torch.where(chosen, drawn, rows.labels))


def measure() -> list[Figure]:
    """What is claimed from training records, beside what records say that were held out."""
    found = []
    for share, what in ((1.0, "labels drawn by chance"), (0.5, "half of the labels by chance")):
        train, test = (
            noisy(telling_tokens(100, seed=seed, lengths=np.full(100, 30)), seed=seed, share=share)
            for seed in (1, 2)
        )
        claimed, honest = both(train, test)
        what = f"accuracy told, {what}: of 100 training records, of 100 others"
        found.append(accuracies(what, claimed, honest))
    return found
