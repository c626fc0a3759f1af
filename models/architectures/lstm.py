"""The packed LSTM: front, LSTM in one or two directions, pooling, head.

For classify and regress it pools each record's states; for label_steps and regress_steps the head
reads every step. The first model to try on any data.

Legend: B rows, T steps, F features, C outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.checks import JobError
from models.front import Front
from models.head import Head
from models.model_config import Model
from models.pooling import Pool
from models.recurrent import LSTM
from models.segmented import Carried
from models.shape import Shape, TensorBatch, step_mask

TASKS = ("classify", "regress", "label_steps", "regress_steps")


class PooledLSTM(nn.Module):
    """See the module.

    Args:
        config: the model's options.
        shape: of the data.
    """

    def __init__(self, config: Model, shape: Shape) -> None:
        super().__init__()
        if shape.task not in TASKS:
            raise JobError(
                f"train.model.name: lstm does not do task {shape.task!r} (it does "
                f"{', '.join(TASKS)}); for translate choose encoder_decoder"
            )
        self.per_step = shape.task in ("label_steps", "regress_steps")
        self.front = Front(config, shape)
        if self.per_step and self.front.stride > 1:
            raise JobError(
                f"task {shape.task!r} needs an output for each step, but train.model.front.conv "
                f"has a stride of {self.front.stride} in all; set its stride to 1"
            )
        self.core = LSTM(
            self.front.features,
            config.hidden,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
            noise=config.noise,
        )
        features = self.core.features
        if not self.per_step:
            self.pool = Pool(config.pooling, features)
            features = self.pool.features
        self.head = Head(features, config, shape.outputs)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits or values: `(B, C)`, or `(B, T, C)` for tasks of steps."""
        states_BTF, lengths_B = self.states(batch)
        if not self.per_step:
            states_BTF = self.pool(self.core, states_BTF, lengths_B)
        out: Tensor = self.head(states_BTF)
        return out

    def states(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """States of the core `(B, T', F)` and their lengths `(B,)`."""
        x_BTF, lengths_B = self.front(batch)
        return self.core(x_BTF, lengths_B), lengths_B

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

    def attention(self, batch: TensorBatch) -> Tensor:
        """Weights of attention pooling over the core's steps, `(B, T')`.

        Raises:
            ValueError: if the model does not pool by attention.
        """
        if self.per_step or "attention" not in self.pool.names:
            raise ValueError("no attention to export: add attention to train.model.pooling")
        states_BTF, lengths_B = self.states(batch)
        mask_BT = step_mask(lengths_B, states_BTF.shape[1])
        weights: Tensor = self.pool.attention(states_BTF, mask_BT)
        return weights
