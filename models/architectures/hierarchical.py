"""Hierarchy: a lower LSTM reads chunks of steps, an upper one the chunks of the record.

For records of ten thousand steps and more: with chunks of 100 a record of 100 x 100 steps is 100
steps twice, so the path from any step to the answer is short, and chunks are read side by side. Not
where the answer turns on order across the border of two chunks, nor for an answer at each step.
Both LSTMs have `layers` and `bidirectional`; the lower one starts anew in every chunk.

Legend: B rows, T steps, F features, N chunks of all rows, K chunks of the longest row, C outputs.
Source: El Hihi & Bengio 1995, "Hierarchical recurrent neural networks for long-term dependencies";
the two levels with a pooling each: Yang et al. 2016, doi:10.18653/v1/N16-1174.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.layers.chunking import Chunks, cut, line_up, merge
from models.layers.front import Front
from models.layers.head import Head
from models.layers.pooled import check_attention
from models.layers.pooling import Pool
from models.layers.recurrent import LSTM
from models.options.model import Model
from models.options.model_fits import check_task
from models.shape import Shape, TensorBatch, step_mask


class HierarchicalLSTM(nn.Module):
    """See the module.

    Args:
        config: the model's options; `chunk` is in steps after the front.
        shape: of the data.
    """

    def __init__(self, config: Model, shape: Shape) -> None:
        super().__init__()
        check_task(config.name, shape.task)
        self.front = Front(config, shape)
        self.chunk = config.chunk
        self.lower = LSTM.of(config, self.front.features, config.hidden)
        self.lower_pool = Pool(config.lower_pooling, self.lower.features)
        self.dropout = nn.Dropout(config.dropout)
        self.upper = LSTM.of(config, self.lower_pool.features, config.upper_hidden)
        self.pool = Pool(config.pooling, self.upper.features)
        self.head = Head(self.pool.features, config, shape.outputs)

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits or values, `(B, C)`."""
        states_BKF, counts_B = self.states(batch)
        out: Tensor = self.head(self.pool(self.upper, states_BKF, counts_B))
        return out

    def states(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """States of the upper LSTM, one a chunk, `(B, K, F)`, and chunks of each row `(B,)`."""
        chunks = cut(*self.front(batch), chunk=self.chunk)
        return self._above(self.lower(chunks.x, chunks.lengths), chunks), chunks.counts

    def _above(self, states_NCF: Tensor, chunks: Chunks) -> Tensor:
        vectors_NF = self.dropout(self.lower_pool(self.lower, states_NCF, chunks.lengths))
        out: Tensor = self.upper(line_up(vectors_NF, chunks), chunks.counts)
        return out

    def attention(self, batch: TensorBatch) -> Tensor:
        """Weights of attention pooling over the steps after the front, `(B, T')`.

        The weight of a chunk is shared among its steps by the attention below, evenly if there is
        none.

        Raises:
            ValueError: if the upper LSTM is not pooled by attention.
        """
        check_attention(self.pool)
        x_BTF, lengths_B = self.front(batch)
        chunks = cut(x_BTF, lengths_B, chunk=self.chunk)
        states_NCF = self.lower(chunks.x, chunks.lengths)
        states_BKF = self._above(states_NCF, chunks)
        above_BK = self.pool.attention(states_BKF, step_mask(chunks.counts, states_BKF.shape[1]))
        mask_NC = step_mask(chunks.lengths, states_NCF.shape[1])
        below_NC = mask_NC.to(states_NCF.dtype) / chunks.lengths[:, None]
        if "attention" in self.lower_pool.names:
            below_NC = self.lower_pool.attention(states_NCF, mask_NC)
        weights_NC1 = (below_NC * above_BK.flatten()[chunks.places, None])[:, :, None]
        return merge(weights_NC1, chunks, steps=x_BTF.shape[1])[:, :, 0]
