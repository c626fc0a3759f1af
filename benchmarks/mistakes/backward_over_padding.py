"""Mistake 12: a bidirectional LSTM over padded rows, whose backward half starts in the padding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.mistakes.figures import Figure, accuracies, plain
from benchmarks.mistakes.learn import Training, ours, plain_lstm, scores, swayed
from benchmarks.mistakes.tasks import VOCAB, telling_end, telling_tokens
from models.shape import TensorBatch


class StartsInPadding(nn.Module):
    """Forwards the last real step is read; backwards the row is turned round, padding first."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 16, padding_idx=0)
        self.forwards, self.backwards = plain_lstm(16), plain_lstm(16)
        self.out = nn.Linear(64, 2)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits `(B, 2)`."""
        x = self.embed(batch.inputs)
        there, _ = self.forwards(x)
        back, _ = self.backwards(x.flip(1))
        ends = there[torch.arange(len(x)), batch.lengths - 1]
        return self.out(torch.cat([ends, back[:, -1]], dim=-1))


def right() -> nn.Module:
    """`model: {bidirectional: true}`: each row is turned round by its own length."""
    return ours(vocab=VOCAB, bidirectional=True)


def measure() -> list[Figure]:
    """Scores where the class stands at the end and anywhere; how much padding sways an answer."""
    training, found = Training(), []
    for task, where in ((telling_end, "in the last five steps"), (telling_tokens, "anywhere")):
        train, test = task(300, seed=1), task(300, seed=2)
        found.append(
            accuracies(
                f"accuracy, 4 to 200 steps, the class told {where}",
                scores(StartsInPadding, train, test, training),
                scores(right, train, test, training),
            )
        )
    some = test.take(range(60))
    sways = [swayed(make, train, some, training) for make in (StartsInPadding, right)]
    what = "most that a probability moves beside a record of 2,000 steps"
    return [*found, plain(f"the same, {what}", *sways, seeds=training.seeds)]
