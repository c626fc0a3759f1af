"""From the states of a record's steps to one vector: last, mean, max, attention, or several.

Mean and max together beat the last state clearly on long records. Every pooling is masked by
lengths.

Legend: B rows, T steps, F features.
Source: attention pooling as in Yang et al. 2016, doi:10.18653/v1/N16-1174.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.model_config import Pooling
from models.recurrent import LSTM
from models.shape import step_mask


class Attention(nn.Module):
    """Weights over the real steps of a record, in O(T).

    Args:
        features: of a step.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, features)
        # softmax is blind to a shift of all scores, so the score has no bias
        self.score = nn.Linear(features, 1, bias=False)

    def forward(self, x_BTF: Tensor, mask_BT: Tensor) -> Tensor:
        """Weights `(B, T)` that sum to 1 over the real steps and are 0 after the end."""
        scores_BT = self.score(torch.tanh(self.project(x_BTF)))[:, :, 0]
        return torch.softmax(scores_BT.masked_fill(~mask_BT, -torch.inf), dim=1)


class Pool(nn.Module):
    """One vector a record, the named poolings side by side.

    Args:
        names: in the order of the output.
        features: of a step.
    """

    def __init__(self, names: tuple[Pooling, ...] | Pooling, features: int) -> None:
        super().__init__()
        names = (names,) if isinstance(names, str) else names
        self.names, self.features = names, features * len(names)
        if "attention" in names:
            self.attention = Attention(features)

    def forward(self, core: LSTM, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """Pool the outputs of `core`, `(B, poolings x F)`."""
        mask_BT = step_mask(lengths_B, x_BTF.shape[1])
        parts = [self._pool(name, core, x_BTF, lengths_B, mask_BT) for name in self.names]
        return torch.cat(parts, dim=-1)

    def _pool(
        self, name: Pooling, core: LSTM, x_BTF: Tensor, lengths_B: Tensor, mask_BT: Tensor
    ) -> Tensor:
        if name == "last":
            return core.final(x_BTF, lengths_B)
        if name == "mean":
            return x_BTF.masked_fill(~mask_BT[:, :, None], 0.0).sum(1) / lengths_B[:, None]
        if name == "max":
            return x_BTF.masked_fill(~mask_BT[:, :, None], -torch.inf).amax(1)
        if name == "attention":
            x_BTF = x_BTF.masked_fill(~mask_BT[:, :, None], 0.0)
            return (self.attention(x_BTF, mask_BT)[:, None] @ x_BTF)[:, 0]
        raise AssertionError(f"unknown pooling {name!r}")
