"""Memory as the kernel sees it: by how much a process of its own grows, `python -m` this file.

What PyTorch's allocator hands out is not all: blocks that are freed and find no new use stay with
the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from models.answers.objectives import objective_for
from models.architectures import build
from models.backpropagation.bptt import loss_of
from models.backpropagation.exact import set_block
from models.bundle import Bundle
from models.lag import gradient_by_lag
from models.options.model import Model
from models.options.training import Backpropagation, Train
from models.shape import Shape, TensorBatch
from models.training.memory import peak_bytes
from tests.synthetic import example_table, facts_of_task

ROOT = Path(__file__).resolve().parents[2]
# what the train flow gives its trainers
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}
VOCAB = 12


def grown_mb(job: str, lengths: list[int], memory: str = "512MB") -> list[float]:
    """Megabytes that a process grows by at most, up to the end of each record."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.resident", job, memory, *map(str, lengths)],
        cwd=ROOT,
        env={**os.environ, **MALLOC, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=600,
    )
    grown: list[float] = json.loads(done.stdout)
    return grown


def record(steps: int) -> TensorBatch:
    """One random record of two classes."""
    return TensorBatch(
        inputs=torch.randint(2, VOCAB, (1, steps)),
        lengths=torch.tensor([steps]),
        labels=torch.zeros(1, dtype=torch.int64),
    )


def _exact(model: nn.Module, config: Model, memory: str) -> Callable[[TensorBatch], None]:
    way = Backpropagation(mode="exact", memory=memory)
    loss, objective = loss_of(Train(model=config, backpropagation=way)), objective_for("classify")

    def update(batch: TensorBatch) -> None:
        model.zero_grad()
        loss(model, objective, batch)[0].backward()

    set_block(model, 100)  # what the first call imports is no part of the job
    objective.loss(model(record(1000)), record(1000))[0].backward()
    update(record(1000))
    return update


def _lag(model: nn.Module, config: Model, memory: str) -> Callable[[TensorBatch], None]:
    facts = facts_of_task("classify", {"tokens": []}, vocab_size=VOCAB)
    bundle = Bundle(model=model.eval(), config=config, facts=facts)

    def look(batch: TensorBatch) -> None:
        rows = example_table({"tokens": batch.inputs.tolist(), "label": [0]}, facts)
        gradient_by_lag(bundle, rows, device=torch.device("cpu"))

    look(record(1000))
    return look


JOBS = {"exact": _exact, "lag": _lag}


def main(name: str, memory: str, *lengths: str) -> None:
    """Print by how much this process grew up to the end of each length."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    config = Model(hidden=64, embedding=16, bidirectional=False, dropout=0.0)
    model = build(config, Shape(task="classify", vocab_size=VOCAB, channels=0, outputs=2))
    work, cpu = JOBS[name](model, config, memory), torch.device("cpu")
    batches = [record(int(length)) for length in lengths]
    base, grown = peak_bytes(cpu), list[float]()
    for batch in batches:
        work(batch)
        grown.append((peak_bytes(cpu) - base) / 2**20)
    print(json.dumps(grown))


if __name__ == "__main__":
    main(*sys.argv[1:])
