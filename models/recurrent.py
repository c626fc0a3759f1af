"""LSTM over padded batches with lengths: the results of packing, at dense speed on a CPU.

The dense form runs over the padding and never looks at what comes out of it; backwards it turns
each row round by its own length first. The packed form is PackedSequence. Both give what each
record alone would give. Hidden state never crosses rows. Carrying state from segment to segment
needs one direction.

Legend: B rows, T steps, F features, H units of a direction, D directions, L layers.
Source: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; forget-gate bias 1: Gers et
al. 2000, doi:10.1162/089976600300015015.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.shape import step_mask

Execution = Literal["dense", "packed"]
State = tuple[Tensor, Tensor]
"""`(h_LBH, c_LBH)`: hidden and cell state of every layer."""

_HOLD = 1e4  # a gate's input that no weight can outvote: sigmoid gives exactly 0 or 1


class _Turn(torch.autograd.Function):
    """Reorder steps by a permutation that is its own inverse, so backward is the same gather."""

    @staticmethod
    def forward(ctx: Any, x_BTF: Tensor, index_BT: Tensor) -> Tensor:
        ctx.save_for_backward(index_BT)
        return x_BTF.gather(1, index_BT[:, :, None].expand_as(x_BTF))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (index_BT,) = ctx.saved_tensors
        return gradients[0].gather(1, index_BT[:, :, None].expand_as(gradients[0])), None


def turn_index(lengths_B: Tensor, steps: int) -> Tensor:
    """Where each step of a row turned round by its own length comes from, `(B, T)`.

    >>> turn_index(torch.tensor([2, 3]), 3).tolist()
    [[1, 0, 2], [2, 1, 0]]
    """
    place = torch.arange(steps, device=lengths_B.device).expand(len(lengths_B), steps)
    return torch.where(step_mask(lengths_B, steps), lengths_B[:, None] - 1 - place, place)


def turn(x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
    """Turn each row's real steps round; what stands after its end stays."""
    out: Tensor = _Turn.apply(x_BTF, turn_index(lengths_B, x_BTF.shape[1]))
    return out


def last_step(x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
    """The last real step of each row, `(B, F)`."""
    return x_BTF[torch.arange(len(x_BTF), device=x_BTF.device), lengths_B - 1]


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


class LSTM(nn.Module):
    """A stack of LSTM layers in one or two directions.

    `execution` and `bf16` (run under autocast; outputs are float32 again) are set from outside,
    once the machine is known; they change no weight.

    Args:
        inputs: features of a step.
        hidden: units of a direction.
        layers: stacked; each reads both directions of the one below.
        bidirectional: also read each row backwards from its own end.
        dropout: between layers.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        *,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.execution: Execution = "dense"
        self.bf16 = False
        self.directions = 2 if bidirectional else 1
        self.features = hidden * self.directions
        sizes = [inputs, *[self.features] * (layers - 1)]
        self.layers = nn.ModuleList(
            nn.ModuleList(nn.LSTM(size, hidden, batch_first=True) for _ in range(self.directions))
            for size in sizes
        )
        self.dropout = nn.Dropout(dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier input weights, orthogonal recurrent weights, zero biases but 1 for forgetting."""
        for layer in self.modules():
            if isinstance(layer, nn.LSTM):
                w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
                if w_hh.is_meta:  # only the shapes are wanted
                    return
                nn.init.xavier_uniform_(w_ih)
                for gate in w_hh.data.chunk(4):
                    nn.init.orthogonal_(gate)
                nn.init.zeros_(b_hh)
                nn.init.zeros_(b_ih)
                b_ih.data[layer.hidden_size : 2 * layer.hidden_size] = 1.0

    def forward(self, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """Read whole rows.

        Args:
            x_BTF: float; what stands after a row's end is never seen.
            lengths_B: int64 steps, each in 1..T.

        Returns:
            `(B, T, D x H)` outputs; after a row's end they mean nothing.
        """
        run = EXECUTIONS[self.execution]
        with torch.autocast(x_BTF.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            for number, directions in enumerate(self.layers):
                x_BTF = self.dropout(x_BTF) if number else x_BTF
                assert isinstance(directions, nn.ModuleList)
                out = run(_lstm(directions[0]), x_BTF, lengths_B)
                if len(directions) == 2:
                    back = run(_lstm(directions[1]), turn(x_BTF, lengths_B), lengths_B)
                    out = torch.cat([out, turn(back, lengths_B)], dim=-1)
                x_BTF = out
        return x_BTF.float() if self.bf16 else x_BTF

    def final(self, out_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """The last state of each direction, `(B, D x H)`; backwards it lies at the first step."""
        if self.directions == 1:
            return last_step(out_BTF, lengths_B)
        half = self.features // 2
        return torch.cat([last_step(out_BTF[..., :half], lengths_B), out_BTF[:, 0, half:]], dim=-1)

    def carry(
        self, x_BTF: Tensor, lengths_B: Tensor, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Read a segment and hand the state on.

        Args:
            x_BTF: float steps of the segment.
            lengths_B: int64 real steps, each in 0..T; a row of length 0 keeps its state.
            state: from the previous segment, or None at a record's start.

        Returns:
            `(B, T, H)` outputs, and the state after each row's own last step.

        Raises:
            ValueError: if the stack reads in two directions.
        """
        if self.directions != 1:
            raise ValueError("state is carried in one direction only; set bidirectional: false")
        h, c = [], []
        for number, directions in enumerate(self.layers):
            x_BTF = self.dropout(x_BTF) if number else x_BTF
            assert isinstance(directions, nn.ModuleList)
            start = None if state is None else (state[0][number], state[1][number])
            x_BTF, (h_BH, c_BH) = _carry_layer(_lstm(directions[0]), x_BTF, lengths_B, start)
            h.append(h_BH)
            c.append(c_BH)
        return x_BTF, (torch.stack(h), torch.stack(c))


def _lstm(module: nn.Module) -> nn.LSTM:
    assert isinstance(module, nn.LSTM)
    return module


def _carry_layer(
    layer: nn.LSTM, x_BTF: Tensor, lengths_B: Tensor, start: State | None
) -> tuple[Tensor, State]:
    """One layer whose cell state is held still after each row's end.

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
        False,
        False,
        True,
    )
    ended = last_step(out, lengths_B.clamp(min=1))
    return out, (torch.where(lengths_B[:, None] > 0, ended, h_BH), c_1BH[0])
