"""The recurrent core: a stack of layers in one or two directions, whole rows or segment by segment.

Whole rows come padded, with lengths: what stands after a row's end is never seen, and backwards
each row is read from its own end. Segment by segment the state is handed on, in one direction. What
a layer is, LSTM or another, is the subclass's.

Legend: B rows, T steps, F features, H units of a direction, D directions, L layers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from models.layers.recompute import read_in_blocks
from models.options.model import Model
from models.shape import step_mask

Execution = Literal["dense", "packed"]
State = tuple[Tensor, ...]
"""What a core hands on, each part `(L, B, H)`; of one layer `(B, H)`. LSTM: hidden and cell."""


class _Turn(torch.autograd.Function):
    """Reorder steps by a permutation that is its own inverse, so backward is the same gather."""

    @staticmethod
    def forward(ctx: Any, x_BTF: Tensor, index_BT: Tensor) -> Tensor:
        ctx.save_for_backward(index_BT)
        return x_BTF.gather(1, index_BT[:, :, None].expand_as(x_BTF))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (index_BT,) = ctx.saved_tensors
        return gradients[0].gather(1, index_BT[:, :, None].expand_as(gradients[0])), None


def turn_index(lengths_B: Tensor, steps: int) -> Tensor:
    """Where each step of a row turned round by its own length comes from, `(B, T)`.

    >>> turn_index(torch.tensor([2, 3]), 3).tolist()
    [[1, 0, 2], [2, 1, 0]]
    """
    place = torch.arange(steps, device=lengths_B.device).expand(len(lengths_B), steps)
    return torch.where(step_mask(lengths_B, steps), lengths_B[:, None] - 1 - place, place)


def turn(x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
    """Turn each row's real steps round; what stands after its end stays."""
    out: Tensor = _Turn.apply(x_BTF, turn_index(lengths_B, x_BTF.shape[1]))
    return out


