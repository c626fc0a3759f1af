"""minLSTM: gates that see the input alone, so that all steps are computed at once.

    f = sigmoid(W_f x), i = sigmoid(W_i x), h_t = f / (f + i) h_{t-1} + i / (f + i) g(W_h x)
    g(z) = z + 0.5 for z >= 0, sigmoid(z) otherwise

Each step is a map h -> a h + b, and maps of neighbours join to one, so a tree of depth log T
replaces the loop. The paper sums logarithms instead, whose totals outgrow float32 on long records;
here nothing but products of numbers in [0, 1] and sums of positive ones is taken, and the error
does not grow with T. Use it for long records, where the loop of an LSTM takes most of the time; one
layer cannot let a step's gates depend on the steps before it, so stack two, or keep the LSTM.

Legend: B rows, T steps, F features, H units of a direction.
Source: Feng et al. 2024, arXiv:2410.01201; the tree: Blelloch 1990, CMU-CS-90-190.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.layers.core import Core, State
from models.shape import step_mask

SLOWEST = 1000.0
"""Steps, about, over which the slowest unit of a fresh layer forgets."""
_SHORT = 16
"""Steps that a loop does as fast as a tree."""


def scan_steps(a_BTH: Tensor, b_BTH: Tensor, h_BH: Tensor) -> Tensor:
    """h_t = a_t h_{t-1} + b_t for every step, one after the other, `(B, T, H)`."""
    out = []
    for a_BH, b_BH in zip(a_BTH.unbind(1), b_BTH.unbind(1), strict=True):
        h_BH = torch.addcmul(b_BH, a_BH, h_BH)
        out.append(h_BH)
    return torch.stack(out, dim=1)


def scan(a_BTH: Tensor, b_BTH: Tensor, h_BH: Tensor) -> Tensor:
    """The same as a tree: about 2 T maps are joined, at depth log T, in O(T) memory.

    Args:
        a_BTH: what each step multiplies the state by, in [0, 1].
        b_BTH: what it adds.
        h_BH: state before the first step.
    """
    out: Tensor = _Scan.apply(a_BTH, b_BTH, h_BH)
    return out


def _tree(a_BTH: Tensor, b_BTH: Tensor, h_BH: Tensor) -> Tensor:
    """Join each pair of steps, solve for the second of each, then fill in the first ones."""
    steps = a_BTH.shape[1]
    if steps <= _SHORT:
        return scan_steps(a_BTH, b_BTH, h_BH)
    even = steps - steps % 2
    a_1, a_2 = a_BTH[:, 0:even:2], a_BTH[:, 1:even:2]
    b_1, b_2 = b_BTH[:, 0:even:2], b_BTH[:, 1:even:2]
    seconds = _tree(a_1 * a_2, torch.addcmul(b_2, a_2, b_1), h_BH)
    out = torch.empty_like(b_BTH)
    out[:, 1:even:2] = seconds
    out[:, 0] = torch.addcmul(b_BTH[:, 0], a_BTH[:, 0], h_BH)
    out[:, 2:even:2] = torch.addcmul(b_1[:, 1:], a_1[:, 1:], seconds[:, :-1])
    if steps > even:
        out[:, -1] = torch.addcmul(b_BTH[:, -1], a_BTH[:, -1], seconds[:, -1])
    return out


class _Scan(torch.autograd.Function):
    """Keeps a and the outputs alone; the gradient is the same scan from the end."""

    @staticmethod
    def forward(ctx: Any, a_BTH: Tensor, b_BTH: Tensor, h_BH: Tensor) -> Tensor:
        out = _tree(a_BTH, b_BTH, h_BH)
        ctx.save_for_backward(a_BTH, out, h_BH)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a_BTH, out, h_BH = ctx.saved_tensors
        # the gradient of h_t is its own plus a_{t+1} times that of h_{t+1}
        after = functional.pad(a_BTH.flip(1)[:, :-1], (0, 0, 1, 0))
        g_BTH = _tree(after, gradients[0].flip(1), torch.zeros_like(h_BH)).flip(1)
        before = torch.cat([h_BH[:, None], out[:, :-1]], dim=1)
        return g_BTH * before, g_BTH, a_BTH[:, 0] * g_BTH[:, 0]


class MinLSTMLayer(nn.Module):
    """One layer in one direction.

    Args:
        inputs: features of a step.
        hidden: units.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gates = nn.Linear(inputs, 3 * hidden)

    def forward(self, x_BTF: Tensor) -> tuple[Tensor, Tensor]:
        """What each step multiplies the state by, and what it adds, both `(B, T, H)`."""
        # one product a gate: slices of a joint one are ten times slower to work on, on a CPU
        forget, put, new = (
            self._gate(x_BTF, *part)
            for part in zip(self.gates.weight.chunk(3), self.gates.bias.chunk(3), strict=True)
        )
        odds = functional.softplus(-put) - functional.softplus(-forget)  # log of f / i
        value = torch.maximum(new + 0.5, torch.sigmoid(new))  # they cross at 0
        return torch.sigmoid(odds), torch.sigmoid(-odds) * value

    @staticmethod
    def _gate(x_BTF: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        gate = functional.linear(x_BTF, weight, bias)
        # sums over many steps need the digits of float32
        return gate.float() if gate.dtype in (torch.bfloat16, torch.float16) else gate


class MinLSTM(Core):
    """A stack of minLSTM layers; its state is `(h_LBH,)`. It runs in one form only: dense."""

    state_parts = 1

    def make_layer(self, inputs: int, hidden: int) -> MinLSTMLayer:
        """Xavier weights; the input gates of units are shut by 1 to SLOWEST, evenly by logarithm.

        With zero biases every unit forgets half at each step, and nothing learns what lies far
        back. Source: Tallec & Ollivier 2018, arXiv:1804.11188.
        """
        layer = MinLSTMLayer(inputs, hidden)
        if layer.gates.weight.is_meta:  # only the shapes are wanted
            return layer
        for gate in layer.gates.weight.data.chunk(3):
            nn.init.xavier_uniform_(gate)
        nn.init.zeros_(layer.gates.bias)
        slow = torch.linspace(0.0, math.log(SLOWEST), hidden)
        layer.gates.bias.data[hidden : 2 * hidden] = -slow
        return layer

    def read_layer(self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor) -> Tensor:
        """Outputs `(B, T, H)` of one layer, all steps at once."""
        a_BTH, b_BTH = layer(x_BTF)
        return scan(a_BTH, b_BTH, torch.zeros_like(b_BTH[:, 0]))

    def carry_layer(
        self, layer: nn.Module, x_BTF: Tensor, lengths_B: Tensor, start: State | None
    ) -> tuple[Tensor, State]:
        """One layer from a state, held still after each row's end."""
        a_BTH, b_BTH = layer(x_BTF)
        over_BT1 = ~step_mask(lengths_B, x_BTF.shape[1])[:, :, None]
        h_BH = torch.zeros_like(b_BTH[:, 0]) if start is None else start[0].to(b_BTH.dtype)
        out = scan(a_BTH.masked_fill(over_BT1, 1.0), b_BTH.masked_fill(over_BT1, 0.0), h_BH)
        return out, (out[:, -1],)
