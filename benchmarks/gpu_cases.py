"""What `gpu` measures: layers beside a ceiling, one long record, and the whole training loop.

Legend: B rows, T steps, F features, H units, C classes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.examples import FACTS, VOCAB, example_table, write_snapshot
from models.answers.objectives import objective_for
from models.architectures import build
from models.backpropagation.bptt import loss_of
from models.device import set_execution, set_precision
from models.layers.core import Execution
from models.options.model import Model
from models.options.training import Backpropagation, Train
from models.shape import Shape, TensorBatch, to_tensors
from seqprep.batches import BatchSettings, BatchSource
from seqprep.snapshot import Snapshot

EMBEDDING, CLASSES = 64, 2
BATCHES, WARM = 3, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of the table.

    Args:
        what: was run. hidden, length, precision: of it; length is the median of the rows.
        ms: of an update. tokens_per_s: real ones. of_ceiling: the ceiling's time over this one's.
        peak_mb: most memory of the device; None on a CPU. note: why there are no figures.
    """

    what: str
    hidden: int
    length: int
    precision: str
    ms: float | None = None
    tokens_per_s: float | None = None
    of_ceiling: float | None = None
    peak_mb: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """Measures on a device.

    Args:
        device: to run on. repeats: of which the median counts.
    """

    device: torch.device
    repeats: int

    def wait(self) -> None:
        """Let the device finish."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def measure(self, job: Callable[[], None]) -> tuple[float, float | None]:
        """Seconds of a job, and the most megabytes that it takes."""
        for _ in range(WARM):
            job()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        taken = []
        for _ in range(self.repeats):
            self.wait()
            start = time.perf_counter()
            job()
            self.wait()
            taken.append(time.perf_counter() - start)
        peak = torch.cuda.max_memory_allocated() / 1e6 if self.device.type == "cuda" else None
        return statistics.median(taken), peak


class Plain(nn.Module):
    """What the ceiling runs: no lengths, no mask.

    Args:
        hidden: units.
        bf16: whether the LSTM runs under autocast.
    """

    def __init__(self, hidden: int, *, bf16: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, EMBEDDING)
        self.lstm = nn.LSTM(EMBEDDING, hidden, batch_first=True)
        self.head = nn.Linear(hidden, CLASSES)
        self.bf16 = bf16

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits `(B, C)` from the last step."""
        x_BTF = self.embedding(batch.inputs)
        with torch.autocast(x_BTF.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            last_BH = self.lstm(x_BTF)[0][:, -1]
        logits: Tensor = self.head(last_BH.float())
        return logits


def ours(name: str, hidden: int, precision: str, execution: Execution) -> tuple[nn.Module, Model]:
    """The model that `seqprep train` builds, and its options."""
    options = Model(
        name=name,  # type: ignore[arg-type]
        embedding=EMBEDDING,
        hidden=hidden,
        bidirectional=False,
        pooling="last",
        dropout=0.0,
    )
    shape = Shape(task="classify", vocab_size=VOCAB, channels=0, outputs=CLASSES)
    model = build(options, shape)
    set_precision(model, precision)
    set_execution(model, execution)
    return model, options


def loader_batches(length: int, tokens: int, device: torch.device) -> list[TensorBatch]:
    """A few batches of rows of like length, as the loader makes them."""
    rows = max(16, 8 * tokens // length)
    table = example_table(rows, median=length, high=tokens)
    settings = BatchSettings(batch_tokens=tokens, max_rows=None)
    source = BatchSource.of_examples(table, FACTS, settings=settings)
    return [to_tensors(b, device) for b in islice(source.batches(source.plan(0)), BATCHES)]


def even(batch: TensorBatch) -> TensorBatch:
    """As many rows and real tokens, all rows of one length."""
    rows = len(batch)
    steps = max(1, round(int(batch.lengths.sum()) / rows))
    device = batch.lengths.device
    inputs = torch.randint(2, VOCAB, (rows, steps), device=device)
    lengths = torch.full((rows,), steps, device=device)
    return TensorBatch(inputs=inputs, lengths=lengths, labels=batch.labels)


def update(model: nn.Module, batches: Sequence[TensorBatch]) -> Callable[[], None]:
    """Forward and backward over some batches."""

    def job() -> None:
        for batch in batches:
            assert batch.labels is not None
            loss = functional.cross_entropy(model(batch), batch.labels)
            model.zero_grad(set_to_none=True)
            loss.backward()

    return job


def layers(hidden: int, length: int, precision: str, tokens: int, clock: Clock) -> list[Row]:
    """The ceiling, our forms of the LSTM, and minLSTM on the same rows."""
    torch.manual_seed(0)
    batches = loader_batches(length, tokens, clock.device)
    real = sum(int(batch.lengths.sum()) for batch in batches)
    about: dict[str, Any] = {"hidden": hidden, "length": length, "precision": precision}
    jobs = {
        "ceiling: cuDNN, one length": (
            Plain(hidden, bf16=precision == "bf16"),
            [even(b) for b in batches],
        ),
        "dense": (ours("lstm", hidden, precision, "dense")[0], batches),
        "packed": (ours("lstm", hidden, precision, "packed")[0], batches),
        "minLSTM, scan": (ours("min_lstm", hidden, precision, "dense")[0], batches),
    }
    rows: list[Row] = []
    best = float("nan")
    for what, (model, some) in jobs.items():
        try:
            seconds, peak = clock.measure(update(model.to(clock.device), some))
        except torch.cuda.OutOfMemoryError:
            rows.append(Row(what=what, **about, note="out of memory"))
            continue
        best = seconds if not rows else best
        rows.append(
            Row(
                what=what,
                **about,
                ms=1e3 * seconds / len(batches),
                tokens_per_s=real / seconds,
                of_ceiling=best / seconds,
                peak_mb=peak,
            )
        )
    return rows


def long_record(hidden: int, steps: int, clock: Clock) -> list[Row]:
    """Exact backpropagation of one long record beside full backpropagation."""
    torch.manual_seed(0)
    tokens = torch.randint(2, VOCAB, (1, steps), device=clock.device)
    lengths, labels = (torch.tensor([n], device=clock.device) for n in (steps, 1))
    batch = TensorBatch(inputs=tokens, lengths=lengths, labels=labels)
    objective = objective_for("classify")
    rows = []
    for what, mode, memory in (
        ("full", "full", None),
        ("exact", "exact", None),
        ("exact, 64 MB", "exact", "64MB"),
    ):
        model, options = ours("lstm", hidden, "float32", "dense")
        model.to(clock.device).train()
        how = Backpropagation(mode=mode, memory=memory)  # type: ignore[arg-type]
        loss = loss_of(Train(model=options, backpropagation=how, device="auto"))

        def job(model: nn.Module = model, loss: Any = loss) -> None:
            model.zero_grad(set_to_none=True)
            loss(model, objective, batch)[0].backward()

        seconds, peak = clock.measure(job)
        about: dict[str, Any] = {"hidden": hidden, "length": steps, "precision": "float32"}
        rate = steps / seconds
        rows.append(Row(what=what, **about, ms=1e3 * seconds, tokens_per_s=rate, peak_mb=peak))
    return rows


def loop(
    hidden: int, length: int, precision: str, tokens: int, updates: int, clock: Clock, work: Path
) -> Row:
    """The training loop with its loader, clipping and optimiser, beside the ceiling.

    The clock runs from the end of one update to the end of another, so reading, padding and moving
    batches count; opening the data and choosing the form of the LSTM do not.
    """
    about: dict[str, Any] = {"hidden": hidden, "length": length, "precision": precision}
    what = "loop, loader included"
    try:
        from models.job import Job
        from models.train import train
        from models.training.run import Stopped
    except ModuleNotFoundError as error:
        return Row(what=what, **about, note=str(error))
    warm = max(2, updates // 5)
    folder = work / f"loop-{hidden}-{length}-{precision}"
    rows = 2 * (updates + warm) * max(1, tokens // length)
    path = write_snapshot(folder, example_table(rows, median=length, high=tokens))
    options = Train(
        model=ours("lstm", hidden, precision, "dense")[1],
        batch_tokens=tokens,
        max_rows=None,
        updates=updates + warm + 1,
        epochs=None,
        precision=precision,  # type: ignore[arg-type]
        device=clock.device.type,  # type: ignore[arg-type]
        threads=torch.get_num_threads(),
    )
    ends: list[float] = []

    def stopping() -> bool:
        if len(ends) in (warm, updates + warm):
            clock.wait()
        ends.append(time.perf_counter())
        return len(ends) > updates + warm

    with suppress(Stopped):
        train(Job(snapshot=str(path), out=str(folder / "run"), train=options), stopping=stopping)
    settings = BatchSettings(batch_tokens=tokens, max_rows=None)
    source = BatchSource.of_snapshot(Snapshot.read(path), "train", settings=settings)
    plan = source.plan(0)
    timed = range(warm + 1, updates + warm + 1)
    real = sum(int(plan.lengths[plan.rows(number)].sum()) for number in timed)
    seconds = ends[updates + warm] - ends[warm]
    chosen = np.linspace(timed[0], timed[-1], BATCHES).astype(int)
    some = [next(source.batches(plan, start=int(number))) for number in chosen]
    batches = [even(to_tensors(batch, clock.device)) for batch in some]
    plain = Plain(hidden, bf16=precision == "bf16").to(clock.device)
    best, _ = clock.measure(update(plain, batches))
    highest = sum(int(batch.lengths.sum()) for batch in batches) / best
    return Row(
        what=what,
        **about,
        ms=1e3 * seconds / updates,
        tokens_per_s=real / seconds,
        of_ceiling=real / seconds / highest,
    )
