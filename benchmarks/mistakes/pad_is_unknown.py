"""Mistake 3: unknown words have the index of the padding."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.mistakes.figures import Figure, accuracies, plain
from benchmarks.mistakes.learn import Rows, Training, ours, plain_lstm, scores
from benchmarks.mistakes.tasks import VOCAB
from models.shape import TensorBatch
from seqprep.schema import OOV, PAD


class UnknownIsPadding(nn.Module):
    """Ids below the vocabulary's are all 0; what is 0 is no step."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16, padding_idx=PAD)
        self.lstm, self.out = plain_lstm(16), nn.Linear(32, 2)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits `(B, 2)`."""
        ids = batch.inputs.masked_fill(batch.inputs == OOV, PAD)
        lengths = (ids != PAD).sum(1).clamp(min=1)
        packed = pack_padded_sequence(
            self.embed(ids), lengths, batch_first=True, enforce_sorted=False
        )
        _, (h_1BH, _) = self.lstm(packed)
        return self.out(h_1BH[0])


def right() -> nn.Module:
    """Any model of ours: PAD = 0 is never read, OOV = 1 has an embedding of its own."""
    return ours(vocab=VOCAB)


def dialects(rows: int, *, seed: int, told_by: str) -> Rows:
    """Records of 20 to 100 words, of which some are unknown.

    Args:
        rows: records.
        seed: of all.
        told_by: the class is the `share` of unknown words (10 or 30 %), or the last known word of
            two that tell it (`end`, with 20 % unknown in both).
    """
    rng = np.random.default_rng(seed)
    labels, inputs = rng.integers(0, 2, rows), []
    for label in labels:
        length = int(rng.integers(20, 101))
        tokens = rng.integers(2, 6 if told_by == "end" else VOCAB, length)
        share = 0.2 if told_by == "end" else 0.1 + 0.2 * label
        tokens[rng.random(length) < share] = OOV
        if told_by == "end":
            tokens[length - 1 - rng.integers(0, 5)] = 6 + label
        inputs.append(torch.from_numpy(tokens))
    return Rows(inputs=inputs, labels=torch.from_numpy(labels))


def measure() -> list[Figure]:
    """Scores where unknown words tell, and where they do not; how many steps are lost."""
    training, found = Training(), []
    for told_by, what in (
        ("share", "told by 10 or 30 % unknown words"),
        ("end", "told in the last five words, 20 % unknown"),
    ):
        train, test = (dialects(n, seed=s, told_by=told_by) for n, s in ((300, 1), (300, 2)))
        found.append(
            accuracies(
                f"accuracy, the class {what}",
                scores(UnknownIsPadding, train, test, training),
                scores(right, train, test, training),
            )
        )
    lost = float(np.mean([float((row == OOV).float().mean()) for row in test.inputs]))
    return [*found, plain("the same, share of steps that are lost at the end", lost, 0.0)]
