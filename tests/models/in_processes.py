"""What each of several connected processes does for the tests: `python -m` this file."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from models import train
from models.answers.objectives import objective_for, training_objective
from models.architectures import build
from models.backpropagation.bptt import loss_of
from models.job import from_json, read_job
from models.options.training import Train
from models.ranks import Ranks, connected
from models.shape import Shape, TensorBatch
from models.shape import to_tensors as to_float32
from models.training import joint, loop
from seqprep.batches import Batch, BatchSettings, BatchSource
from seqprep.snapshot import Snapshot

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


def children_of(pid: int) -> list[int]:
    """Processes that a process started and that have not been waited for; none if it is gone."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def run_processes(world: int, *arguments: str) -> list[str]:
    """Run this file in so many connected processes; what each printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.models.in_processes", *arguments],
            cwd=ROOT,
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]
    printed = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0] * world, printed
    return printed


def gradients(cases: list[dict[str, Any]]) -> None:
    """Print how far the joint gradient of each case is from that of one process."""
    torch.set_num_threads(1)
    with connected(CPU) as ranks:
        far = [_far(case, ranks) for case in cases]
        if ranks.is_first:
            print(json.dumps(far))


def _far(case: dict[str, Any], ranks: Ranks) -> dict[str, float]:
    """The largest relative norm over some batches, and the smallest part that a process had."""
    snapshot = Snapshot.read(Path(case["snapshot"]))
    options = from_json(Train, case["train"], key="train")
    kind = getattr(torch, case["dtype"])
    source = BatchSource.of_snapshot(snapshot, "train", settings=BatchSettings())
    longest = int(source.lengths.max())  # a batch of its own
    settings = BatchSettings(batch_tokens=longest)
    source = BatchSource.of_snapshot(snapshot, "train", settings=settings)
    plan = source.plan(0)
    torch.manual_seed(0)
    model = build(options.model, Shape.of(snapshot.facts)).to(kind)
    objective = training_objective(options, objective_for(snapshot.facts.task), source)
    modules = [
        joint.SummedLoss(model, objective, loss_of(options), shared=shared)
        for shared in (False, True)
    ]
    joined = joint.join(modules[1], ranks, CPU)
    joint.to_tensors = lambda batch, device: _as(to_float32(batch, device), kind)  # type: ignore
    worst, fewest = 0.0, 1 << 30
    parts = source.batches(plan, rank=ranks.rank, world=ranks.world)
    for whole, part in zip(source.batches(plan), parts, strict=True):
        found = [
            _gradient(model, joint.joint_loss(module, batch, some, CPU))
            for module, batch, some in ((modules[0], whole, Ranks()), (joined, part, ranks))
        ]
        worst = max(worst, float((found[0] - found[1]).norm() / found[0].norm()))
        fewest = min(fewest, len(whole.lengths[1 :: ranks.world]))
    return {"relative": worst, "fewest": fewest}


def _as(batch: TensorBatch, kind: torch.dtype) -> TensorBatch:
    return batch if batch.inputs.ndim == 2 else replace(batch, inputs=batch.inputs.to(kind))


def _gradient(
    model: torch.nn.Module, losses: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> torch.Tensor:
    model.zero_grad(set_to_none=True)
    losses[0].backward()
    return torch.cat(
        [
            torch.zeros_like(p).ravel() if p.grad is None else p.grad.ravel()
            for p in model.parameters()
        ]
    )


def training(job: Path, log: Path, stop: int) -> None:
    """Train, stopping after so many updates, and note the rows of each update of this process."""
    update = loop.update
    seen: list[list[str]] = []

    def recorded(run: loop.Run, batch: Batch, share: float) -> Any:
        seen.append(batch.ids.to_pylist())
        return update(run, batch, share)

    loop.update = recorded  # type: ignore[assignment]
    rank = os.environ["RANK"]
    # one process alone is asked to stop
    stopping: Callable[[], bool] = lambda: rank == "1" and len(seen) == stop  # noqa: E731
    with suppress(loop.Stopped):
        train.train(read_job(job), stopping=stopping)
    log.with_suffix(f".{rank}").write_text(json.dumps(seen))


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "gradients":
        gradients(json.loads(rest[0]))
    else:
        training(Path(rest[0]), Path(rest[1]), int(rest[2]))
