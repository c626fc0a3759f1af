"""Dropout: where it is asked for, of the stated share, and in training only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.architectures import MODELS, build
from models.layers.core import Core
from models.layers.front import Front
from models.layers.head import Head
from models.layers.min_recurrent import MinLSTM
from models.layers.recurrent import LSTM
from models.options.model import Model
from models.options.model_fits import TASKS
from models.shape import Shape, TensorBatch

SHARE = 0.4
VALUES = Shape(task="classify", vocab_size=None, channels=20, outputs=2)


def inputs_of(module: nn.Module, run: Any) -> list[Tensor]:
    """What a module was given while `run` ran."""
    seen: list[Tensor] = []
    hook = module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    torch.manual_seed(0)
    run()
    hook.remove()
    return seen


def check_dropped(found: Tensor, whole: Tensor) -> None:
    """The stated share is 0, the rest as much larger that the mean stays."""
    kept = found != 0
    assert abs(1 - kept.float().mean().item() - SHARE) < 0.02
    torch.testing.assert_close(found[kept], whole[kept] / (1 - SHARE), atol=1e-6, rtol=1e-5)


def test_input_dropout_takes_single_numbers_in_training_only() -> None:
    """Left out, records are learnt by heart; of whole features, a channel would go for good."""
    front = Front(Model(input_dropout=SHARE), VALUES)
    batch = TensorBatch(inputs=torch.rand(4, 200, 20) + 1, lengths=torch.full((4,), 200))
    dropped = front.train()(batch)[0]
    check_dropped(dropped, batch.inputs)
    by_feature, by_step = ((dropped == 0).float().mean(of) for of in ((0, 1), (0, 2)))
    assert by_feature.max() < 0.5 and by_step.max() < 0.7
    assert torch.equal(front.eval()(batch)[0], batch.inputs)


@pytest.mark.parametrize("kind", [LSTM, MinLSTM])
@pytest.mark.parametrize("carried", [False, True])
def test_dropout_stands_between_layers(kind: type[Core], carried: bool) -> None:
    """Before the first layer it would be input dropout; missing, stacks overfit."""
    core = kind(3, 50, layers=2, dropout=SHARE)
    x, lengths = torch.randn(4, 90, 3), torch.full((4,), 90)
    read = core.carry if carried else core.forward
    first, second = (layers[0] for layers in core.layers)  # type: ignore[union-attr]
    core.eval()
    (whole,) = inputs_of(second, lambda: read(x, lengths))
    core.train()
    (dropped,) = inputs_of(second, lambda: read(x, lengths))
    check_dropped(dropped, whole)
    (given,) = inputs_of(first, lambda: read(x, lengths))
    assert torch.equal(given, x)


@pytest.mark.parametrize("units", [(), (30,)])
def test_dropout_stands_before_every_linear_layer_of_the_head(units: tuple[int, ...]) -> None:
    """The option promises it before the head; a head of several layers leans on it most."""
    head = Head(200, Model(dropout=SHARE, head=units), 2)
    x = torch.rand(50, 200) + 1
    for layer in (module for module in head.layers if isinstance(module, nn.Linear)):
        head.eval()
        (whole,) = inputs_of(layer, lambda: head(x))
        head.train()
        (dropped,) = inputs_of(layer, lambda: head(x))
        if layer.in_features == 200:
            check_dropped(dropped, whole)
        else:
            assert (dropped == 0).float().mean() > (whole == 0).float().mean() + 0.1
    head.eval()
    assert torch.equal(head(x), head(x))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_passes_its_dropout_on(name: str) -> None:
    """A model that forgets it in one of its cores trains that one without."""
    task = TASKS[name][0]
    config = Model(name=name, hidden=6, layers=2, dropout=SHARE, bidirectional=False)  # type: ignore[arg-type]
    shape = replace(VALUES, task=task, vocab_size=9, channels=0, outputs=9)  # type: ignore[arg-type]
    modules = list(build(config, shape).modules())
    cores = [module for module in modules if isinstance(module, Core)]
    heads = [module for module in modules if isinstance(module, Head)]
    assert cores and heads
    assert all(core.dropout.p == SHARE for core in cores)
    assert all(head.layers[0].p == SHARE for head in heads)