def last_step(x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
    """The last real step of each row, `(B, F)`."""
    return x_BTF[torch.arange(len(x_BTF), device=x_BTF.device), lengths_B - 1]


class Core(nn.Module, ABC):
    """See the module.

    Set from outside, changing no weight: `execution` and `autocast` (the type that layers run in;
    outputs are float32 again), once the machine is known, and `block`: of how many row-steps at a
    time activations are kept, the others being computed again for the gradient; None keeps all.

    Args:
        inputs: features of a step.
        hidden: units of a direction.
        layers: stacked; each reads both directions of the one below.
        bidirectional: also read each row backwards from its own end.
        dropout: between layers.
        noise: standard deviation of Gaussian noise on the outputs of each layer, in training.
    """

    state_parts: int
    """How many tensors a state has."""
    unit_floats: float = 17.0
    """What a layer keeps of a step for its backward pass, in floats a unit; measured."""

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        self.execution: Execution = "dense"
        self.autocast: torch.dtype | None = None
        self.block: int | None = None
        self.directions = 2 if bidirectional else 1
        self.inputs, self.hidden, self.features = inputs, hidden, hidden * self.directions
        sizes = [inputs, *[self.features] * (layers - 1)]
        self.layers = nn.ModuleList(
            nn.ModuleList(self.make_layer(size, hidden) for _ in range(self.directions))
            for size in sizes
        )
        self.dropout, self.noise = nn.Dropout(dropout), noise

    @classmethod
    def of(cls, config: Model, inputs: int, hidden: int) -> Self:
        """A core with the options of a model."""
        return cls(
            inputs,
            hidden,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
            noise=config.noise,
        )

    @abstractmethod
    def make_layer(self, inputs: int, hidden: int) -> nn.Module:
        """A layer of one direction, with fresh weights."""

    @abstractmethod
    def read_layer(self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """Outputs `(B, T, H)` of one layer forwards; after a row's end they mean nothing."""

    @abstractmethod
    def carry_layer(
        self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor, start: State | None
    ) -> tuple[Tensor, State]:
        """The same from a state `(B, H)`, and the state after each row's own last step.

        A row of length 0 keeps its state.
        """

    def forward(self, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """Read whole rows.

        Args:
            x_BTF: float, taken to the weights' type; what stands after a row's end is never seen.
            lengths_B: int64 steps, each in 1..T.

        Returns:
            `(B, T, D x H)` outputs; after a row's end they mean nothing.
        """
        x_BTF = self._typed(x_BTF)
        with self._autocast(x_BTF):
            for number, directions in enumerate(self.layers):
                x_BTF = self._between(x_BTF, number)
                assert isinstance(directions, nn.ModuleList)
                out = self._forwards(directions[0], x_BTF, lengths_B)
                if len(directions) == 2:
                    out = torch.cat([out, self._back(directions[1], x_BTF, lengths_B)], dim=-1)
                x_BTF = self._noisy(out)
        return x_BTF if self.autocast is None else x_BTF.float()

    def final(self, out_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """The last state of each direction, `(B, D x H)`; backwards it lies at the first step."""
        if self.directions == 1:
            return last_step(out_BTF, lengths_B)
        half = self.features // 2
        return torch.cat([last_step(out_BTF[..., :half], lengths_B), out_BTF[:, 0, half:]], dim=-1)

    def carry(
        self, x_BTF: Tensor, lengths_B: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Read a segment and hand the state on.

        Args:
            x_BTF: float steps of the segment.
            lengths_B: int64 real steps, each in 0..T; a row of length 0 keeps its state.
            state: from the previous segment, or None at a record's start.

        Returns:
            `(B, T, H)` outputs, and the state after each row's own last step.

        Raises:
            ValueError: if the stack reads in two directions.
        """
        if self.directions != 1:
            raise ValueError("state is carried in one direction only; set bidirectional: false")
        after: list[State] = []
        x_BTF = self._typed(x_BTF)
        with self._autocast(x_BTF):
            for number, directions in enumerate(self.layers):
                x_BTF = self._between(x_BTF, number)
                assert isinstance(directions, nn.ModuleList)
                start = None if state is None else tuple(part[number] for part in state)
                out, handed = self._carry(directions[0], x_BTF, lengths_B, start)
                x_BTF = self._noisy(out)
                after.append(handed)
        parts = tuple(torch.stack(part) for part in zip(*after, strict=True))
        if self.autocast is None:
            return x_BTF, parts
        return x_BTF.float(), tuple(part.float() for part in parts)

    def carry_direction(
        self, direction: int, x_BTF: Tensor, lengths_B: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """Read a segment in one direction of a core of one layer.

        Args:
            direction: 0 forwards, or 1: from the segment's end, so that the last one comes first.
            x_BTF: float steps of the segment.
            lengths_B: int64 real steps, each in 0..T.
            state: from the segment before, or behind, each part `(B, H)`.

        Returns:
            `(B, T, H)` outputs, each at its step, and the state to hand on.
        """
        (directions,) = self.layers
        assert isinstance(directions, nn.ModuleList)
        x_BTF = self._typed(x_BTF)
        with self._autocast(x_BTF):
            read = self._carry_back if direction else self.carry_layer
            out, state = read(directions[direction], x_BTF, lengths_B, state)
            out = self._noisy(out)
        if self.autocast is None:
            return out, state
        return out.float(), tuple(part.float() for part in state)

    def _forwards(self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        if self._at_once(x_BTF):
            return self.read_layer(layer, x_BTF, lengths_B)
        # what comes after a row's end is not looked at, so no row needs to be held there
        over_B = torch.full_like(lengths_B, x_BTF.shape[1])
        return self._carry(layer, x_BTF, over_B, None)[0]

    def _back(self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        if self._at_once(x_BTF):
            return turn(self.read_layer(layer, turn(x_BTF, lengths_B), lengths_B), lengths_B)
        return self._in_blocks(layer, x_BTF, lengths_B, None, backwards=True)[0]

    def _carry(
        self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor, start: State | None
    ) -> tuple[Tensor, State]:
        if self._at_once(x_BTF):
            return self.carry_layer(layer, x_BTF, lengths_B, start)
        return self._in_blocks(layer, x_BTF, lengths_B, start)

    def _at_once(self, x_BTF: Tensor) -> bool:
        if self.block is None:
            return True
        return not torch.is_grad_enabled() and x_BTF.shape[0] * x_BTF.shape[1] <= self.block

    def _in_blocks(
        self,
        layer: nn.Module,
        x_BTF: Tensor,
        lengths_B: Tensor,
        start: State | None,
        *,
        backwards: bool = False,
    ) -> tuple[Tensor, State]:
        assert self.block is not None
        if start is None:
            zero_BH = x_BTF.new_zeros(len(x_BTF), self.hidden)
            start = (zero_BH,) * self.state_parts
        read = partial(self._carry_back if backwards else self.carry_layer, layer)
        return read_in_blocks(
            read, layer, x_BTF, lengths_B, start, cells=self.block, backwards=backwards
        )

    def _carry_back(
        self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor, start: State | None
    ) -> tuple[Tensor, State]:
        out, state = self.carry_layer(layer, turn(x_BTF, lengths_B), lengths_B, start)
        return turn(out, lengths_B), state

    def begin(self, rows: int) -> State:
        """The state before the first step of so many rows: zeros."""
        like = next(self.parameters())
        shape = (len(self.layers), rows, self.hidden)
        return tuple(like.new_zeros(shape) for _ in range(self.state_parts))

    def _typed(self, x_BTF: Tensor) -> Tensor:
        """In the weights' own type: one-hot rows are float32, whatever the model is."""
        return x_BTF.to(next(self.parameters()).dtype)

    def _autocast(self, x_BTF: Tensor) -> torch.autocast:
        kind = self.autocast or torch.bfloat16
        return torch.autocast(x_BTF.device.type, dtype=kind, enabled=self.autocast is not None)

    def _between(self, x_BTF: Tensor, number: int) -> Tensor:
        if not number:
            return x_BTF
        dropped: Tensor = self.dropout(x_BTF)
        return dropped

    def _noisy(self, x_BTF: Tensor) -> Tensor:
        if not self.noise or not self.training:
            return x_BTF
        return x_BTF + self.noise * torch.randn_like(x_BTF)
