"""Split LSTM: n LSTMs, each on its own part of the record, merged into one vector.

For records whose parts mean different things (a beginning, a middle, an end), and to shorten the
path that gradients go: each LSTM reads T / n steps. With two parts the second may be read from its
end, so that both walk towards the middle. Not where records begin anywhere, as n parts then see the
same things and share no weights, nor for an answer at each step.

Legend: B rows, T steps, F features, P features of a part, N parts, C outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.core import turn
from models.front import Front
from models.head import Head
from models.model_config import Model
from models.model_fits import check_second_backwards, check_task
from models.pooling import Pool
from models.recurrent import LSTM
from models.shape import Shape, TensorBatch


class SplitLSTM(nn.Module):
    """See the module.

    Args:
        config: the model's options; the record is split after the front.
        shape: of the data.
    """

    def __init__(self, config: Model, shape: Shape) -> None:
        super().__init__()
        check_task(config.name, shape.task)
        check_second_backwards(config)
        self.front = Front(config, shape)
        self.parts = Parts(self.front.features, config, parts=config.parts)
        self.head = Head(self.parts.features, config, shape.outputs)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits or values, `(B, C)`."""
        out: Tensor = self.head(self.parts(*self.front(batch)))
        return out


class Parts(nn.Module):
    """An LSTM and a pooling for each part, merged.

    Args:
        inputs: features of a step.
        config: of each LSTM and pooling; `merge` and `second_backwards`.
        parts: N; one is the plain LSTM.
    """

    def __init__(self, inputs: int, config: Model, *, parts: int) -> None:
        super().__init__()
        self.cores = nn.ModuleList(
            LSTM(
                inputs,
                config.hidden,
                layers=config.layers,
                bidirectional=config.bidirectional,
                dropout=config.dropout,
                noise=config.noise,
            )
            for _ in range(parts)
        )
        width = config.hidden * (2 if config.bidirectional else 1)
        self.pools = nn.ModuleList(Pool(config.pooling, width) for _ in range(parts))
        self.merge, self.second_backwards = config.merge, config.second_backwards
        pooled = width * len(config.pooling)
        self.features = pooled * parts if config.merge == "concat" else pooled

    def forward(self, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """The merged vector of each row; a part that a row is too short for adds zeros to it."""
        edges_BN = part_edges(lengths_B, len(self.cores))
        vectors, real = [], []
        for number, (core, pool) in enumerate(zip(self.cores, self.pools, strict=True)):
            first_B, size_B = edges_BN[:, number], edges_BN[:, number + 1] - edges_BN[:, number]
            part_BTF, read_B = take_part(x_BTF, first_B, size_B), size_B.clamp(min=1)
            if self.second_backwards and number == 1:
                part_BTF = turn(part_BTF, read_B)
            vector_BP = pool(core, core(part_BTF, read_B), read_B)
            real_B1 = (size_B > 0)[:, None]
            vectors.append(vector_BP.masked_fill(~real_B1, 0.0))
            real.append(real_B1)
        if self.merge == "concat":
            return torch.cat(vectors, dim=-1)
        total_BP = torch.stack(vectors).sum(0)
        return total_BP if self.merge == "sum" else total_BP / torch.stack(real).sum(0)


def part_edges(lengths_B: Tensor, parts: int) -> Tensor:
    """Where the parts of each row begin, and the end, `(B, N + 1)`: sizes differ by 1 at most.

    >>> part_edges(torch.tensor([7, 1]), 2).tolist()
    [[0, 4, 7], [0, 1, 1]]
    """
    number_N = torch.arange(parts + 1, device=lengths_B.device)
    return -(-(lengths_B[:, None] * number_N) // parts)


def take_part(x_BTF: Tensor, first_B: Tensor, size_B: Tensor) -> Tensor:
    """Steps of each row from its own first one on, as many as the longest part has."""
    rows, steps, features = x_BTF.shape
    within = torch.arange(max(1, int(size_B.max())), device=x_BTF.device)
    place = (first_B[:, None] + within).clamp(max=steps - 1)
    index = place + torch.arange(rows, device=x_BTF.device)[:, None] * steps
    taken = x_BTF.reshape(rows * steps, features).index_select(0, index.flatten())
    return taken.view(*index.shape, features)
