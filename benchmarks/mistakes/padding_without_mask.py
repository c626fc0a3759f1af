"""Mistake 1: records padded behind their end, and the state of the last column read."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from benchmarks.mistakes.figures import Figure, accuracies
from benchmarks.mistakes.learn import Training, ours, plain_lstm, scores
from benchmarks.mistakes.tasks import VOCAB, telling_end, telling_tokens
from models.shape import TensorBatch

SHORT = 20


class ReadsPadding(nn.Module):
    """The LSTM runs on over the padding, and the last column is taken for the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16, padding_idx=0)
        self.lstm, self.out = plain_lstm(16), nn.Linear(32, 2)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits `(B, 2)`."""
        states, _ = self.lstm(self.embed(batch.inputs))
        return self.out(states[:, -1])


def right() -> nn.Module:
    """`model: {name: lstm, pooling: last}`: the state after each record's own last step."""
    return ours(vocab=VOCAB)


def measure() -> list[Figure]:
    """Scores of all records, and of the short ones, which have most padding behind them."""
    training, found = Training(), []
    for task, where in ((telling_end, "in the last five steps"), (telling_tokens, "anywhere")):
        train, test = task(300, seed=1), task(300, seed=2)
        wrong_SR, right_SR = (scores(make, train, test, training) for make in (ReadsPadding, right))
        short = np.array([len(row) < SHORT for row in test.inputs])
        what = f"accuracy, 4 to 200 steps, the class told {where}"
        found.append(accuracies(what, wrong_SR, right_SR))
        what = f"the same, of records shorter than {SHORT} steps"
        found.append(accuracies(what, wrong_SR[:, short], right_SR[:, short]))
    return found
