"""From the states of a record's steps to one vector: last, mean, max, attention, or several.

Mean and max together beat the last state clearly on long records. Every pooling is masked by
lengths.

Legend: B rows, T steps, F features.
Source: attention pooling as in Yang et al. 2016, doi:10.18653/v1/N16-1174.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.core import Core
from models.options.model import Pooling
from models.shape import step_mask

Pooled = tuple[Tensor, ...]
"""What is pooled of the segments so far, each `(B, ...)`; see `Pool.start`."""
_LOWEST = -1e30
"""Below every state and score, yet finite: differences of it are numbers."""


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
        return torch.softmax(self.scores(x_BTF).masked_fill(~mask_BT, -torch.inf), dim=1)

    def scores(self, x_BTF: Tensor) -> Tensor:
        """The score of each step before the softmax, `(B, T)`."""
        scores_BT: Tensor = self.score(torch.tanh(self.project(x_BTF)))[:, :, 0]
        return scores_BT


class Pool(nn.Module):
    """One vector a record, the named poolings side by side.

    Args:
        names: in the order of the output.
        features: of a step.
    """

    def __init__(self, names: tuple[Pooling, ...] | Pooling, features: int) -> None:
        super().__init__()
        names = (names,) if isinstance(names, str) else names
        self.names, self.width, self.features = names, features, features * len(names)
        if "attention" in names:
            self.attention = Attention(features)

    def forward(self, core: Core, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """Pool the outputs of `core`, `(B, poolings x F)`."""
        mask_BT = step_mask(lengths_B, x_BTF.shape[1])
        parts = [self._pool(name, core, x_BTF, lengths_B, mask_BT) for name in self.names]
        return torch.cat(parts, dim=-1)

    def _pool(
        self, name: Pooling, core: Core, x_BTF: Tensor, lengths_B: Tensor, mask_BT: Tensor
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

    def start(self, rows: int, like: Tensor, *, width: int | None = None) -> Pooled:
        """What has been pooled before the first segment.

        Args:
            rows: B.
            like: any tensor of the wanted type and device.
            width: features of a step, if not all of them are pooled together.
        """
        width = width or self.width
        parts: list[Tensor] = []
        for name in self.names:
            if name == "mean":
                parts.append(like.new_zeros(rows, width))
            elif name == "max":
                parts.append(like.new_full((rows, width), _LOWEST))
            elif name == "attention":
                parts += [like.new_full((rows, 1), _LOWEST), like.new_zeros(rows, 1)]
                parts.append(like.new_zeros(rows, width))
        return tuple(parts)

    def add(self, pooled: Pooled, x_BTF: Tensor, lengths_B: Tensor) -> Pooled:
        """Pool one segment more; a row of length 0 keeps what it has.

        Args:
            pooled: from `start` or the last call.
            x_BTF: outputs of the core in the segment.
            lengths_B: its real steps, each in 0..T.
        """
        mask_BT1 = step_mask(lengths_B, x_BTF.shape[1])[:, :, None]
        before, parts = iter(pooled), list[Tensor]()
        for name in self.names:
            if name == "mean":
                parts.append(next(before) + x_BTF.masked_fill(~mask_BT1, 0.0).sum(1))
            elif name == "max":
                highest = x_BTF.masked_fill(~mask_BT1, _LOWEST).amax(1)
                parts.append(torch.maximum(next(before), highest))
            elif name == "attention":
                parts += self._attend(next(before), next(before), next(before), x_BTF, mask_BT1)
        return tuple(parts)

    def finish(self, pooled: Pooled, final_BF: Tensor, lengths_B: Tensor) -> Tensor:
        """The vector of each record, `(B, poolings x F)`.

        Args:
            pooled: after the last segment.
            final_BF: last state of the core.
            lengths_B: steps of the whole record.
        """
        parts, vectors = iter(pooled), []
        for name in self.names:
            if name == "last":
                vectors.append(final_BF)
            elif name == "mean":
                vectors.append(next(parts) / lengths_B[:, None])
            elif name == "max":
                vectors.append(next(parts))
            elif name == "attention":
                _, total_B1, sum_BF = next(parts), next(parts), next(parts)
                vectors.append(sum_BF / total_B1)
        return torch.cat(vectors, dim=-1)

    def _attend(
        self, top_B1: Tensor, total_B1: Tensor, sum_BF: Tensor, x_BTF: Tensor, mask_BT1: Tensor
    ) -> list[Tensor]:
        """A softmax that grows: its highest score, its sum, and the weighted sum of states.

        The highest score only keeps numbers in range, so no gradient goes through it.
        Source: Milakov & Gimelshein 2018, arXiv:1805.02867.
        """
        x_BTF = x_BTF.masked_fill(~mask_BT1, 0.0)
        scores_BT1 = self.attention.scores(x_BTF)[:, :, None].masked_fill(~mask_BT1, _LOWEST)
        new_B1 = torch.maximum(top_B1, scores_BT1.detach().amax(1))
        keep_B1 = torch.exp(top_B1 - new_B1)
        weights_BT1 = torch.exp(scores_BT1 - new_B1[:, None]) * mask_BT1
        return [
            new_B1,
            total_B1 * keep_B1 + weights_BT1.sum(1),
            sum_BF * keep_B1 + (weights_BT1 * x_BTF).sum(1),
        ]
