"""Mistake 2: steps whose value is zero are taken for padding."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from benchmarks.mistakes.figures import Figure, accuracies, plain
from benchmarks.mistakes.learn import Rows, Training, ours, plain_lstm, scores
from models.shape import TensorBatch


class SkipsZeros(nn.Module):
    """Steps of zeros are skipped, as by a masking layer with `mask_value=0`."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = plain_lstm(1), nn.Linear(32, 2)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits `(B, 2)`."""
        rows = [row[(row != 0).any(-1)] for row in batch.inputs]
        lengths = torch.tensor([len(row) for row in rows])
        return self.out(last_states(self.lstm, pad_sequence(rows, batch_first=True), lengths))


class CountsNonZeros(SkipsZeros):
    """Lengths are the number of steps that are not zero: so many are read from the head."""

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits `(B, 2)`."""
        lengths = (batch.inputs != 0).any(-1).sum(1)
        return self.out(last_states(self.lstm, batch.inputs, lengths))


def last_states(lstm: nn.LSTM, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
    """The state after so many steps of each row, `(B, H)`."""
    packed = pack_padded_sequence(x_BTF, lengths_B, batch_first=True, enforce_sorted=False)
    _, (h_1BH, _) = lstm(packed)
    return h_1BH[0]


def right() -> nn.Module:
    """Any model of ours: which steps are real follows from the stored lengths alone."""
    return ours(channels=1)


def rhythms(rows: int, *, seed: int) -> Rows:
    """Twelve pulses of 1 or -1 in silence; the last six come every 3 steps, or every 6.

    Before them gaps of 3 and 6 are mixed. Silence is the mean of the signal, so after standardising
    whole numbers it is exactly 0.
    """
    rng = np.random.default_rng(seed)
    labels, inputs = rng.integers(0, 2, rows), []
    for label in labels:
        gaps = np.concatenate([rng.choice([3, 6], 6), np.full(6, 6 - 3 * label)])
        signal = np.zeros((int(gaps.sum()) + 1, 1), np.float32)
        signal[np.cumsum(gaps), 0] = rng.choice([-1, 1], len(gaps))
        inputs.append(torch.from_numpy(signal))
    return Rows(inputs=inputs, labels=torch.from_numpy(labels))


def measure() -> list[Figure]:
    """Scores on rhythms, both forms of the mistake; how many steps of them are lost."""
    training = Training(epochs=15, lr=0.01)
    train, test = rhythms(300, seed=1), rhythms(300, seed=2)
    honest = scores(right, train, test, training)
    task = "pulses in silence, the last six of twelve slow or fast"
    lost = float(np.mean([float((row == 0).float().mean()) for row in test.inputs]))
    return [
        accuracies(
            f"accuracy, {task}; zeros skipped", scores(SkipsZeros, train, test, training), honest
        ),
        accuracies(
            "the same; lengths counted as steps that are not zero",
            scores(CountsNonZeros, train, test, training),
            honest,
        ),
        plain("the same, share of real steps that are never read", lost, 0.0),
    ]
