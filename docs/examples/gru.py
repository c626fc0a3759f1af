"""The packed LSTM with a GRU in its place: three gates instead of four, and no cell.

Use it where the LSTM is the slowest part. Not for counting or very long memory: it has no cell.
Source: Cho et al. 2014, doi:10.3115/v1/D14-1179.

Legend: B rows, T steps, F features, H units of a direction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.core import Core, State, last_step
from models.layers.pooled import Pooled


class GRU(Core):
    """A stack of GRU layers; its state is `(h_LBH,)`."""

    state_parts = 1

    def make_layer(self, inputs: int, hidden: int) -> nn.GRU:
        """A layer with PyTorch's own fresh weights."""
        return nn.GRU(inputs, hidden, batch_first=True)

    def read_layer(self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """Outputs `(B, T, H)`; after a row's end they mean nothing."""
        out: Tensor = layer(x_BTF)[0]
        return out

    def carry_layer(
        self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor, start: State | None
    ) -> tuple[Tensor, State]:
        """The same from a state, and the state after each row's own last step."""
        h_BH = x_BTF.new_zeros(len(x_BTF), self.hidden) if start is None else start[0]
        out: Tensor = layer(x_BTF, h_BH[None])[0]
        ended_BH = last_step(out, lengths_B.clamp(min=1))
        return out, (torch.where(lengths_B[:, None] > 0, ended_BH, h_BH),)


class PooledGRU(Pooled):
    """See the module.

    Args:
        config: the model's options.
        shape: of the data.
    """

    core_type = GRU
