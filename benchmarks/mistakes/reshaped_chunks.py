"""Mistake 5: records reshaped to chunks while their labels stay (N, 1) or are repeated wrongly."""

from __future__ import annotations

import warnings

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.mistakes.figures import Figure, accuracies
from benchmarks.mistakes.learn import Training, ours, plain_lstm, scores
from benchmarks.mistakes.tasks import VOCAB, telling_tokens
from models.shape import TensorBatch

STEPS, CHUNK = 120, 30
CHUNKS = STEPS // CHUNK


class ChunksAsRecords(nn.Module):
    """(N, T) becomes (N x k, T / k), and so do the answers.

    Args:
        outputs: 1 for a number between the classes, 2 for logits.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16, padding_idx=0)
        self.lstm, self.out = plain_lstm(16), nn.Linear(32, outputs)

    def forward(self, batch: TensorBatch) -> Tensor:
        """One answer a chunk, `(N x k, outputs)`, or `(N x k,)` for one output."""
        chunks = batch.inputs.reshape(-1, CHUNK)
        states, _ = self.lstm(self.embed(chunks))
        return self.out(states[:, -1]).squeeze(-1)


def broadcast(out: Tensor, labels: Tensor) -> Tensor:
    """(N x k,) against (N, 1): every chunk is compared with every label, under a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return functional.mse_loss(out, labels.float()[:, None])


def tiled(out: Tensor, labels: Tensor) -> Tensor:
    """Labels repeated record after record, chunks lying chunk after chunk."""
    return functional.cross_entropy(out, labels.repeat(CHUNKS))


def above_half(out: Tensor, labels: Tensor) -> Tensor:
    """Whether the mean of a record's chunks lies on its label's side."""
    return (out.view(-1, CHUNKS).mean(1) > 0.5) == (labels == 1)


def highest_mean(out: Tensor, labels: Tensor) -> Tensor:
    """Whether the label's mean logit is the highest."""
    return out.view(-1, CHUNKS, 2).mean(1).argmax(-1) == labels


def right() -> nn.Module:
    """`model: {name: hierarchical, chunk: 30}`: chunks know their record, labels stay with it."""
    return ours(vocab=VOCAB, name="hierarchical", chunk=CHUNK)


def measure() -> list[Figure]:
    """Scores of both forms of the mistake."""
    training = Training(epochs=6)
    train, test = (
        telling_tokens(rows, seed=seed, lengths=np.full(rows, STEPS))
        for rows, seed in ((300, 1), (300, 2))
    )
    honest = scores(right, train, test, training)
    forms = (
        ("labels (N, 1) broadcast", lambda: ChunksAsRecords(1), broadcast, above_half),
        ("labels tiled, not repeated each", lambda: ChunksAsRecords(2), tiled, highest_mean),
    )
    return [
        accuracies(
            f"accuracy, {CHUNKS} chunks of {CHUNK} steps; {form}",
            scores(make, train, test, training, loss=loss, is_right=is_right),
            honest,
        )
        for form, make, loss, is_right in forms
    ]
