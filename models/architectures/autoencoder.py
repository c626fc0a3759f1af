"""Autoencoder: each record, or each block of its steps, becomes one vector that it is rebuilt from.

Use it where labels are few: its codes become a dataset of their own (`seqprep codes`), or its front
and core start a classifier (`train.encoder_from`). Not where a label is at hand for every record:
what rebuilds a record best need not be what tells classes apart.

The encoder reads whole records and hands its state on from block to block; a code is a projection
of its states at the ends of the block. The decoder sees the code at each of its steps and nothing
else, so all steps are computed at once and it cannot lean on true neighbours. It begins with the
block's last step, of which the state knows most.

Legend: B rows, T steps, E steps of a code, N codes of a batch, F encoder features, H units, C ids
or channels.
Source: Srivastava et al. 2015, arXiv:1502.04681; reversed order, Sutskever et al. 2014,
arXiv:1409.3215.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.layers.core import turn
from models.layers.front import Front
from models.layers.head import Head
from models.layers.recurrent import LSTM
from models.options.model import Model
from models.options.model_fits import check_codes, check_task
from models.shape import Shape, TensorBatch


class Autoencoder(nn.Module):
    """See the module.

    Args:
        config: the model's options; `code_every` is in steps of the input.
        shape: of the data.
    """

    def __init__(self, config: Model, shape: Shape) -> None:
        super().__init__()
        check_task(config.name, shape.task)
        check_codes(config)
        self.front = Front(config, shape)
        self.core = LSTM(
            self.front.features,
            config.hidden,
            layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=config.dropout,
        )
        self.code = nn.Linear(self.core.features, config.hidden)
        self.decoder = LSTM(
            config.hidden, config.hidden, layers=config.layers, dropout=config.dropout
        )
        self.head = Head(config.hidden, config, shape.outputs)
        self.code_every = config.code_every

    def forward(self, batch: TensorBatch) -> Tensor:
        """Logits of tokens, or values in standard deviations of the training rows, `(B, T, C)`."""
        codes_BKH, counts_B = self.codes(batch)
        rows, steps = len(batch), batch.inputs.shape[1]
        every = min(self.code_every or steps, steps)
        place_K = torch.arange(codes_BKH.shape[1], device=counts_B.device)
        sizes_BK = (batch.lengths[:, None] - place_K * every).clamp(0, every)
        real_BK = sizes_BK > 0
        codes_NH, sizes_N = codes_BKH[real_BK], sizes_BK[real_BK]
        states_NEH = self.decoder(codes_NH[:, None].expand(-1, every, -1), sizes_N)
        out_NEC = self.head(turn(states_NEH, sizes_N))
        if len(place_K) == 1:  # every row has its one block: nothing to lay out, nothing to copy
            return out_NEC
        out_BKEC = out_NEC.new_zeros(rows, len(place_K), every, out_NEC.shape[-1])
        out_BKEC[real_BK] = out_NEC
        return out_BKEC.flatten(1, 2)[:, :steps]

    def codes(self, batch: TensorBatch) -> tuple[Tensor, Tensor]:
        """Codes `(B, K, H)` in -1 to 1, and how many each row has `(B,)`; more mean nothing."""
        x_BTF, lengths_B = self.front(batch)
        states_BTF = self.core(x_BTF, lengths_B)
        if self.code_every is None:
            ends_B1, starts_B1 = lengths_B[:, None] - 1, torch.zeros_like(lengths_B)[:, None]
            return self._codes(states_BTF, starts_B1, ends_B1), torch.ones_like(lengths_B)
        every = self.code_every // self.front.stride
        counts_B = -(-lengths_B // every)
        starts_BK = torch.arange(int(counts_B.max()), device=lengths_B.device)[None] * every
        last_B1 = lengths_B[:, None] - 1
        starts_BK = starts_BK.minimum(last_B1)
        return self._codes(
            states_BTF, starts_BK, (starts_BK + every - 1).minimum(last_B1)
        ), counts_B

    def _codes(self, states_BTF: Tensor, starts_BK: Tensor, ends_BK: Tensor) -> Tensor:
        """Of the states at the end of each block, backwards at its start."""
        half = self.core.hidden
        rows_B1 = torch.arange(len(states_BTF), device=states_BTF.device)[:, None]
        read_BKF = states_BTF[rows_B1, ends_BK, :half]
        if self.core.directions == 2:
            read_BKF = torch.cat([read_BKF, states_BTF[rows_B1, starts_BK, half:]], dim=-1)
        return torch.tanh(self.code(read_BKF))
