"""The processes of one training run: which of them this is, and what they tell one another.

Rank r takes every world-th row of each global batch, and rank 0 alone evaluates and writes. Values
travel as tensors and JSON. A process that dies closes its connections, which ends the others at
once; the time limits are for one that hangs.

Source: torchrun's environment, https://pytorch.org/docs/stable/elastic/run.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

UPDATE_LIMIT = timedelta(minutes=30)
"""How long a process waits for the others' gradients of an update."""
EVALUATION_LIMIT = timedelta(days=1)
"""How long the others wait while rank 0 evaluates, writes or reports."""
_NAMED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """The processes of a run, seen from one of them.

    Args:
        rank: this one, from 0. world: how many there are.
        talk: the group over which they tell one another what is not a gradient; None: one alone.
    """

    rank: int = 0
    world: int = 1
    talk: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this is the one that evaluates and writes."""
        return self.rank == 0

    def sum(self, values: Tensor) -> Tensor:
        """Sums over all processes, element by element, on the device of `values`."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process; all get the same answer."""
        if self.world == 1:
            return flag
        found = torch.tensor([int(flag)])
        dist.all_reduce(found, op=dist.ReduceOp.MAX, group=self.talk)
        return bool(found)

    def share(self, make: Callable[[], Any]) -> Any:
        """What rank 0 makes, in every process; plain JSON."""
        if self.world == 1:
            return make()
        data = bytearray(json.dumps(make()).encode() if self.is_first else b"")
        size = torch.tensor([len(data)])
        dist.broadcast(size, 0, group=self.talk)
        body = (
            torch.frombuffer(data, dtype=torch.uint8)
            if self.is_first
            else torch.zeros(int(size), dtype=torch.uint8)
        )
        dist.broadcast(body, 0, group=self.talk)
        return json.loads(body.numpy().tobytes())


def launched() -> bool:
    """Whether torchrun, or whoever sets the same environment, started this process."""
    return all(name in os.environ for name in _NAMED)


def place_here() -> tuple[int, int]:
    """The number of this process on its machine, and how many there are on it."""
    if not launched():
        return 0, 1
    world = os.environ["WORLD_SIZE"]
    return int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", world))


@contextmanager
def connected(device: torch.device) -> Iterator[Ranks]:
    """The processes that torchrun started, connected; or this one alone.

    All leave together. After an error none waits for the others: its end is theirs.

    Args:
        device: of this process: NCCL joins CUDA devices, gloo all else.
    """
    world = int(os.environ["WORLD_SIZE"]) if launched() else 1
    if world == 1:
        yield Ranks()
        return
    if device.type == "cuda":
        dist.init_process_group("nccl", timeout=UPDATE_LIMIT, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=UPDATE_LIMIT)
    talk = dist.new_group(backend="gloo", timeout=EVALUATION_LIMIT)
    yield Ranks(rank=dist.get_rank(), world=world, talk=talk)
    dist.barrier(group=talk)
    dist.destroy_process_group()


def is_of_another(error: BaseException) -> bool:
    """Whether an error only tells that another process has gone."""
    return isinstance(error, dist.DistError) or "gloo" in str(error) or "NCCL" in str(error)
