"""The reference case of values at each step: LSTM layers, dense layers, noise between them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from models.architectures.lstm import PooledLSTM
from models.layers.recurrent import LSTM
from models.options.model import Model
from models.shape import Shape, TensorBatch

REFERENCE = Model(hidden=64, layers=2, head=(64,), noise=0.1, bidirectional=False, dropout=0.0)
SHAPE = Shape(task="regress_steps", vocab_size=None, channels=128, outputs=2)


def core(*, layers: int, noise: float = 0.1) -> LSTM:
    torch.manual_seed(0)
    return LSTM(3, 50, layers=layers, noise=noise)


def steps() -> tuple[Tensor, Tensor]:
    return torch.randn(4, 500, 3, generator=torch.Generator().manual_seed(0)), torch.full((4,), 500)


def test_the_reference_has_two_lstm_layers_and_two_dense_ones() -> None:
    """The changes against 128 steps in, two values out at each step."""
    model = PooledLSTM(REFERENCE, SHAPE)
    modules = list(model.modules())
    assert sum(isinstance(module, nn.LSTM) for module in modules) == 2
    dense = [(m.in_features, m.out_features) for m in modules if isinstance(m, nn.Linear)]
    assert dense == [(64, 64), (64, 2)]
    batch = TensorBatch(inputs=torch.randn(3, 20, 128), lengths=torch.tensor([20, 5, 1]))
    assert model(batch).shape == (3, 20, 2)


def test_noise_has_the_stated_spread_and_stands_behind_each_layer() -> None:
    """Noise that is wider, or missing between the layers, is another regulariser."""
    one = core(layers=1)
    clean = one.eval()(*steps())
    noise = one.train()(*steps()) - clean
    assert abs(noise.std().item() - 0.1) < 0.002 and abs(noise.mean().item()) < 0.002
    two = core(layers=2)
    read: list[Tensor] = []
    second = two.layers[1][0]  # type: ignore[index]
    second.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    two.eval()(*steps())
    two.train()(*steps())
    assert abs((read[1] - read[0]).std().item() - 0.1) < 0.002


def test_prediction_has_no_noise() -> None:
    """An answer must be the same twice."""
    two = core(layers=2).eval()
    assert torch.equal(two(*steps()), two(*steps()))
    plain = core(layers=2, noise=0.0).train()
    assert torch.equal(two(*steps()), plain(*steps()))


def test_noise_follows_the_seed_and_is_drawn_in_segments_too() -> None:
    """A resumed training must draw what it would have drawn."""
    model = PooledLSTM(replace(REFERENCE, hidden=8), SHAPE).train()
    x, lengths = torch.randn(2, 30, 128), torch.tensor([30, 30])
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(model.read(x, lengths, model.begin(2))[0])
    assert torch.equal(found[0], found[1]) and not torch.allclose(found[0], found[2])
    whole, _ = model.eval().read(x, lengths, model.begin(2))
    assert (found[0] - whole).abs().mean() > 0.01
