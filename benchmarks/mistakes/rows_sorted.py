"""Mistake 4: rows are sorted by length for packing, labels stay where they were."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.mistakes.figures import Figure, accuracies
from benchmarks.mistakes.learn import Rows, Training, ours, plain_lstm, scores
from benchmarks.mistakes.tasks import VOCAB, telling_tokens
from models.shape import TensorBatch


class SortsRowsOnly(nn.Module):
    """Answers come out in order of length."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16, padding_idx=0)
        self.lstm, self.out = plain_lstm(16), nn.Linear(32, 2)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits `(B, 2)`, the longest row first."""
        lengths, order = batch.lengths.sort(descending=True)
        packed = pack_padded_sequence(self.embed(batch.inputs[order]), lengths, batch_first=True)
        _, (h_1BH, _) = self.lstm(packed)
        return self.out(h_1BH[0])


def right() -> nn.Module:
    """`execution: packed`: rows, labels and answers stay in one order."""
    return ours(vocab=VOCAB, execution="packed")


def mixed(rows: int, *, seed: int) -> Rows:
    """Records of 10 to 40 steps whose class is told anywhere."""
    lengths = np.random.default_rng((seed, 1)).integers(10, 41, rows)
    return telling_tokens(rows, seed=seed, lengths=lengths)


def measure() -> list[Figure]:
    """Scores on a task that is learnt to the last record the right way."""
    train, test = mixed(300, seed=1), mixed(300, seed=2)
    return [
        accuracies(
            "accuracy, 10 to 40 steps, the class told anywhere",
            scores(SortsRowsOnly, train, test, Training(epochs=6)),
            scores(right, train, test, Training(epochs=6)),
        )
    ]
