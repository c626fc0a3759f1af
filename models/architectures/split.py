"""Split LSTM: n LSTMs, each on its own part of the record, merged into one vector.

For records whose parts mean different things (a beginning, a middle, an end), and to shorten the
path that gradients go: each LSTM reads T / n steps. With two parts the second may be read from its
end, so that both walk towards the middle. Not where records begin anywhere, as n parts then see the
same things and share no weights, nor for an answer at each step.

Legend: B rows, T steps, F features, N parts, C steps of a part, P features of its vector.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.layers.core import turn_index
from models.layers.front import Front
from models.layers.head import Head
from models.layers.pooled import check_attention
from models.layers.pooling import Pool
from models.layers.recurrent import LSTM
from models.options.model import Model
from models.options.model_fits import check_second_backwards, check_task
from models.shape import Shape, TensorBatch, step_mask


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
        """Logits or values of each row."""
        out: Tensor = self.head(self.parts(*self.front(batch)))
        return out

    def attention(self, batch: TensorBatch) -> Tensor:
        """Weights of attention pooling over the steps after the front, `(B, T')`.

        Those of each part add up to 1; all of them are divided by the number of parts.

        Raises:
            ValueError: if parts are not pooled by attention.
        """
        weights_BT: Tensor = self.parts.attention(*self.front(batch))
        return weights_BT


class Parts(nn.Module):
    """An LSTM and a pooling for each part, merged.

    Args:
        inputs: features of a step.
        config: of each LSTM and pooling; `merge` and `second_backwards`.
        parts: N; one is the plain LSTM.
    """

    def __init__(self, inputs: int, config: Model, *, parts: int) -> None:
        super().__init__()
        self.cores = nn.ModuleList(LSTM.of(config, inputs, config.hidden) for _ in range(parts))
        width = config.hidden * (2 if config.bidirectional else 1)
        self.pools = nn.ModuleList(Pool(config.pooling, width) for _ in range(parts))
        self.merge, self.second_backwards = config.merge, config.second_backwards
        pooled = width * len(config.pooling)
        self.features = pooled * parts if config.merge == "concat" else pooled

    def forward(self, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """The merged vector of each row; a part that a row is too short for adds zeros to it."""
        vectors, real = [], []
        for core, pool, part in self._read(x_BTF, lengths_B):
            vector_BP = pool(core, part.states, part.lengths)
            vectors.append(vector_BP.masked_fill(~part.real, 0.0))
            real.append(part.real)
        if self.merge == "concat":
            return torch.cat(vectors, dim=-1)
        total_BP = torch.stack(vectors).sum(0)
        return total_BP if self.merge == "sum" else total_BP / torch.stack(real).sum(0)

    def attention(self, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """See SplitLSTM."""
        total = x_BTF.new_zeros(x_BTF.shape[0] * x_BTF.shape[1])
        real = []
        for _, pool, part in self._read(x_BTF, lengths_B):
            check_attention(pool)
            weights_BC = pool.attention(part.states, step_mask(part.lengths, part.index.shape[1]))
            weights_BC = weights_BC.masked_fill(~part.real, 0.0)
            total = total.index_add(0, part.index.flatten(), weights_BC.flatten())
            real.append(part.real)
        return total.view(x_BTF.shape[:2]) / torch.stack(real).sum(0)

    def _read(self, x_BTF: Tensor, lengths_B: Tensor) -> Iterator[tuple[LSTM, Pool, Part]]:
        edges_BN = part_edges(lengths_B, len(self.cores))
        for number, (core, pool) in enumerate(zip(self.cores, self.pools, strict=True)):
            assert isinstance(core, LSTM) and isinstance(pool, Pool)
            size_B = edges_BN[:, number + 1] - edges_BN[:, number]
            read_B = size_B.clamp(min=1)
            index_BC = part_index(edges_BN[:, number], size_B, steps=x_BTF.shape[1])
            if self.second_backwards and number == 1:
                index_BC = index_BC.gather(1, turn_index(read_B, index_BC.shape[1]))
            part_BCF = x_BTF.flatten(0, 1).index_select(0, index_BC.flatten())
            states_BCF = core(part_BCF.view(*index_BC.shape, -1), read_B)
            yield core, pool, Part(states_BCF, read_B, (size_B > 0)[:, None], index_BC)


@dataclass(frozen=True, slots=True)
class Part:
    """The same part of each row, read.

    Args:
        states: `(B, C, F)` of its LSTM, in the order of reading.
        lengths: `(B,)` int64 steps read, at least 1.
        real: `(B, 1)` whether the row has any step for this part.
        index: `(B, C)` which of the `B x T` steps each was.
    """

    states: Tensor
    lengths: Tensor
    real: Tensor
    index: Tensor


def part_edges(lengths_B: Tensor, parts: int) -> Tensor:
    """Where the parts of each row begin, and the end, `(B, N + 1)`: sizes differ by 1 at most.

    >>> part_edges(torch.tensor([7, 1]), 2).tolist()
    [[0, 4, 7], [0, 1, 1]]
    """
    number_N = torch.arange(parts + 1, device=lengths_B.device)
    return -(-(lengths_B[:, None] * number_N) // parts)


def part_index(first_B: Tensor, size_B: Tensor, *, steps: int) -> Tensor:
    """Steps of each row from its own first one on among `B x T`, as many as the longest part has.

    >>> part_index(torch.tensor([0, 2]), torch.tensor([3, 2]), steps=4).tolist()
    [[0, 1, 2], [6, 7, 7]]
    """
    within = torch.arange(max(1, int(size_B.max())), device=first_B.device)
    place = (first_B[:, None] + within).clamp(max=steps - 1)
    return place + torch.arange(len(first_B), device=first_B.device)[:, None] * steps
