"""Mistake 6: a hierarchy whose lower level returns sequences, so the upper one sees no chunks."""

from __future__ import annotations

import json
import sys
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.mistakes.apart import cost_apart, settle
from benchmarks.mistakes.figures import Figure, accuracies, plain
from benchmarks.mistakes.learn import Training, ours, plain_lstm, scores
from benchmarks.mistakes.tasks import VOCAB, telling_start
from models.shape import TensorBatch
from models.training.memory import peak_bytes

STEPS, CHUNK = 10_000, 100
CPU = torch.device("cpu")


class SequencesUpward(nn.Module):
    """Every step's state goes up, so the upper LSTM is as long as the record.

    Args:
        chunk: steps. hidden, upper: units below and above.
    """

    def __init__(self, chunk: int, hidden: int, upper: int) -> None:
        super().__init__()
        self.chunk = chunk
        self.embed = nn.Embedding(VOCAB, 16, padding_idx=0)
        self.lower, self.upper = plain_lstm(16, hidden), plain_lstm(hidden, upper)
        self.out = nn.Linear(upper, 2)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits `(B, 2)`."""
        rows, steps = batch.inputs.shape
        below, _ = self.lower(self.embed(batch.inputs.reshape(-1, self.chunk)))
        above, _ = self.upper(below.reshape(rows, steps, -1))
        return self.out(above[:, -1])


def right(chunk: int, hidden: int, upper: int) -> nn.Module:
    """`model: {name: hierarchical}`: one vector a chunk goes up."""
    return ours(vocab=VOCAB, name="hierarchical", chunk=chunk, hidden=hidden, upper_hidden=upper)


WAYS = {"wrong": SequencesUpward, "right": right}


def cost(way: str) -> dict[str, float]:
    """Processor seconds and megabytes of one update of 4 records of 100 x 100 steps."""
    settle()
    model = WAYS[way](CHUNK, 64, 32)
    optimizer = torch.optim.AdamW(model.parameters())

    def update(steps: int) -> None:
        batch = TensorBatch(
            inputs=torch.randint(2, VOCAB, (4, steps)), lengths=torch.full((4,), steps)
        )
        functional.cross_entropy(model(batch), torch.tensor([0, 1, 0, 1])).backward()
        optimizer.step()

    update(2 * CHUNK)
    base, start = peak_bytes(CPU), time.process_time()
    update(STEPS)
    seconds = time.process_time() - start
    return {"seconds": seconds, "mb": (peak_bytes(CPU) - base) / 2**20}


def measure() -> list[Figure]:
    """Time and memory at 100 x 100 steps; scores where the class is told at the start."""
    costs = {way: cost_apart("sequences_upward", way) for way in WAYS}
    train, test = (telling_start(rows, seed=s, steps=200) for rows, s in ((200, 1), (300, 2)))
    found = [
        scores(lambda make=make: make(10, 32, 32), train, test, Training(epochs=10))
        for make in WAYS.values()
    ]
    task = "an update of 4 records of 10,000 steps, 64 and 32 units"
    return [
        plain(f"CPU seconds, {task}", costs["wrong"]["seconds"], costs["right"]["seconds"]),
        plain(f"MB of memory, {task}", costs["wrong"]["mb"], costs["right"]["mb"]),
        accuracies("accuracy, 200 steps in chunks of 10, the class told at the start", *found),
    ]


if __name__ == "__main__":
    print(json.dumps(cost(sys.argv[1])))
