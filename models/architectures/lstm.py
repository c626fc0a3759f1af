"""The packed LSTM: front, LSTM in one or two directions, pooling, head.

The first model to try on any data. In one direction it also reads records segment by segment.

Legend: B rows, T steps, F features, C outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.layers.pooled import Pooled
from models.layers.pooled_segments import SegmentReader, reads_by_segments
from models.layers.segmented import Carried
from models.shape import TensorBatch


class PooledLSTM(Pooled):
    """See the module; its core may be another in a subclass.

    Args:
        config: the model's options.
        shape: of the data.
    """

    block: int | None = None
    """Row-steps that are read at a time, and computed again for the gradient (L3); a batch of no
    more is read at once, and with None every one. Set from outside, changing no weight."""

    @property
    def pools_by_segments(self) -> bool:
        """Whether records can be pooled while they are read."""
        return not self.per_step and reads_by_segments(self.core)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits or values: `(B, C)`, or `(B, T, C)` for tasks of steps."""
        cells = len(batch) * batch.inputs.shape[1]
        if self.block is None or cells <= self.block or not self.pools_by_segments:
            return super().forward(batch)
        steps = max(1, self.block // len(batch))
        read = SegmentReader(front=self.front, core=self.core, pool=self.pool, steps=steps)
        out: Tensor = self.head(read(batch))
        return out

    def begin(self, rows: int) -> Carried:
        """What stands before the first segment of so many records."""
        state = self.core.begin(rows)
        pooled = () if self.per_step else self.pool.start(rows, state[0])
        return Carried(state, pooled, torch.zeros(rows, dtype=torch.int64, device=state[0].device))

    def read(self, inputs: Tensor, lengths_B: Tensor, carried: Carried) -> tuple[Tensor, Carried]:
        """States of a segment `(B, T, H)`, and what to hand on; see Segmented."""
        x_BTF, lengths_B = self.front(TensorBatch(inputs=inputs, lengths=lengths_B))
        states_BTF, state = self.core.carry(x_BTF, lengths_B, carried.state)
        pooled = carried.pooled
        if not self.per_step:
            pooled = self.pool.add(pooled, states_BTF, lengths_B)
        return states_BTF, Carried(state, pooled, carried.lengths + lengths_B)

    def answer(self, carried: Carried) -> Tensor:
        """Outputs of records from all that was read, `(B, C)`."""
        out: Tensor = self.head(
            self.pool.finish(carried.pooled, carried.state[0][-1], carried.lengths)
        )
        return out

    def answer_steps(self, states_BTF: Tensor) -> Tensor:
        """Outputs of steps, `(B, T, C)`."""
        out: Tensor = self.head(states_BTF)
        return out
