"""Evaluation in blocks: no batch of it takes more memory than those of training do.

Answers are those of whole rows. Whether and where rows are cut follows from the batch, the options
and the kind of device alone, never from what was trained before, so a run that goes on gives the
same figures to the bit. What fits the cache or a device's first gigabytes is read at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from models.backpropagation.activations import Size, whole_bytes
from models.backpropagation.exact import FAST_BYTES, cost_of, fast_block, nearest, set_block
from models.options.model import Model
from models.options.training import Train
from models.shape import TensorBatch


@contextmanager
def in_blocks(model: nn.Module, options: Train, device: torch.device) -> Iterator[None]:
    """Read every batch that the model is called with inside this in blocks as large as are fast.

    In mode full rows stay whole: training keeps more of them than an evaluation does.

    Args:
        model: whole again afterwards.
        options: of the run.
        device: of the model.
    """
    if options.backpropagation.mode == "full":
        yield
        return
    named = options.backpropagation.memory_bytes
    memory = math.inf if named is None else named

    def choose(module: nn.Module, arguments: tuple[TensorBatch, ...]) -> None:
        size = Size.of(arguments[0])
        set_block(module, evaluation_block(module, options.model, size, device.type, memory))

    handle = model.register_forward_pre_hook(choose)
    try:
        yield
    finally:
        handle.remove()
        set_block(model, None)


def evaluation_block(
    model: nn.Module, options: Model, size: Size, device: str, memory: float = math.inf
) -> int | None:
    """Row-steps that are read at a time without gradient; None: all of them at once.

    Args:
        model: that reads.
        options: of it.
        size: of the batch.
        device: `cpu` or `cuda`.
        memory: bytes; what training would keep of a block stays below, where any block does.
    """
    whole = whole_bytes(model, options, size)
    wanted = fast_block(model, options, size.rows, device)
    if whole <= min(memory, 2 * FAST_BYTES[device]) or (whole <= memory and wanted >= size.cells):
        return None
    cost = cost_of(model, options, size)
    return nearest(cost, min(wanted, max(1, size.cells - 1)), size, memory)[0]
