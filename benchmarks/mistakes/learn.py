"""What the wrong and the right way share: rows, batches, training, scoring.

Both get the same rows in the same batches, the same optimiser and as many updates; what differs
is the mistake. Batches are drawn at random and padded to their longest row, as a loader does that
knows nothing of lengths.

Legend: B rows, T steps, F features, R records, S seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from benchmarks.mistakes.figures import Scores
from models.architectures import build
from models.layers.recurrent import LSTM
from models.options.model import Model
from models.shape import Shape, TensorBatch

Loss = Callable[[Tensor, Tensor], Tensor]
Correct = Callable[[Tensor, Tensor], Tensor]
ROWS = 32
"""Of a batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Records and their classes.

    Args:
        inputs: of each record `(T,)` ids or `(T, F)` values.
        labels: `(R,)` classes.
    """

    inputs: Sequence[Tensor]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: Sequence[int]) -> Rows:
        """Some of them, in this order."""
        return Rows(inputs=[self.inputs[i] for i in index], labels=self.labels[list(index)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How long and how fast, for both ways alike.

    Args:
        epochs: over the training rows. lr: of AdamW. seeds: trainings.
    """

    epochs: int = 6
    lr: float = 0.005
    seeds: int = 3


def as_batch(rows: Rows) -> TensorBatch:
    """All rows, padded with zeros to the longest."""
    lengths = torch.tensor([len(row) for row in rows.inputs])
    inputs = pad_sequence(list(rows.inputs), batch_first=True)
    return TensorBatch(inputs=inputs, lengths=lengths, labels=rows.labels)


def batches(rows: Rows, rng: np.random.Generator) -> Iterator[TensorBatch]:
    """An epoch in random order."""
    order = rng.permutation(len(rows)).tolist()
    for start in range(0, len(rows), ROWS):
        yield as_batch(rows.take(order[start : start + ROWS]))


def fit(
    model: nn.Module, rows: Rows, training: Training, *, seed: int, loss: Loss | None = None
) -> nn.Module:
    """Train in place; the model that was given."""
    rng, loss = np.random.default_rng(seed), loss or functional.cross_entropy
    optimizer = torch.optim.AdamW(model.parameters(), lr=training.lr)
    model.train()
    for _ in range(training.epochs):
        for batch in batches(rows, rng):
            optimizer.zero_grad()
            loss(model(batch), batch.labels).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return model.eval()


def is_highest(out: Tensor, labels: Tensor) -> Tensor:
    """Whether the label's output is the highest, `(B,)`."""
    return out.argmax(-1) == labels


@torch.no_grad()
def correct(model: nn.Module, rows: Rows, *, is_right: Correct = is_highest) -> Scores:
    """1 for every record that is answered rightly, else 0, `(R,)`."""
    parts = [rows.take(range(i, min(i + ROWS, len(rows)))) for i in range(0, len(rows), ROWS)]
    found = [is_right(model(as_batch(part)), part.labels) for part in parts]
    return torch.cat(found).numpy().astype(np.float64)


def scores(
    make: Callable[[], nn.Module], train: Rows, test: Rows, training: Training, **how: Any
) -> Scores:
    """Right answers of each seed and test record, `(S, R)`.

    Args:
        make: a model with fresh weights.
        train: rows.
        test: others.
        training: how long.
        **how: `loss` of the training and `is_right` of the scoring, if not the usual ones.
    """
    told = {name: how[name] for name in ("is_right",) if name in how}
    found = []
    for seed in range(training.seeds):
        torch.manual_seed(seed)
        model = fit(make(), train, training, seed=seed, loss=how.get("loss"))
        found.append(correct(model, test, **told))
    return np.stack(found)


def ours(*, vocab: int = 0, channels: int = 0, outputs: int = 2, **options: Any) -> nn.Module:
    """A model of this software; as it stands one direction, last state, no dropout."""
    plain = {"bidirectional": False, "pooling": "last", "dropout": 0.0, "hidden": 32}
    shape = Shape(task="classify", vocab_size=vocab or None, channels=channels, outputs=outputs)
    return build(Model(**{"embedding": 16, **plain, **options}), shape)


def plain_lstm(inputs: int, hidden: int = 32) -> nn.LSTM:
    """PyTorch's own LSTM, its first weights drawn as ours are."""
    layer = LSTM(inputs, hidden).layers[0][0]  # type: ignore[index]
    assert isinstance(layer, nn.LSTM)
    return layer


@torch.no_grad()
def swayed(make: Callable[[], nn.Module], train: Rows, test: Rows, training: Training) -> float:
    """Most by which a probability moves when rows stand beside one of ten times the length.

    The mean over seeds.
    """
    found = []
    for seed in range(training.seeds):
        torch.manual_seed(seed)
        with torch.enable_grad():
            model = fit(make(), train, training, seed=seed)
        batch = as_batch(test)
        wide = functional.pad(batch.inputs, (0, 9 * batch.inputs.shape[1]))
        both = (model(batch), model(replace(batch, inputs=wide)))
        alone, beside = (out.softmax(-1) for out in both)
        found.append(float((alone - beside).abs().max()))
    return float(np.mean(found))
