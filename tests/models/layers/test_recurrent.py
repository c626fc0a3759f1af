"""The packed result, however computed, equals each record run alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.layers.core import turn
from models.layers.recurrent import LSTM

LENGTHS = torch.tensor([5, 1, 9, 3, 9, 2])


def batch(steps: int, dtype: torch.dtype, *, fill: float = 0.0, seed: int = 0) -> Tensor:
    """`(6, steps, 3)`: real steps are the same for any `steps`; the rest holds `fill`."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(LENGTHS), 9, 3, generator=generator, dtype=torch.float64)
    dense = torch.full((len(LENGTHS), steps, 3), fill, dtype=torch.float64)
    dense[:, :9] = x
    for row, length in enumerate(LENGTHS.tolist()):
        dense[row, length:] = fill
    return dense.to(dtype)


def lstm(dtype: torch.dtype, *, layers: int = 1, bidirectional: bool = False) -> LSTM:
    torch.manual_seed(0)
    return LSTM(3, 4, layers=layers, bidirectional=bidirectional).to(dtype)


def alone(model: LSTM, x: Tensor) -> list[Tensor]:
    return [model(x[n : n + 1, :k], LENGTHS[n : n + 1])[0] for n, k in enumerate(LENGTHS.tolist())]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("execution", ["dense", "packed"])
def test_batch_equals_each_record_alone(
    dtype: torch.dtype, tolerance: float, bidirectional: bool, layers: int, execution: str
) -> None:
    """Padding and neighbours must not matter; a backward half must start at a row's end."""
    model = lstm(dtype, layers=layers, bidirectional=bidirectional)
    wanted = alone(model, batch(9, dtype))
    model.execution = execution  # type: ignore[assignment]
    for steps, fill in ((9, 0.0), (14, 7.0)):
        x = batch(steps, dtype, fill=fill)
        out = model(x, LENGTHS)
        for row, length in enumerate(LENGTHS.tolist()):
            torch.testing.assert_close(out[row, :length], wanted[row], atol=tolerance, rtol=0)
        final = model.final(out, LENGTHS)
        half = 4 if bidirectional else final.shape[1]
        for row, one in enumerate(wanted):
            torch.testing.assert_close(final[row, :half], one[-1, :half], atol=tolerance, rtol=0)
            torch.testing.assert_close(final[row, half:], one[0, half:], atol=tolerance, rtol=0)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_of_dense_and_packed_are_equal(bidirectional: bool) -> None:
    """Equal outputs with other gradients would train another model."""
    gradients = []
    for execution in ("dense", "packed"):
        model = lstm(torch.float64, layers=2, bidirectional=bidirectional)
        model.execution = execution  # type: ignore[assignment]
        x = batch(12, torch.float64, fill=3.0).requires_grad_()
        model.final(model(x, LENGTHS), LENGTHS).square().sum().backward()
        assert x.grad is not None
        gradients.append([x.grad, *(p.grad for p in model.parameters())])
    for dense, packed in zip(*gradients, strict=True):
        torch.testing.assert_close(dense, packed, atol=1e-10, rtol=0)


def test_turning_twice_changes_nothing() -> None:
    """The backward half turns its outputs back by the same index."""
    x = batch(9, torch.float64)
    torch.testing.assert_close(turn(turn(x, LENGTHS), LENGTHS), x, atol=0, rtol=0)
    assert turn(x, LENGTHS)[0, 0].tolist() == x[0, 4].tolist()


@pytest.mark.parametrize("layers", [1, 2])
def test_segments_with_carried_state_equal_one_pass(layers: int) -> None:
    """State that is lost, or runs on into padding, would change the next segment."""
    model = lstm(torch.float64, layers=layers)
    x, whole = batch(9, torch.float64), None
    whole = model(x, LENGTHS)
    out, state = [], None
    for start in range(0, 9, 4):
        part = x[:, start : start + 4]
        left = (LENGTHS - start).clamp(0, part.shape[1])
        y, state = model.carry(part, left, state)
        out.append(y)
    joined = torch.cat(out, dim=1)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(joined[row, :length], whole[row, :length], atol=1e-10, rtol=0)
    assert state is not None
    torch.testing.assert_close(state[0][-1], model.final(whole, LENGTHS), atol=1e-10, rtol=0)


def test_carried_cell_state_is_that_of_the_last_real_step() -> None:
    """The cell after a short row's end must be held, not run on over the padding."""
    model = lstm(torch.float64)
    _, (_, cells) = model.carry(batch(9, torch.float64, fill=5.0), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        x = batch(9, torch.float64)[row : row + 1, :length]
        _, (_, one) = model.carry(x, LENGTHS[row : row + 1])
        torch.testing.assert_close(cells[:, row], one[:, 0], atol=1e-10, rtol=0)


def test_two_directions_refuse_to_carry_state() -> None:
    """A backward half has no state to hand on to the next segment."""
    with pytest.raises(ValueError, match="bidirectional: false"):
        lstm(torch.float64, bidirectional=True).carry(batch(9, torch.float64), LENGTHS)


def test_forget_gates_start_open() -> None:
    """With a bias of 0 a new LSTM forgets half at every step, and long records with it."""
    _, w_hh, b_ih, b_hh = lstm(torch.float32).layers[0][0].all_weights[0]  # type: ignore[index]
    assert b_ih[4:8].tolist() == [1.0] * 4 and not b_ih[:4].any() and not b_hh.any()
    torch.testing.assert_close(w_hh[:4] @ w_hh[:4].T, torch.eye(4), atol=1e-5, rtol=0)


def by_its_names(model: LSTM) -> dict[str, nn.Parameter]:
    """The weights of a stack by the names that PyTorch gives those of its own."""
    return {
        f"{name[:-1]}{number}" + ("_reverse" if direction else ""): weights
        for number, parts in enumerate(model.layers)
        for direction, layer in enumerate(parts)  # type: ignore[arg-type]
        for name, weights in layer.named_parameters()
    }


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("execution", ["dense", "packed"])
def test_the_stack_is_that_of_pytorch(bidirectional: bool, layers: int, execution: str) -> None:
    """Held beside itself alone, a stack that reads one direction twice would never show."""
    model = lstm(torch.float64, layers=layers, bidirectional=bidirectional)
    model.execution = execution  # type: ignore[assignment]
    plain = nn.LSTM(3, 4, layers, batch_first=True, bidirectional=bidirectional).double()
    plain.load_state_dict(by_its_names(model))
    mine, its = (batch(9, torch.float64).requires_grad_() for _ in range(2))
    packed = pack_padded_sequence(its, LENGTHS, batch_first=True, enforce_sorted=False)
    out, (h, _) = plain(packed)
    wanted, _ = pad_packed_sequence(out, batch_first=True)
    found = model(mine, LENGTHS)
    real = torch.arange(9) < LENGTHS[:, None]
    torch.testing.assert_close(found[real], wanted[real], atol=1e-12, rtol=0)
    last = torch.cat(list(h[-model.directions :]), dim=-1)
    torch.testing.assert_close(model.final(found, LENGTHS), last, atol=1e-12, rtol=0)
    weigh = torch.randn(wanted[real].shape, dtype=torch.float64)
    (found[real] * weigh).sum().backward()
    (wanted[real] * weigh).sum().backward()
    torch.testing.assert_close(mine.grad, its.grad, atol=1e-12, rtol=0)
    gradients = {name: weights.grad for name, weights in by_its_names(model).items()}
    for name, weights in plain.named_parameters():
        torch.testing.assert_close(gradients[name], weights.grad, atol=1e-11, rtol=0)
