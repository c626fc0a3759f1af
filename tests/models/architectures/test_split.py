"""Several LSTMs, each on its own part of every record."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from models.architectures.split import Parts, SplitLSTM, part_edges, part_index
from models.layers.pooling import Pool
from models.layers.recurrent import LSTM
from models.options.checks import JobError
from models.options.model import Model
from models.shape import Shape

LENGTHS = torch.tensor([11, 1, 4, 8, 9, 2])
SHAPE = Shape(task="classify", vocab_size=None, channels=3, outputs=2)


def inputs(*, fill: float = 0.0) -> Tensor:
    """`(6, 11, 3)` float64, `fill` after each row's end."""
    x = torch.randn(6, 11, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for row, length in enumerate(LENGTHS.tolist()):
        x[row, length:] = fill
    return x


def parts_of(number: int, **options: Any) -> Parts:
    torch.manual_seed(0)
    return Parts(3, Model(hidden=5, dropout=0.0, **options), parts=number).double()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("merge", ["concat", "sum", "mean"])
def test_a_split_of_one_is_the_plain_lstm(merge: str, bidirectional: bool) -> None:
    """One part of one must be read as ever."""
    pooling: Any = ("last", "mean", "max")
    split = parts_of(1, merge=merge, bidirectional=bidirectional, pooling=pooling, layers=2)
    core = LSTM(3, 5, layers=2, bidirectional=bidirectional).double()
    core.load_state_dict(split.cores[0].state_dict())
    wanted = Pool(pooling, core.features)(core, core(inputs(), LENGTHS), LENGTHS)
    torch.testing.assert_close(split(inputs(fill=4.0), LENGTHS), wanted, atol=1e-12, rtol=0)
    assert split.features == wanted.shape[1]


@pytest.mark.parametrize("number", [2, 3, 5])
@pytest.mark.parametrize("merge", ["concat", "sum", "mean"])
def test_each_part_is_read_by_its_own_lstm(merge: str, number: int) -> None:
    """Parts of the padded length would leave the last LSTMs of a short record nothing to read."""
    split = parts_of(number, merge=merge, pooling="last", bidirectional=False)
    out = split(inputs(fill=4.0), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        edges = part_edges(LENGTHS, number)[row].tolist()
        vectors = []
        for core, first, last in zip(split.cores, edges, edges[1:], strict=False):
            part = inputs()[row : row + 1, first:last]
            states = core(part, torch.tensor([last - first])) if first < last else None
            vectors.append(torch.zeros(5) if states is None else states[0, -1])
        read = torch.stack([vector.double() for vector in vectors])
        wanted = {
            "concat": read.flatten(),
            "sum": read.sum(0),
            "mean": read.sum(0) / min(number, length),
        }
        torch.testing.assert_close(out[row], wanted[merge], atol=1e-12, rtol=0)


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_no_step_is_lost_or_read_twice(number: int) -> None:
    """Rounding the size of a part down would drop the last steps of the record."""
    lengths = torch.arange(1, 40)
    edges = part_edges(lengths, number)
    sizes = edges.diff()
    assert not edges[:, 0].any() and torch.equal(edges[:, -1], lengths)
    assert (sizes.amax(1) - sizes.amin(1) <= 1).all() and (sizes >= 0).all()
    for row, length in enumerate(lengths.tolist()):
        read = []
        for part in range(number):
            index = part_index(edges[:, part], sizes[:, part], steps=40)
            read += index[row, : sizes[row, part]].tolist()
        assert read == list(range(40 * row, 40 * row + length))


def test_the_second_part_can_be_read_from_its_end() -> None:
    """Both halves then walk towards the middle; the first one is read as ever."""
    options: dict[str, Any] = {"pooling": "last", "bidirectional": False}
    there, back = parts_of(2, **options), parts_of(2, second_backwards=True, **options)
    back.load_state_dict(there.state_dict())
    forwards, turned = there(inputs(), LENGTHS), back(inputs(fill=4.0), LENGTHS)
    torch.testing.assert_close(forwards[:, :5], turned[:, :5], atol=1e-12, rtol=0)
    for row, length in enumerate(LENGTHS.tolist()):
        half = -(-length // 2)
        part = inputs()[row : row + 1, half:length].flip(1)
        if part.shape[1]:
            states = there.cores[1](part, torch.tensor([part.shape[1]]))
            torch.testing.assert_close(turned[row, 5:], states[0, -1], atol=1e-12, rtol=0)
        else:
            assert not turned[row, 5:].any()


def test_a_record_shorter_than_the_parts_is_answered() -> None:
    """Empty parts add zeros and no gradient; nothing that is not a number may come of them."""
    for merge in ("concat", "sum", "mean"):
        split = parts_of(4, merge=merge, pooling=("last", "mean", "max", "attention"))
        x = inputs().requires_grad_()
        out = split(x[1:2], LENGTHS[1:2])
        out.sum().backward()
        assert out.isfinite().all() and x.grad is not None and x.grad.isfinite().all()
        for number, core in enumerate(split.cores):
            used = any(p.grad is not None and p.grad.any() for p in core.parameters())
            assert used == (number == 0)


def test_two_directions_leave_nothing_to_turn() -> None:
    """An option that would change nothing is refused, with the reason."""
    with pytest.raises(JobError, match="read both ways already; set bidirectional: false"):
        SplitLSTM(Model(name="split", second_backwards=True), SHAPE)


@pytest.mark.parametrize("second_backwards", [False, True])
def test_attention_weights_stand_at_their_steps(second_backwards: bool) -> None:
    """Weights in the order of reading would be plotted over the wrong half of the record."""
    split = parts_of(2, pooling="attention", bidirectional=False, second_backwards=second_backwards)
    weights = split.attention(inputs(fill=4.0), LENGTHS)
    assert not weights[torch.arange(11) >= LENGTHS[:, None]].any()
    torch.testing.assert_close(weights.sum(1), torch.ones(6).double(), atol=1e-12, rtol=0)
    second = inputs()[:1, 6:11].flip(1) if second_backwards else inputs()[:1, 6:11]
    states = split.cores[1](second, torch.tensor([5]))
    wanted = split.pools[1].attention(states, torch.ones(1, 5, dtype=torch.bool))[0] / 2  # type: ignore[operator]
    wanted = wanted.flip(0) if second_backwards else wanted
    torch.testing.assert_close(weights[0, 6:], wanted, atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="add attention"):
        parts_of(2, pooling="max").attention(inputs(), LENGTHS)
