"""Training on a CPU: bucketed dense rows with lengths, beside PackedSequence.

The job: updates of a one-layer LSTM classifier (embedding 64, hidden 128, one direction, last real
step), forward, backward, clipping and AdamW, on token rows of lognormal length. What counts is real
steps a second. All cases: one thread, denormals flushed, about 32 rows a batch.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from benchmarks.common import Benchmark, Facts, Settings, main
from benchmarks.examples import VOCAB, example_table, write_snapshot
from benchmarks.inputs import SEED

ROWS = 32
BATCH_TOKENS = 13_120
"""32 rows of the mean length."""
EMBEDDING, HIDDEN = 64, 128


def make(folder: Path, size_mb: float) -> None:
    """About so many million steps."""
    write_snapshot(folder, example_table(max(20 * ROWS, int(size_mb * 1e6 / 410))))


def prepare_torch() -> None:
    """The same for every case."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    if not torch.set_flush_denormal(True):
        raise RuntimeError("this CPU cannot flush denormals; the figures would mean nothing")


def bucketed(settings: Settings, updates: int) -> list[Any]:
    """The first batches of an epoch, rows of like length together, as tensors."""
    import torch

    from models.shape import to_tensors
    from seqprep.batches import BatchSettings, BatchSource
    from seqprep.snapshot import Snapshot

    snapshot = Snapshot.read(settings.inputs / "snapshot.json")
    budget = BatchSettings(batch_tokens=BATCH_TOKENS, max_rows=None)
    source = BatchSource.of_snapshot(snapshot, "train", settings=budget)
    batches = itertools.islice(source.batches(source.plan(0)), updates)
    return [to_tensors(batch, torch.device("cpu")) for batch in batches]


def random_rows(settings: Settings, updates: int) -> list[Any]:
    """Batches of rows drawn at random, padded to their longest, as tensors."""
    import numpy as np
    import pyarrow.dataset as ds
    import torch
    from torch.nn.utils.rnn import pad_sequence

    from models.shape import TensorBatch

    table = ds.dataset(settings.inputs / "examples").to_table(columns=["tokens", "label"])
    order = np.random.default_rng(SEED).permutation(len(table))
    batches = []
    for start in range(0, updates * ROWS, ROWS):
        rows = table.take(order[start : start + ROWS])
        tokens = [torch.tensor(row.as_py()) for row in rows["tokens"]]
        batches.append(
            TensorBatch(
                inputs=pad_sequence(tokens, batch_first=True),
                lengths=torch.tensor([len(row) for row in tokens]),
                labels=torch.tensor(rows["label"].to_pylist()),
            )
        )
    return batches


def updates_of(model: Any, batches: list[Any], *, warm: int = 2) -> Any:
    """A job that trains on all batches but the first few, which warm up before the clock."""
    import torch
    from torch.nn import functional

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    def update(batch: Any) -> None:
        loss = functional.cross_entropy(model(batch), batch.labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for batch in batches[:warm]:
        update(batch)

    def job() -> Facts:
        real = computed = 0
        for batch in batches[warm:]:
            update(batch)
            real += int(batch.lengths.sum())
            computed += batch.inputs.numel()
        return {"units": real, "padding_share": 1 - real / computed, "updates": len(batches) - warm}

    return job


def ours(settings: Settings) -> Any:
    """The model and the batches that `seqprep train` uses."""
    return updates_of(our_model("lstm"), bucketed(settings, 14))


def min_lstm(settings: Settings) -> Any:
    """The same with minLSTM, whose steps are computed at once."""
    return updates_of(our_model("min_lstm"), bucketed(settings, 14))


def our_model(name: str) -> Any:
    """A model of this project by name."""
    prepare_torch()
    from models.architectures import build
    from models.options.model import Model
    from models.shape import Shape

    options = Model(
        name=name,
        embedding=EMBEDDING,
        hidden=HIDDEN,
        bidirectional=False,
        pooling="last",
        dropout=0.0,
        execution="dense" if name == "lstm" else "auto",
    )
    return build(options, Shape(task="classify", vocab_size=VOCAB, channels=0, outputs=2))


def packed_documented(settings: Settings) -> Any:
    """As tutorials show: random batches, `pack_padded_sequence`, the final state."""
    prepare_torch()
    return updates_of(plain_model(packed=True), random_rows(settings, 6))


def packed_expert(settings: Settings) -> Any:
    """PackedSequence over our bucketed batches."""
    prepare_torch()
    return updates_of(plain_model(packed=True), bucketed(settings, 6))


def plain_dense(settings: Settings) -> Any:
    """A plain `nn.LSTM` call on our bucketed batches: what lengths and masks cost us beside it."""
    prepare_torch()
    return updates_of(plain_model(packed=False), bucketed(settings, 14))


def padded_documented(settings: Settings) -> Any:
    """Random batches padded to their longest row, the last real step gathered."""
    prepare_torch()
    return updates_of(plain_model(packed=False), random_rows(settings, 8))


def plain_model(*, packed: bool) -> Any:
    """Embedding, `nn.LSTM`, the state at each row's end, a linear layer."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(VOCAB, EMBEDDING, padding_idx=0)
            self.lstm = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
            self.head = nn.Linear(HIDDEN, 2)

        def forward(self, batch: Any) -> Any:
            embedded = self.embedding(batch.inputs)
            if packed:
                rows = pack_padded_sequence(
                    embedded, batch.lengths, batch_first=True, enforce_sorted=False
                )
                last = self.lstm(rows)[1][0][-1]
            else:
                outputs = self.lstm(embedded)[0]
                last = outputs[torch.arange(len(outputs)), batch.lengths - 1]
            return self.head(last)

    return Classifier()


BENCHMARK = Benchmark(
    name="training",
    title="Training on a CPU",
    make=make,
    cases={
        "ours": ours,
        "min_lstm": min_lstm,
        "plain_dense": plain_dense,
        "padded_documented": padded_documented,
        "packed_expert": packed_expert,
        "packed_documented": packed_documented,
    },
    aims={"plain_dense": 1 / 1.15, "packed_documented": 10.0, "packed_expert": 10.0},
    size_mb=2,
    processes=1,
    notes=(
        "LSTM, embedding 64, hidden 128, one direction, float32, one thread, denormals flushed in "
        "all cases; forward, backward, clipping and AdamW. The batches of `plain_dense` and of the "
        "expert are ours; `plain_dense` may take as little as 1 / 1.15 of our time."
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
