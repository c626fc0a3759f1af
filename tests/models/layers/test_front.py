"""Parts of a record side by side, by the record's own length."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.architectures import build
from models.architectures.lstm import PooledLSTM
from models.layers.front import Front as FrontModule
from models.options.checks import JobError
from models.options.model import Conv, Front, Model
from models.shape import Shape, TensorBatch
from seqprep.schema import Task

VALUES = Shape(task="classify", vocab_size=None, channels=2, outputs=2)
TOKENS = Shape(task="classify", vocab_size=9, channels=0, outputs=2)


def front(shape: Shape = VALUES, **options: object) -> FrontModule:
    torch.manual_seed(0)
    return FrontModule(Model(front=Front(**options), embedding=3), shape)  # type: ignore[arg-type]


def counted(lengths: list[int], *, steps: int, fill: float = 0.0) -> TensorBatch:
    """Values `(B, T, 2)` that count from 1: (1, -1), (2, -2), ...; `fill` after the end."""
    values = torch.full((len(lengths), steps, 2), fill)
    for row, length in enumerate(lengths):
        count = torch.arange(1.0, length + 1)
        values[row, :length] = torch.stack([count, -count], dim=1)
    return TensorBatch(inputs=values, lengths=torch.tensor(lengths))


def test_contiguous_blocks_are_of_the_records_own_length() -> None:
    """Blocks of the padded length would put a short record into the first block alone."""
    x, lengths = front(parallel=2)(counted([5, 2, 1], steps=6, fill=9.0))
    assert lengths.tolist() == [3, 1, 1]
    assert x[0].tolist() == [[1, -1, 4, -4], [2, -2, 5, -5], [3, -3, 0, 0]]
    assert x[1, 0].tolist() == [1, -1, 2, -2]
    assert x[2, 0].tolist() == [1, -1, 0, 0]


def test_interleaved_steps_are_neighbours() -> None:
    """Step t of part j is x[t n + j]; the tail is zeros, never padding."""
    x, lengths = front(parallel=2, layout="interleaved")(counted([5, 2, 1], steps=6, fill=9.0))
    assert lengths.tolist() == [3, 1, 1]
    assert x[0].tolist() == [[1, -1, 2, -2], [3, -3, 4, -4], [5, -5, 0, 0]]
    assert x[1, 0].tolist() == [1, -1, 2, -2]
    assert x[2, 0].tolist() == [1, -1, 0, 0]


@pytest.mark.parametrize("layout", ["contiguous", "interleaved"])
def test_no_step_is_lost_or_doubled(layout: str) -> None:
    """Every step of a record must stand in exactly one place, for any number of parts."""
    lengths = list(range(1, 30))
    for parts in (2, 3, 7, 40):
        x, after = front(parallel=parts, layout=layout)(counted(lengths, steps=31, fill=99.0))
        assert after.tolist() == [-(-length // parts) for length in lengths]
        for row, length in enumerate(lengths):
            kept = x[row, : after[row]].flatten()
            assert sorted(kept[kept > 0].tolist()) == list(range(1, length + 1))
            assert not x[row, after[row] :].any()


@pytest.mark.parametrize("layout", ["contiguous", "interleaved"])
def test_one_part_is_the_plain_lstm(layout: str) -> None:
    """With n = 1 nothing may change."""
    config = Model(front=Front(layout=layout), hidden=5, embedding=3, dropout=0.0)  # type: ignore[arg-type]
    batch = TensorBatch(inputs=torch.randint(1, 9, (3, 7)), lengths=torch.tensor([7, 2, 5]))
    torch.manual_seed(0)
    one = PooledLSTM(config, TOKENS)
    torch.manual_seed(0)
    plain = PooledLSTM(replace(config, front=Front()), TOKENS)
    assert torch.equal(one(batch), plain(batch))


@pytest.mark.parametrize("one_hot", [False, True])
def test_the_tail_of_tokens_is_zeros(one_hot: bool) -> None:
    """What stands after the end must not be taken for a token, PAD's own one-hot included."""
    model = FrontModule(
        Model(front=Front(parallel=4), input="one_hot" if one_hot else "embedding"), TOKENS
    )
    x, _ = model(TensorBatch(inputs=torch.full((1, 6), 5), lengths=torch.tensor([5])))
    parts = x.view(2, 4, -1)
    assert parts[0, :3].any(dim=-1).all() and parts[1, :2].any(dim=-1).all()
    assert not parts[1, 2:].any() and not parts[:, 3].any()


def test_parts_stand_before_convolutions() -> None:
    """The order decides the shape: n F features enter the first convolution."""
    model = front(parallel=3, conv=(Conv(channels=4, kernel=2, stride=2),))
    assert model.convolutions[0].convolution.in_channels == 6  # type: ignore[union-attr]
    assert model.stride == 6 and model.features == 4
    x, lengths = model(counted([13, 6], steps=13))
    assert x.shape == (2, 3, 4) and lengths.tolist() == [3, 1]


def test_gradients_reach_every_step_once() -> None:
    """A step that is read twice or never would learn twice or never."""
    batch = counted([5, 2], steps=5)
    x = batch.inputs.requires_grad_()
    front(parallel=2)(batch)[0].sum().backward()
    assert x.grad is not None
    assert x.grad[0].tolist() == [[1.0, 1.0]] * 5
    assert x.grad[1].tolist() == [[1.0, 1.0]] * 2 + [[0.0, 0.0]] * 3


@pytest.mark.parametrize("task", ["label_steps", "regress_steps"])
@pytest.mark.parametrize("name", ["lstm"])
def test_tasks_of_steps_refuse_parts(task: Task, name: str) -> None:
    """Each step needs an output of its own, but n of them become one."""
    config = Model(name=name, front=Front(parallel=4), bidirectional=False)  # type: ignore[arg-type]
    shape = replace(VALUES, task=task)
    with pytest.raises(JobError, match=r"output for each step.*one of 4 steps"):
        build(config, shape)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh", "none"])
def test_each_activation_is_what_its_name_says(activation: str) -> None:
    """An activation that is read and not applied is another model than was asked for."""
    model = front(conv=Conv(channels=4, kernel=3, stride=1, activation=activation))  # type: ignore[arg-type]
    batch = counted([5, 3], steps=5)
    kernel: nn.Conv1d = model.convolutions[0].convolution  # type: ignore[assignment]
    before = kernel(functional.pad(batch.inputs.transpose(1, 2), (1, 1))).transpose(1, 2)
    wanted = {
        "relu": before.clamp(min=0),
        "gelu": before * (1 + torch.erf(before / 2**0.5)) / 2,
        "tanh": (before.exp() - (-before).exp()) / (before.exp() + (-before).exp()),
        "none": before,
    }
    assert before.min() < -0.1 and before.max() > 0.1
    torch.testing.assert_close(model(batch)[0], wanted[activation], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("fill", [float("nan"), float("inf")])
@pytest.mark.parametrize("conv", [(), (Conv(channels=4, kernel=5, stride=2),)])
def test_padding_that_is_no_number_stays_outside(fill: float, conv: tuple[Conv, ...]) -> None:
    """Zero times infinity is no number: multiplied by a mask it reaches the last real step."""
    model = front(conv=conv)
    for clean, filled in zip(
        model(counted([5, 2], steps=6)), model(counted([5, 2], steps=6, fill=fill)), strict=True
    ):
        if clean.ndim == 1:
            assert torch.equal(clean, filled)
            continue
        for row, length in enumerate((3, 1) if conv else (5, 2)):
            torch.testing.assert_close(filled[row, :length], clean[row, :length])
