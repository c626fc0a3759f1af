"""The gradient of rows that are read in blocks: each block computed again, the last one first.

Nothing that is made for one block outlives it but what goes into tensors made for all of them; see
`recompute`. Gradients in weights are given back as those of any function, so that what waits for
them, as the reducer of several processes does, need not know.

Legend: B rows, T steps, H units, N blocks of a row.
Source: Chen et al. 2016, arXiv:1604.06174.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Blocks(Protocol):
    """What is read block by block; see `recompute.Blocks`."""

    @property
    def steps(self) -> int:
        """Of a block."""
        ...

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """What else than its arguments a block has a gradient in."""
        ...

    @property
    def read(self) -> Any:
        """One block; see `recompute.Read`."""
        ...

    def places(self, inputs: Tensor) -> Iterator[tuple[slice | None, int, slice]]:
        """Rows, number and steps of each block, in the order in which they are read."""
        ...


class Recomputed(torch.autograd.Function):
    """Reads in blocks; inputs, states and weights get their gradients, and no second ones."""

    @staticmethod
    def forward(
        ctx: Any,
        blocks: Blocks,
        sizes: tuple[int, int],
        learns: bool,
        x: Tensor,
        lengths_B: Tensor,
        *rest: Tensor,
    ) -> tuple[Tensor | None, ...]:
        """Outputs, the state after the last block, and those before each."""
        start, beside = rest[: sizes[0]], rest[sizes[0] : sum(sizes)]
        places = list(blocks.places(x))
        count = -(-x.shape[1] // blocks.steps)
        before = tuple(part.new_empty(count, *part.shape) for part in start)
        after: list[Tensor] = []
        out: Tensor | None = None
        drawn = _Drawn(x.device, len(places)) if learns else None
        state = start
        for turn, (rows, number, steps) in enumerate(places):
            if turn % count == 0:
                state = tuple(_of(part, rows) for part in start)
            for kept, part in zip(before, state, strict=True):
                _of(kept[number], rows).copy_(part)
            if drawn is not None:
                drawn.keep(turn)
            # in the type that is kept, so that the second pass begins with the same
            piece, state = blocks.read(
                *_block(x, lengths_B, rows, steps),
                tuple(_of(kept[number], rows) for kept in before),
                *(_of(one[number], rows) for one in beside),
            )
            if piece is not None:
                if out is None:
                    out = piece.new_empty(*x.shape[:2], *piece.shape[2:])
                _of(out, rows)[:, steps] = piece
            if (turn + 1) % count == 0:
                after = after or [
                    part.new_empty(whole.shape) for part, whole in zip(state, start, strict=True)
                ]
                for whole, part in zip(after, state, strict=True):
                    _of(whole, rows).copy_(part)
        ctx.set_materialize_grads(False)
        ctx.blocks, ctx.sizes, ctx.drawn = blocks, sizes, drawn
        ctx.save_for_backward(x, lengths_B, *before, *beside, *blocks.weights)
        return (out, *after, *before)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Any, ...]:
        """Gradients of what forward was given."""
        return (None, None, None, *_Backward(ctx, given).run())


class _Backward:
    """The blocks once more, the last one that was read first, each with its gradient.

    Args:
        ctx: what forward left. given: gradients of what it gave.
    """

    def __init__(self, ctx: Any, given: tuple[Tensor | None, ...]) -> None:
        self.blocks, self.drawn = ctx.blocks, ctx.drawn
        parts, others = ctx.sizes
        self.x, self.lengths_B, *saved = ctx.saved_tensors
        self.before, self.beside = saved[:parts], saved[parts : parts + others]
        self.weights = saved[parts + others :]
        self.of_out, self.of_after = given[0], given[1 : 1 + parts]
        self.of_before = given[1 + parts :]
        of_x, _, *rest = ctx.needs_input_grad[3:]
        wanted = torch.empty_like
        self.to_x = wanted(self.x) if of_x else None
        self.to_start = [
            wanted(b[0]) if n else None for b, n in zip(self.before, rest[:parts], strict=True)
        ]
        needed = zip(self.beside, rest[parts : parts + others], strict=True)
        self.to_beside = [wanted(b) if n else None for b, n in needed]
        self.learns = [w for w, n in zip(self.weights, rest[parts + others :], strict=True) if n]
        self.to_weights: list[Tensor | None] = [None] * len(self.learns)
        self.places = rest[parts + others :]

    def run(self) -> list[Tensor | None]:
        """Gradients of inputs, lengths, states, what lies beside, and weights."""
        places = list(self.blocks.places(self.x))
        count = self.before[0].shape[0]
        now = self.drawn.state()
        state: list[Tensor | None] = []
        for turn in reversed(range(len(places))):
            rows, number, steps = places[turn]
            if (turn + 1) % count == 0:
                state = [None if g is None else _of(g, rows) for g in self.of_after]
            self.drawn.restore(turn)
            state = self._block(rows, number, steps, state)
            if turn % count == 0:
                for whole, part in zip(self.to_start, state, strict=True):
                    _put(None if whole is None else _of(whole, rows), part)
        self.drawn.set(now)
        learnt = iter(self.to_weights)
        weights = [next(learnt) if needed else None for needed in self.places]
        return [self.to_x, None, *self.to_start, *self.to_beside, *weights]

    def _block(
        self, rows: slice | None, number: int, steps: slice, after: list[Tensor | None]
    ) -> list[Tensor | None]:
        """Gradients of the state before a block from those of the state after it."""
        part, left_B = _block(self.x, self.lengths_B, rows, steps)
        part = part.detach().requires_grad_(self.to_x is not None)
        state = [_of(kept[number], rows).detach().requires_grad_() for kept in self.before]
        beside = [
            _of(one[number], rows).detach().requires_grad_(to is not None)
            for one, to in zip(self.beside, self.to_beside, strict=True)
        ]
        with torch.enable_grad():
            piece, handed = self.blocks.read(part, left_B, tuple(state), *beside)
        outputs: list[tuple[Tensor, Tensor]] = [
            (one, gradient.to(one.dtype))
            for one, gradient in zip(handed, after, strict=True)
            if gradient is not None and one.requires_grad
        ]
        if piece is not None and self.of_out is not None:
            outputs.append((piece, _of(self.of_out, rows)[:, steps].to(piece.dtype)))
        to_part = [part] if self.to_x is not None else []
        to_beside = [one for one in beside if one.requires_grad]
        found: list[Tensor | None] = [None] * (len(state) + len(to_part) + len(to_beside))
        learnt: list[Tensor | None] = [None] * len(self.learns)
        if outputs:
            every = torch.autograd.grad(
                [one for one, _ in outputs],
                [*state, *to_part, *to_beside, *self.learns],
                [gradient for _, gradient in outputs],
                allow_unused=True,
            )
            found, learnt = list(every[: len(found)]), list(every[len(found) :])
        rest = iter(found[len(state) :])
        if self.to_x is not None:
            _put(_of(self.to_x, rows)[:, steps], next(rest))
        for whole in self.to_beside:
            if whole is not None:
                _put(_of(whole[number], rows), next(rest))
        for place, gradient in enumerate(learnt):
            self._learn(place, gradient)
        return [
            _sum(gradient, None if own is None else _of(own[number], rows))
            for gradient, own in zip(found, self.of_before, strict=False)
        ]

    def _learn(self, place: int, gradient: Tensor | None) -> None:
        if gradient is None:
            return
        total = self.to_weights[place]
        if total is None:
            total = self.to_weights[place] = torch.zeros_like(self.learns[place])
        total.add_(gradient)


class _Drawn:
    """The state of the random numbers before each block, on the device of the inputs.

    Args:
        device: of the inputs. blocks: how many.
    """

    def __init__(self, device: torch.device, blocks: int) -> None:
        self.device = device
        self.kept = self.state().new_empty(blocks, len(self.state()))

    def keep(self, block: int) -> None:
        """Note where a block begins to draw."""
        self.kept[block] = self.state()

    def restore(self, block: int) -> None:
        """Draw as that block did."""
        self.set(self.kept[block].clone())

    def state(self) -> Tensor:
        """Where the numbers stand."""
        if self.device.type == "cuda":
            return torch.cuda.get_rng_state(self.device)
        return torch.get_rng_state()

    def set(self, state: Tensor) -> None:
        """Go on from there."""
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state, self.device)
        else:
            torch.set_rng_state(state)


def _of(whole: Tensor, rows: slice | None) -> Tensor:
    return whole if rows is None else whole[rows]


def _block(x: Tensor, lengths_B: Tensor, rows: slice | None, steps: slice) -> tuple[Tensor, Tensor]:
    left_B = (_of(lengths_B, rows) - steps.start).clamp(0, steps.stop - steps.start)
    return _of(x, rows)[:, steps], left_B


def _put(whole: Tensor | None, gradient: Tensor | None) -> None:
    if whole is None:
        return
    if gradient is None:
        whole.zero_()
    else:
        whole.copy_(gradient)


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
