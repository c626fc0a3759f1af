"""Rows read in blocks of rows and steps whose activations are computed again for the gradient.

Between blocks only states are kept, in one tensor for all of them, and of each layer the sequence
that the next one reads. Nothing else outlives a block: small tensors, one a block, would lie
between the large ones of its activations, and where they lie these find no room again, so that the
process grows with the length and not with what is kept. The second forward pass costs about a third
of the time, and gives less back where a whole pass would not fit the processor's cache.

Legend: B rows, T steps, F features, H units, N blocks of a row.
Source: Chen et al. 2016, arXiv:1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.layers.block_gradient import Recomputed

Tensors = tuple[Tensor, ...]
Read = Callable[..., tuple[Tensor | None, Tensors]]
"""Steps `(B, T, ...)`, lengths, the state before them, each part `(B, ...)`, and what lies beside
the block, each on its own, to outputs `(B, T, H)` or None and the state after them."""
_FEW_STEPS = 128
"""A block has at least so many where it may: each has a fixed cost."""


def block_sizes(rows: int, steps: int, cells: int) -> tuple[int, int]:
    """Rows and steps of a block of about so many row-steps: all rows where steps stay many.

    >>> block_sizes(4, 10_000, 4096), block_sizes(10_000, 100, 4096), block_sizes(4, 100, 6)
    ((4, 1024), (40, 100), (1, 6))
    """
    length = max(1, min(steps, cells, max(_FEW_STEPS, cells // rows)))
    return max(1, min(rows, cells // length)), length


def cut(inputs: Tensor, lengths_B: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Segments of so many steps and the real steps of each row in them."""
    parts = inputs.split(steps, dim=1)  # one node for all: a slice's gradient is as long as the row
    for number, part in enumerate(parts):
        yield part, (lengths_B - number * steps).clamp(0, part.shape[1])


class Found(NamedTuple):
    """What reading rows gave.

    Args:
        out: outputs `(B, T, H)`, if there are any. state: after the last block.
        before: the states that each block began with, each part `(N, B, ...)`.
    """

    out: Tensor | None
    state: Tensors
    before: Tensors


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """A way to read rows block by block, each computed again for the gradient.

    Args:
        read: one block; dropout in it draws the same again.
        weights: what else than its arguments it has a gradient in.
        steps: of a block.
        rows: of a block; None: all. Fewer only for a state whose parts have rows first.
        backwards: the last block first, read from each row's own end in it.
    """

    read: Read
    weights: Tensors
    steps: int
    rows: int | None = None
    backwards: bool = False

    def __call__(
        self, inputs: Tensor, lengths_B: Tensor, state: Tensors, beside: Tensors = ()
    ) -> Found:
        """Read whole rows.

        Args:
            inputs: `(B, T, ...)`.
            lengths_B: their real steps.
            state: before the first block that is read.
            beside: what `read` gets of each block besides, `(N, ...)`.
        """
        sizes, learns = (len(state), len(beside)), torch.is_grad_enabled()
        rest = (*state, *beside, *self.weights)
        found = Recomputed.apply(self, sizes, learns, inputs, lengths_B, *rest)
        return Found(found[0], found[1 : 1 + sizes[0]], found[1 + sizes[0] :])

    def places(self, inputs: Tensor) -> Iterator[tuple[slice | None, int, slice]]:
        """Rows (None: all), number and steps of each block, in the order in which they are read."""
        rows, steps = inputs.shape[:2]
        numbers = range(-(-steps // self.steps))
        for of_rows in self.groups(rows):
            for number in reversed(numbers) if self.backwards else numbers:
                first = number * self.steps
                yield of_rows, number, slice(first, min(first + self.steps, steps))

    def groups(self, rows: int) -> list[slice | None]:
        """Rows that are read together; None: all of them."""
        if self.rows is None or self.rows >= rows:
            return [None]
        return [slice(first, first + self.rows) for first in range(0, rows, self.rows)]


def read_in_blocks(
    read: Read,
    layer: nn.Module,
    x_BTF: Tensor,
    lengths_B: Tensor,
    start: Tensors,
    *,
    cells: int,
    backwards: bool = False,
) -> tuple[Tensor, Tensors]:
    """One layer in one direction, block by block.

    Args:
        read: one block; backwards, from each row's own end in it.
        layer: that it reads by.
        x_BTF: steps of whole rows.
        lengths_B: their real steps.
        start: the state before the first block, each part `(B, H)`.
        cells: row-steps of a block.
        backwards: the last block first.
    """
    rows, steps = block_sizes(x_BTF.shape[0], x_BTF.shape[1], cells)
    blocks = Blocks(
        read=read, weights=tuple(layer.parameters()), steps=steps, rows=rows, backwards=backwards
    )
    out, state, _ = blocks(x_BTF, lengths_B, start)
    assert out is not None
    return out, state
