"""Layers read in blocks of rows and steps whose activations are computed again for the gradient.

Between blocks only states are kept, and of each layer the sequence that the next one reads. The
second forward pass costs about a third of the time, and gives less back where a whole pass would
not fit the processor's cache.

Legend: B rows, T steps, F features, H units.
Source: Chen et al. 2016, arXiv:1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

R = TypeVar("R")
Tensors = tuple[Tensor, ...]
Read = Callable[[Tensor, Tensor, Tensors | None], tuple[Tensor, Tensors]]
"""Steps `(B, T, F)`, lengths and the state before them, each part `(B, H)`, to outputs `(B, T, H)`
and the state after them."""
_FEW_STEPS = 128
"""A block has at least so many where it may: each has a fixed cost."""


def recomputed(function: Callable[..., R], *arguments: object) -> R:
    """Call a function of which only the arguments are kept; dropout draws the same again."""
    if not torch.is_grad_enabled():
        return function(*arguments)
    out: R = checkpoint(function, *arguments, use_reentrant=False)
    return out


def block_sizes(rows: int, steps: int, cells: int) -> tuple[int, int]:
    """Rows and steps of a block of about so many row-steps: all rows where steps stay many.

    >>> block_sizes(4, 10_000, 4096), block_sizes(10_000, 100, 4096), block_sizes(4, 100, 6)
    ((4, 1024), (40, 100), (1, 6))
    """
    length = max(1, min(steps, cells, max(_FEW_STEPS, cells // rows)))
    return max(1, min(rows, cells // length)), length


def cut(
    inputs: Tensor, lengths_B: Tensor, steps: int, *, backwards: bool = False
) -> Iterator[tuple[Tensor, Tensor]]:
    """Segments of so many steps and the real steps of each row in them; the last first if asked."""
    parts = inputs.split(steps, dim=1)  # one node for all: a slice's gradient is as long as the row
    numbers = range(len(parts))
    for number in reversed(numbers) if backwards else numbers:
        part = parts[number]
        yield part, (lengths_B - number * steps).clamp(0, part.shape[1])


def read_in_blocks(
    read: Read,
    x_BTF: Tensor,
    lengths_B: Tensor,
    start: Tensors | None,
    *,
    cells: int,
    backwards: bool = False,
) -> tuple[Tensor, Tensors]:
    """One layer in one direction, block by block.

    Args:
        read: one block; backwards, from each row's own end in it.
        x_BTF: steps of whole rows.
        lengths_B: their real steps.
        start: before the first block, or None for zeros.
        cells: row-steps of a block.
        backwards: the last block first.
    """
    rows, steps = block_sizes(x_BTF.shape[0], x_BTF.shape[1], cells)
    outs: list[Tensor] = []
    states: list[Tensors] = []
    for first, x_of_rows in enumerate(x_BTF.split(rows)):
        of_rows = slice(first * rows, (first + 1) * rows)
        state = None if start is None else tuple(part[of_rows] for part in start)
        pieces: list[Tensor] = []
        for part, left_B in cut(x_of_rows, lengths_B[of_rows], steps, backwards=backwards):
            piece, state = recomputed(read, part, left_B, state)
            pieces.append(piece)
        assert state is not None
        outs.append(torch.cat(pieces[::-1] if backwards else pieces, dim=1))
        states.append(state)
    if len(outs) == 1:
        return outs[0], states[0]
    return torch.cat(outs), tuple(torch.cat(parts) for parts in zip(*states, strict=True))
