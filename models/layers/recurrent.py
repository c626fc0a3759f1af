"""LSTM over padded batches with lengths: the results of packing, at dense speed on a CPU.

The dense form runs over the padding and never looks at what comes out of it. The packed form is
PackedSequence. Both give what each record alone would give. Hidden state never crosses rows.

Legend: B rows, T steps, F features, H units of a direction.
Source: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget-gate bias 1: Gers et
al. 2000, doi:10.1162/089976600300015015.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.layers.core import Core, Execution, State, last_step
from models.shape import step_mask

_HOLD = 1e4  # a gate's input that no weight can outvote: sigmoid gives exactly 0 or 1


def run_dense(layer: nn.LSTM, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
    """Outputs `(B, T, H)` of one layer in one direction; after a row's end they mean nothing."""
    out: Tensor = layer(x_BTF)[0]
    return out


def run_packed(layer: nn.LSTM, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
    """The same through PackedSequence; after a row's end outputs are 0."""
    # lengths must be on the CPU for pack_padded_sequence
    packed = pack_padded_sequence(x_BTF, lengths_B.cpu(), batch_first=True, enforce_sorted=False)
    out: Tensor = pad_packed_sequence(
        layer(packed)[0], batch_first=True, total_length=x_BTF.shape[1]
    )[0]
    return out


EXECUTIONS: dict[Execution, Callable[[nn.LSTM, Tensor, Tensor], Tensor]] = {
    "dense": run_dense,
    "packed": run_packed,
}


class LSTM(Core):
    """A stack of LSTM layers; its state is `(h_LBH, c_LBH)`."""

    state_parts = 2

    def make_layer(self, inputs: int, hidden: int) -> nn.LSTM:
        """Xavier input weights, orthogonal recurrent weights, zero biases but 1 for forgetting."""
        layer = nn.LSTM(inputs, hidden, batch_first=True)
        w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
        if w_hh.is_meta:  # only the shapes are wanted
            return layer
        nn.init.xavier_uniform_(w_ih)
        for gate in w_hh.data.chunk(4):
            nn.init.orthogonal_(gate)
        nn.init.zeros_(b_hh)
        nn.init.zeros_(b_ih)
        b_ih.data[hidden : 2 * hidden] = 1.0
        return layer

    def read_layer(self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """Outputs `(B, T, H)` of one layer, dense or packed."""
        assert isinstance(layer, nn.LSTM)
        return EXECUTIONS[self.execution](layer, x_BTF, lengths_B)

    def carry_layer(
        self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor, start: State | None
    ) -> tuple[Tensor, State]:
        """One layer whose cell state is held still after each row's end."""
        assert isinstance(layer, nn.LSTM)
        return carry_lstm(layer, x_BTF, lengths_B, start)


def carry_lstm(
    layer: nn.LSTM, x_BTF: Tensor, lengths_B: Tensor, start: State | None
) -> tuple[Tensor, State]:
    """One layer from a state, its cell held still after each row's end.

    An extra input feature, 1 after the end, shuts the input gate and opens the forget gate, so the
    cell that comes out last is the one after the row's own last step.
    """
    zero = x_BTF.new_zeros(len(x_BTF), layer.hidden_size)
    h_BH, c_BH = (zero, zero) if start is None else start
    steps = x_BTF.shape[1]
    if bool((lengths_B == steps).all()):
        out, (h_1BH, c_1BH) = layer(x_BTF, (h_BH[None], c_BH[None]))
        return out, (h_1BH[0], c_1BH[0])
    over_BT1 = (~step_mask(lengths_B, steps))[:, :, None].to(x_BTF.dtype)
    gates = x_BTF.new_tensor([-_HOLD, _HOLD, 0.0, 0.0]).repeat_interleave(layer.hidden_size)
    w_ih, *others = layer.all_weights[0]
    weights = [torch.cat([w_ih, gates[:, None]], dim=1), *others]
    out, _, c_1BH = torch.lstm(
        torch.cat([x_BTF, over_BT1], dim=-1),
        (h_BH[None], c_BH[None]),
        weights,
        True,
        1,
        0.0,
        torch.is_grad_enabled(),  # cuDNN goes backwards in training mode only
        False,
        True,
    )
    ended = last_step(out, lengths_B.clamp(min=1))
    return out, (torch.where(lengths_B[:, None] > 0, ended, h_BH), c_1BH[0])
