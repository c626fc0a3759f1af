"""Records pooled while they are read, segment by segment, each computed again for the gradient.

Kept are the raw input, one segment's activations, and states between segments, so segments of
about sqrt(T) steps make memory grow with sqrt(T). The gradient is that of a whole pass. It takes a
core of one direction, or of one layer in two. Backwards, segments are read from the last one on,
each from its rows' own ends. Attention looks at both directions of a step, so a first pass leaves
the states that backwards segments begin with, and a second one reads both directions.

Tokens are embedded inside the segment. A front that looks at several steps runs once over the whole
record, as does input dropout under two directions, which must see the same steps dropped: then the
features of the whole record are kept, too.

Legend: B rows, T steps, F features, H units of a direction, L layers.
Source: Chen et al. 2016, arXiv:1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from models.layers.core import Core, State
from models.layers.front import Front
from models.layers.pooling import Pool, Pooled
from models.layers.recompute import Blocks, Read, Tensors
from models.shape import TensorBatch

Carry = Callable[[Tensor, Tensor, State], tuple[Tensor, State]]


def reads_by_segments(core: Core) -> bool:
    """Whether states of this core can be pooled while they are read."""
    return core.directions == 1 or len(core.layers) == 1


def reads_front_inside(front: Front, core: Core) -> bool:
    """Whether the features of a segment come from its own steps alone."""
    alone = front.stride == 1 and not len(front.convolutions)
    return alone and (core.directions == 1 or not front.dropout.p)


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentReader:
    """The parts of a model that reads a record into one vector.

    Args:
        front, core, pool: of the model.
        steps: of a segment.
    """

    front: Front
    core: Core
    pool: Pool
    steps: int

    def __call__(self, batch: TensorBatch) -> Tensor:
        """The pooled vector of each record, `(B, poolings x D x H)`."""
        rows = _Rows.of(batch, self)
        if self.core.directions == 1:
            begin = self.core.begin(len(batch))
            pooled = self.pool.start(len(batch), begin[0])
            state, pooled = self._pool(rows, self.core.carry, begin, pooled)
            return self.pool.finish(pooled, state[0][-1], rows.lengths)
        if "attention" in self.pool.names:
            return self._attend(rows)
        return self._directions(rows)

    def _pool(
        self,
        rows: _Rows,
        carry: Carry,
        state: State,
        pooled: Pooled,
        *,
        backwards: bool = False,
    ) -> tuple[State, Pooled]:
        parts = len(state)

        def read(part: Tensor, left_B: Tensor, both: Tensors) -> tuple[None, Tensors]:
            states_BTH, after = carry(rows.features(part, left_B), left_B, both[:parts])
            return None, after + self.pool.add(both[parts:], states_BTH, left_B)

        found = self._blocks(read, backwards=backwards)(rows.inputs, rows.lengths, state + pooled)
        return found.state[:parts], found.state[parts:]

    def _directions(self, rows: _Rows) -> Tensor:
        """Each direction pooled on its own."""
        finals: list[Tensor] = []
        halves: list[Pooled] = []
        for direction in range(2):
            begin = self._begin(rows)
            state, pooled = self._pool(
                rows,
                partial(self.core.carry_direction, direction),
                begin,
                self.pool.start(len(rows.lengths), begin[0], width=self.core.hidden),
                backwards=direction == 1,
            )
            finals.append(state[0])
            halves.append(pooled)
        joined = tuple(torch.cat(parts, dim=-1) for parts in zip(*halves, strict=True))
        return self.pool.finish(joined, torch.cat(finals, dim=-1), rows.lengths)

    def _attend(self, rows: _Rows) -> Tensor:
        """Both directions of a segment at once, from the states on both of its sides."""
        core, begin = self.core, self._begin(rows)
        parts = len(begin)

        def back(part: Tensor, left_B: Tensor, state: State) -> tuple[None, Tensors]:
            return None, core.carry_direction(1, rows.features(part, left_B), left_B, state)[1]

        def both(
            part: Tensor, left_B: Tensor, before: Tensors, *behind: Tensor
        ) -> tuple[None, Tensors]:
            x_BTF = rows.features(part, left_B)
            forth_BTH, after = core.carry_direction(0, x_BTF, left_B, before[:parts])
            back_BTH, _ = core.carry_direction(1, x_BTF, left_B, behind)
            states_BTF = torch.cat([forth_BTH, back_BTH], dim=-1)
            return None, after + self.pool.add(before[parts:], states_BTF, left_B)

        behind = self._blocks(back, backwards=True)(rows.inputs, rows.lengths, begin)
        pooled = self.pool.start(len(rows.lengths), begin[0])
        found = self._blocks(both)(rows.inputs, rows.lengths, begin + pooled, behind.before)
        final_BF = torch.cat([found.state[0], behind.state[0]], dim=-1)
        return self.pool.finish(found.state[parts:], final_BF, rows.lengths)

    def _blocks(self, read: Read, *, backwards: bool = False) -> Blocks:
        modules = (self.front, self.core, self.pool)
        weights = tuple(one for module in modules for one in module.parameters())
        return Blocks(read=read, weights=weights, steps=self.steps, backwards=backwards)

    def _begin(self, rows: _Rows) -> State:
        """The state of one direction before its first step."""
        return tuple(part[0] for part in self.core.begin(len(rows.lengths)))


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is cut into segments, and what its features are.

    Args:
        inputs: `(B, T)` ids or `(B, T, F)`. lengths: `(B,)`.
        front: of a segment; None where `inputs` are features already.
    """

    inputs: Tensor
    lengths: Tensor
    front: Front | None

    @classmethod
    def of(cls, batch: TensorBatch, reader: SegmentReader) -> _Rows:
        if reads_front_inside(reader.front, reader.core):
            return cls(batch.inputs, batch.lengths, reader.front)
        x_BTF, lengths_B = reader.front(batch)
        return cls(x_BTF, lengths_B, None)

    def features(self, part: Tensor, left_B: Tensor) -> Tensor:
        """Features of a segment, `(B, T, F)`."""
        if self.front is None:
            return part
        x_BTF: Tensor = self.front(TensorBatch(inputs=part, lengths=left_B))[0]
        return x_BTF
