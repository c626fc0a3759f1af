"""Exact backpropagation at any length: what does not fit the memory is computed a second time.

The gradient is that of a whole pass; only memory and time differ. Models that pool records while
they read them (`pooled_segments`) keep O(sqrt T) activations beside the raw input, all others one
H-wide sequence a layer (`activations` has the formulas). Use it for long records; where the whole
pass fits the memory and the processor's cache, it is taken.

Blocks are as large as is fast, a few hundred to a few thousand steps, and smaller where the memory
asks for it. Memory thus decides the last digits, and a run cannot go on with another one; so the
largest batches of all epochs are looked at before it starts.

Legend: B rows, T steps, H units.
Source: Chen et al. 2016, arXiv:1604.06174; Gruslys et al. 2016, arXiv:1606.03401.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from models.answers.objectives import Objective
from models.architectures.lstm import PooledLSTM
from models.backpropagation.activations import (
    Size,
    block_bytes,
    front_floats,
    segment_bytes,
    whole_bytes,
)
from models.layers.core import Core
from models.layers.pooled_segments import reads_front_inside
from models.options.checks import JobError
from models.options.model import Model
from models.options.model_fits import front_stride
from models.shape import TensorBatch

FAST_BYTES = {"cpu": 16 * 2**20, "cuda": 2**30}
"""Activations of a block: on a CPU what its cache holds, on CUDA what makes calls few."""
_FEW_STEPS, _LONG = 128, 2**20
_BLOCKS = 128
"""Of a long record, where the price of a row-step is taken; more where a model has many parts."""
_MB = 2**20


@dataclass(frozen=True, slots=True)
class Exact:
    """The loss over all steps, with activations within a memory.

    Args:
        options: of the model.
        memory: bytes for activations; None: no limit, the fastest blocks.
    """

    options: Model
    memory: int | None = None

    def __call__(
        self, model: nn.Module, objective: Objective, batch: TensorBatch
    ) -> tuple[Tensor, Tensor]:
        """Sum of the losses of a batch, ready for `backward`, and their count.

        Raises:
            JobError: if the memory is too small for the batch, naming what it takes.
        """
        set_block(model, self.block(model, Size.of(batch), batch.inputs.device.type))
        return objective.loss(model(batch), batch)

    def check(self, model: nn.Module, sizes: Iterable[Size], device: str) -> None:
        """Refuse batches that the memory is too small for, before training starts.

        Raises:
            JobError: naming what the largest takes.
        """
        if self.memory is None:
            return
        worst: tuple[float, Size] | None = None
        for size in set(sizes):
            _, needed = self._choose(model, size, device)
            if needed > self.memory and (worst is None or needed > worst[0]):
                worst = needed, size
        if worst is not None:
            self.block(model, worst[1], device)

    def block(self, model: nn.Module, size: Size, device: str) -> int | None:
        """Row-steps of a block; None where the whole pass is faster and fits.

        Args:
            model: whose activations these are.
            size: of the batch.
            device: `cpu` or `cuda`.

        Raises:
            JobError: if the memory is too small, naming what it takes.
        """
        block, needed = self._choose(model, size, device)
        if self.memory is not None and needed > self.memory:
            raise _too_small(self.memory, needed, size)
        return block

    def _choose(self, model: nn.Module, size: Size, device: str) -> tuple[int | None, float]:
        """A block and the bytes that it takes, which may be more than there are."""
        whole = whole_bytes(model, self.options, size)
        memory = math.inf if self.memory is None else self.memory
        if whole <= min(memory, 2 * FAST_BYTES["cpu"] if device == "cpu" else memory):
            return None, whole
        cost = cost_of(model, self.options, size)
        wanted = min(fast_block(model, self.options, size.rows, device), max(1, size.cells - 1))
        return nearest(cost, wanted, size, memory)


def fast_block(model: nn.Module, options: Model, rows: int, device: str) -> int:
    """Row-steps of a block that computes fast, whatever the memory."""
    long = Size(rows=rows, steps=_LONG)  # what stands between its blocks does not count
    cost = cost_of(model, options, long)
    blocks = max(_BLOCKS, 2 * options.parts)
    cells = max(2, long.cells // (blocks * front_stride(options)))
    a_cell = max(1.0, 2 * (cost(cells) - cost(cells // 2)) / cells)
    return max(_FEW_STEPS * rows, int(FAST_BYTES[device] / a_cell))


def cost_of(model: nn.Module, options: Model, size: Size) -> Callable[[int], float]:
    """Bytes of activations as a function of the row-steps of a block."""
    if isinstance(model, PooledLSTM) and model.pools_by_segments:
        core, front, pool = model.core, model.front, model.pool
        if reads_front_inside(front, core):
            return lambda block: segment_bytes(core, front, pool, size, block=block)
        # the features of the whole record are kept, and their gradient
        kept = 4 * size.cells * (front_floats(front) + 2 * front.features / front.stride)
        after = Size(rows=size.rows, steps=-(-size.steps // front.stride))
        return lambda block: kept + segment_bytes(core, front, pool, after, block=block)
    return partial(block_bytes, model, options, size)


def nearest(
    cost: Callable[[int], float], wanted: int, size: Size, memory: float
) -> tuple[int, float]:
    """The block nearest to the wanted one that fits, with its bytes: smaller ones, then larger.

    Where none fits it is the one that takes least.
    """
    smaller = [wanted >> n for n in range(wanted.bit_length())]
    larger = [wanted << n for n in range(1, 40) if wanted << n <= size.cells]
    least = wanted, math.inf
    for block in [*smaller, *larger]:
        needed = cost(block)
        if needed <= memory:
            return block, needed
        least = min(least, (block, needed), key=lambda one: one[1])
    return least


def _too_small(memory: int, needed: float, size: Size) -> JobError:
    least = math.ceil(needed / _MB)
    return JobError(
        f"train.backpropagation.memory: {memory / _MB:.0f}MB is too small for the activations of "
        f"{size.rows} rows of {size.steps} steps: mode exact takes {least}MB; raise memory to "
        f"{least}MB, lower train.batch_tokens, shorten the records, or choose mode segments"
    )


def set_block(model: nn.Module, block: int | None) -> None:
    """Let a model compute its activations again in blocks of so many row-steps; None: keep all.

    A model that pools records while it reads them does that; of all others each layer is read in
    blocks.
    """
    pooled = pools_by_segments(model)
    for module in model.modules():
        if isinstance(module, PooledLSTM):
            module.block = block if pooled else None
        elif isinstance(module, Core):
            module.block = None if pooled else block


def pools_by_segments(model: nn.Module) -> bool:
    """Whether a model pools records while it reads them."""
    return isinstance(model, PooledLSTM) and model.pools_by_segments
