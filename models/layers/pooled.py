"""Front, one recurrent core, pooling, head: what the models of one core have in common.

For classify and regress the states of each record are pooled; for label_steps and regress_steps the
head reads every step.

Legend: B rows, T steps, F features, C outputs.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from models.layers.core import Core
from models.layers.front import Front
from models.layers.head import Head
from models.layers.pooling import Pool
from models.layers.recurrent import LSTM
from models.options.model import Model
from models.options.model_fits import ANSWERED_BY_STEP, check_keeps_steps, check_task
from models.shape import Shape, TensorBatch, step_mask


class Pooled(nn.Module):
    """See the module.

    Args:
        config: the model's options.
        shape: of the data.
    """

    core_type: ClassVar[type[Core]] = LSTM

    def __init__(self, config: Model, shape: Shape) -> None:
        super().__init__()
        check_task(config.name, shape.task)
        self.per_step = shape.task in ANSWERED_BY_STEP
        if self.per_step:
            check_keeps_steps(config, shape.task)
        self.front = Front(config, shape)
        self.core = self.core_type.of(config, self.front.features, config.hidden)
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

    def attention(self, batch: TensorBatch) -> Tensor:
        """Weights of attention pooling over the steps after the front, `(B, T')`.

        Raises:
            ValueError: if the model does not pool by attention.
        """
        check_attention(None if self.per_step else self.pool)
        states_BTF, lengths_B = self.states(batch)
        mask_BT = step_mask(lengths_B, states_BTF.shape[1])
        weights: Tensor = self.pool.attention(states_BTF, mask_BT)
        return weights


def check_attention(pool: Pool | None) -> None:
    """Refuse to export weights that there are none of.

    Raises:
        ValueError: if records are not pooled by attention.
    """
    if pool is None or "attention" not in pool.names:
        raise ValueError("no attention to export: add attention to train.model.pooling")
