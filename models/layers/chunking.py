"""Records cut into chunks of steps, each a row of its own, and put together again.

Every chunk knows its record, so labels stay with records: nothing is reshaped that a label would
have to follow. No row is all padding, whatever the mix of lengths.

Legend: B rows, T steps, F features, N chunks of all rows, K chunks of the longest row, C steps of a
chunk, H units.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from models.shape import step_mask


@dataclass(frozen=True, slots=True)
class Chunks:
    """Chunks of a batch, row after row in order.

    Args:
        x: `(N, C, F)` their steps; after a chunk's end they mean nothing.
        lengths: `(N,)` int64 steps of each, the last of a row being as short as it is.
        places: `(N,)` which place each has among `B x K`.
        index: `(N, C)` which of the `B x T` steps each step was.
        counts: `(B,)` chunks of each row.
    """

    x: Tensor
    lengths: Tensor
    places: Tensor
    index: Tensor
    counts: Tensor


def cut(x_BTF: Tensor, lengths_B: Tensor, *, chunk: int, overlap: int = 0) -> Chunks:
    """Cut rows into chunks, by each row's own length.

    Args:
        x_BTF: steps of rows.
        lengths_B: int64 steps, each in 1..T.
        chunk: steps of a chunk.
        overlap: steps that a chunk shares with the one before, less than `chunk`.

    Returns:
        Of each row as few chunks as hold all its steps: 1 + ceil((T - chunk) / (chunk - overlap)),
        or 1 for a shorter one.

    >>> cut(torch.zeros(2, 5, 1), torch.tensor([5, 2]), chunk=3, overlap=1).lengths.tolist()
    [3, 3, 2]
    """
    rows, steps, features = x_BTF.shape
    hop = chunk - overlap
    counts_B = (-((overlap - lengths_B) // hop)).clamp(min=1)
    most = int(counts_B.max())
    row_N, number_N = step_mask(counts_B, most).nonzero(as_tuple=True)
    first_N = number_N * hop
    lengths_N = (lengths_B[row_N] - first_N).clamp(max=chunk)
    within_C = torch.arange(min(chunk, steps), device=x_BTF.device)
    index_NC = row_N[:, None] * steps + (first_N[:, None] + within_C).clamp(max=steps - 1)
    x_NCF = x_BTF.reshape(rows * steps, features).index_select(0, index_NC.flatten())
    return Chunks(
        x_NCF.view(*index_NC.shape, features),
        lengths_N,
        row_N * most + number_N,
        index_NC,
        counts_B,
    )


def line_up(vectors_NF: Tensor, chunks: Chunks) -> Tensor:
    """One vector a chunk as steps of its row, `(B, K, F)`; zeros after a row's last chunk."""
    rows, most = len(chunks.counts), int(chunks.counts.max())
    lined = vectors_NF.new_zeros(rows * most, vectors_NF.shape[1])
    return lined.index_copy(0, chunks.places, vectors_NF).view(rows, most, -1)


def merge(out_NCH: Tensor, chunks: Chunks, *, steps: int) -> Tensor:
    """States of chunks as those of their rows, `(B, T, H)`: the mean where chunks overlap."""
    cells = len(chunks.counts) * steps
    real_NC1 = step_mask(chunks.lengths, out_NCH.shape[1])[:, :, None]
    index = chunks.index.flatten()
    states = out_NCH.masked_fill(~real_NC1, 0.0).flatten(0, 1)
    sums = states.new_zeros(cells, states.shape[1]).index_add(0, index, states)
    seen = real_NC1.to(states.dtype).flatten(0, 1)
    counts = seen.new_zeros(cells, 1).index_add(0, index, seen)
    return (sums / counts.clamp(min=1)).view(-1, steps, states.shape[1])
