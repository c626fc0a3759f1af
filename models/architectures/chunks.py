"""Chunks: an LSTM that reads a record chunk by chunk, or overlapping chunks each on its own.

With `overlap: 0` the state is handed on, and the result is that of one pass: a short call at a time
where a long one does not fit. With an overlap the chunks are rows of their own, read side by side
and fast, and where they overlap the mean of their states is taken: for long signals whose answers
are local. Nothing that lies further back than a chunk is then known but through pooling, so not for
long memory. One answer a record or a step in either case: labels never have to follow chunks.

Legend: B rows, T steps, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from models.layers import recompute
from models.layers.chunking import cut, merge
from models.layers.core import State
from models.layers.pooled import Pooled
from models.options.model import Model
from models.options.model_fits import check_chunk_directions
from models.shape import Shape, TensorBatch


class ChunkedLSTM(Pooled):
    """See the module.

    Args:
        config: the model's options; `chunk` and `overlap` are in steps after the front.
        shape: of the data.
    """

    def __init__(self, config: Model, shape: Shape) -> None:
        check_chunk_directions(config)
        super().__init__(config, shape)
        self.chunk, self.overlap = config.chunk, config.overlap

    def states(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """States of the core `(B, T', F)` and their lengths `(B,)`."""
        x_BTF, lengths_B = self.front(batch)
        if not self.overlap:
            return self._hand_on(x_BTF, lengths_B), lengths_B
        chunks = cut(x_BTF, lengths_B, chunk=self.chunk, overlap=self.overlap)
        states_NCF = self.core(chunks.x, chunks.lengths)
        return merge(states_NCF, chunks, steps=x_BTF.shape[1]), lengths_B

    def _hand_on(self, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """Each chunk from the state after the one before."""
        out: list[Tensor] = []
        state: State | None = None
        for part, left_B in recompute.cut(x_BTF, lengths_B, self.chunk):
            states, state = self.core.carry(part, left_B, state)
            out.append(states)
        return torch.cat(out, dim=1)
