"""minLSTM: the tree, the loop and the paper's equations are one function."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.layers.core import State
from models.layers.min_recurrent import MinLSTM, MinLSTMLayer, scan, scan_steps

LENGTHS = torch.tensor([37, 1, 50, 16, 50, 17])


def maps(steps: int, *, rows: int = 2, units: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Random a, b and a first state, float64."""
    generator = torch.Generator().manual_seed(steps)
    a, b = torch.rand(2, rows, steps, units, generator=generator, dtype=torch.float64)
    return a, b, torch.rand(rows, units, generator=generator, dtype=torch.float64)


def core(dtype: torch.dtype = torch.float64, **options: object) -> MinLSTM:
    torch.manual_seed(0)
    return MinLSTM(3, 4, **options).to(dtype)  # type: ignore[arg-type]


def inputs(*, fill: float = 0.0, steps: int = 50) -> Tensor:
    """`(6, steps, 3)` float64 with `fill` after each row's end."""
    x = torch.randn(6, 50, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wide = torch.full((6, steps, 3), fill, dtype=torch.float64)
    for row, length in enumerate(LENGTHS.tolist()):
        wide[row, :length] = x[row, :length]
    return wide


@pytest.mark.parametrize("steps", [1, 2, 15, 16, 17, 18, 31, 33, 64, 100, 257])
def test_the_tree_equals_the_loop(steps: int) -> None:
    """Odd rests at any level of the tree must neither be lost nor joined twice."""
    torch.testing.assert_close(scan(*maps(steps)), scan_steps(*maps(steps)), atol=1e-12, rtol=0)


@pytest.mark.parametrize("steps", [1, 16, 37])
def test_gradients_of_the_tree_equal_those_of_the_loop(steps: int) -> None:
    """The backward scan is written by hand."""
    found = []
    for form in (scan, scan_steps):
        parts = [part.requires_grad_() for part in maps(steps)]
        form(*parts).square().cos().sum().backward()
        found.append([part.grad for part in parts])
    for tree, loop in zip(*found, strict=True):
        torch.testing.assert_close(tree, loop, atol=1e-10, rtol=0)


def test_a_layer_is_the_equations_of_the_paper() -> None:
    """Gates that do not sum to 1 let the state grow with the length."""
    model, x = core(), inputs()
    layer = model.layers[0][0]  # type: ignore[index]
    assert isinstance(layer, MinLSTMLayer)
    forget, put, new = (x @ layer.gates.weight.T + layer.gates.bias).chunk(3, dim=-1)
    f, i = torch.sigmoid(forget), torch.sigmoid(put)
    g = torch.where(new >= 0, new + 0.5, torch.sigmoid(new))
    h, wanted = torch.zeros(6, 4, dtype=torch.float64), []
    for t in range(50):
        h = (f / (f + i))[:, t] * h + (i / (f + i) * g)[:, t]
        wanted.append(h)
    torch.testing.assert_close(model(x, LENGTHS), torch.stack(wanted, dim=1), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
def test_batch_equals_each_record_alone(
    dtype: torch.dtype, tolerance: float, bidirectional: bool, layers: int
) -> None:
    """Padding and neighbours must not matter, whatever stands after the end."""
    model = core(dtype, layers=layers, bidirectional=bidirectional)
    out = model(inputs(fill=7.0, steps=63).to(dtype), LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        one = model(inputs()[row : row + 1, :length].to(dtype), LENGTHS[row : row + 1])
        torch.testing.assert_close(out[row, :length], one[0], atol=tolerance, rtol=0)


@pytest.mark.parametrize("size", [1, 7, 20])
def test_segments_with_carried_state_equal_one_pass(size: int) -> None:
    """State that is lost, or changed by padding, would change the next segment."""
    model = core(layers=2)
    whole = model(inputs(), LENGTHS)
    out: list[Tensor] = []
    state: State | None = None
    for start in range(0, 50, size):
        part = inputs(fill=3.0)[:, start : start + size]
        states, state = model.carry(part, (LENGTHS - start).clamp(0, part.shape[1]), state)
        out.append(states)
    joined = torch.cat(out, dim=1)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(joined[row, :length], whole[row, :length], atol=1e-12, rtol=0)
    assert state is not None and len(state) == model.state_parts == 1
    torch.testing.assert_close(state[0][-1], model.final(whole, LENGTHS), atol=1e-12, rtol=0)


def test_a_hundred_thousand_steps_keep_their_digits() -> None:
    """Sums of logarithms over so many steps are wrong by a hundredth in float32."""
    torch.manual_seed(0)
    x = torch.randn(1, 100_000, 3, dtype=torch.float64)
    with torch.no_grad():
        a, b = core().layers[0][0](x)  # type: ignore[index]
        wanted = scan_steps(a, b, b[:, 0] * 0)
        found = scan(a.float(), b.float(), b[:, 0].float() * 0)
    assert ((found - wanted) / wanted).abs().max() < 1e-5


@pytest.mark.parametrize("size", [100.0, 1e4])
def test_gates_that_are_wide_open_or_shut_stay_finite(size: float) -> None:
    """Of two gates that are shut, f / (f + i) is 0 / 0 when it is written so."""
    model = core(torch.float32)
    x = (size * inputs()).float().requires_grad_()
    out = model(x, LENGTHS)
    out.sum().backward()
    assert x.grad is not None and out.isfinite().all() and x.grad.isfinite().all()
    weight = next(model.parameters()).grad
    assert weight is not None and weight.isfinite().all()


def test_fresh_units_forget_at_paces_from_one_step_to_a_thousand() -> None:
    """With zero biases nothing is left after ten steps, and nothing far back is ever learnt."""
    torch.manual_seed(0)
    layer = MinLSTM(3, 64).layers[0][0]  # type: ignore[index]
    kept = layer(torch.zeros(1, 1, 3))[0][0, 0]
    assert (kept.diff() > 0).all() and kept[0] == 0.5 and 0.99 < kept[-1] < 0.999
    after = MinLSTM.read_layer(core(), layer, torch.zeros(1, 200, 3), torch.tensor([200]))
    other = torch.zeros(1, 200, 3)
    other[0, 0] = 3.0
    changed = MinLSTM.read_layer(core(), layer, other, torch.tensor([200])) - after
    assert changed[0, -1].abs().max() > 1e-3


def test_only_one_tensor_of_the_scan_is_kept_beside_its_inputs() -> None:
    """A tree that keeps its levels for the gradient takes many times the memory."""
    kept: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    a, b, h = (part.requires_grad_() for part in maps(1000))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        scan(a, b, h)
    assert sum(kept) == 2 * a.numel() + h.numel()


def test_states_are_summed_in_float32_under_autocast() -> None:
    """Eight bits of a running sum lose what a thousand steps add."""
    model = core(torch.float32)
    x, lengths = torch.randn(1, 5000, 3), torch.tensor([5000])
    whole = model(x, lengths)
    model.autocast = torch.bfloat16
    out = model(x, lengths)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, whole, atol=0.02, rtol=0)
    assert (out - whole)[0, -1].abs().max() > 0  # the gates did run in bf16
