"""Two levels: chunks of steps below, the chunks of each record above."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.answers.objectives import objective_for
from models.architectures.hierarchical import HierarchicalLSTM
from models.layers.chunking import cut, line_up
from models.options.model import Model
from models.shape import Shape, TensorBatch

SHAPE = Shape(task="classify", vocab_size=None, channels=3, outputs=2)
LENGTHS = [11, 1, 4, 8, 9]


def batch(lengths: list[int] = LENGTHS, *, fill: float = 0.0, labels: bool = False) -> TensorBatch:
    """Values `(B, T, 3)` float64, `fill` after each row's end."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(lengths), max(lengths), 3, generator=generator, dtype=torch.float64)
    for row, length in enumerate(lengths):
        x[row, length:] = fill
    codes = torch.arange(len(lengths)) % 2 if labels else None
    return TensorBatch(inputs=x, lengths=torch.tensor(lengths), labels=codes)


def model_of(**options: Any) -> HierarchicalLSTM:
    torch.manual_seed(0)
    known: dict[str, Any] = {"chunk": 4, "hidden": 5, "upper_hidden": 6, "dropout": 0.0}
    return HierarchicalLSTM(Model(name="hierarchical", **{**known, **options}), SHAPE).double()


def by_hand(model: HierarchicalLSTM, x_TF: Tensor, *, chunk: int) -> Tensor:
    """Each chunk of one record run alone below, their last states run above, pooled, `(C,)`."""
    vectors = []
    for part in x_TF.split(chunk):
        length = torch.tensor([len(part)])
        states = model.lower(part[None], length)
        vectors.append(model.lower_pool(model.lower, states, length)[0])
    count = torch.tensor([len(vectors)])
    states = model.upper(torch.stack(vectors)[None], count)
    out: Tensor = model.head(model.pool(model.upper, states, count))[0]
    return out


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bidirectional": False, "pooling": "last"},
        {"layers": 2, "lower_pooling": ("last", "mean", "max", "attention")},
        {"chunk": 1},
        {"chunk": 100, "pooling": "attention"},
    ],
    ids=str,
)
def test_equals_the_two_stages_by_hand(options: dict[str, Any]) -> None:
    """A ragged last chunk must be read to its own end, and no row may see another's chunks."""
    model = model_of(**options)
    rows = batch(fill=9.0)
    out = model(rows)
    for row, length in enumerate(LENGTHS):
        one = by_hand(model, rows.inputs[row, :length], chunk=options.get("chunk", 4))
        torch.testing.assert_close(out[row], one, atol=1e-12, rtol=0)


def test_equals_two_plain_lstms() -> None:
    """The same with nothing of ours: nn.LSTM over chunks, its last states, nn.LSTM over these."""
    model = model_of(bidirectional=False, pooling="last")
    lower, upper = model.lower.layers[0][0], model.upper.layers[0][0]  # type: ignore[index]
    x = batch([11]).inputs
    ends = torch.stack([lower(part)[0][0, -1] for part in x.split(4, dim=1)])
    wanted = model.head(upper(ends[None])[0][:, -1])
    torch.testing.assert_close(model(batch([11])), wanted, atol=1e-12, rtol=0)


def test_a_hundred_chunks_of_a_hundred_steps() -> None:
    """The reference case: 100 x 100 steps, 64 units below and 32 above."""
    torch.manual_seed(0)
    options = Model(
        name="hierarchical",
        chunk=100,
        hidden=64,
        upper_hidden=32,
        bidirectional=False,
        pooling="last",
        dropout=0.0,
    )
    model = HierarchicalLSTM(options, SHAPE)
    assert model.lower.hidden == 64 and model.upper.hidden == 32
    x = torch.randn(2, 10_000, 3)
    rows = TensorBatch(inputs=x, lengths=torch.tensor([10_000, 9_950]))
    with torch.no_grad():
        states, counts = model.states(rows)
        assert states.shape == (2, 100, 32) and counts.tolist() == [100, 100]
        wanted = torch.stack(
            [by_hand(model, x[0], chunk=100), by_hand(model, x[1, :9950], chunk=100)]
        )
        torch.testing.assert_close(model(rows), wanted, atol=1e-5, rtol=0)


def test_the_upper_lstm_reads_the_chunks_in_order() -> None:
    """A lower level that returns sequences would leave the upper one no chunks (mistake 6)."""
    model = model_of(bidirectional=False, pooling="last")
    seen: list[Tensor] = []

    def see(_: nn.Module, inputs: tuple[Tensor, Tensor]) -> None:
        seen.extend(inputs)

    model.upper.register_forward_pre_hook(see)
    rows = batch()
    out = model(rows)
    vectors, counts = seen
    assert vectors.shape == (5, 3, 5) and counts.tolist() == [3, 1, 1, 2, 3]
    swapped = rows.inputs.clone()
    swapped[0, :8] = rows.inputs[0, [4, 5, 6, 7, 0, 1, 2, 3]]
    other = model(TensorBatch(inputs=swapped, lengths=rows.lengths))
    assert not torch.allclose(out[0], other[0])
    torch.testing.assert_close(seen[2][0, :2], vectors[0, :2].flip(0), atol=1e-12, rtol=0)


def test_there_is_one_answer_a_record_and_it_is_the_records_own() -> None:
    """Chunks as rows of the output would no longer match the labels (mistake 5)."""
    model, rows = model_of(), batch(labels=True)
    out = model(rows)
    assert out.shape == (len(LENGTHS), 2)
    total, count = objective_for("classify").loss(out, rows)
    assert int(count) == len(LENGTHS)
    x = rows.inputs.requires_grad_()
    (used,) = torch.autograd.grad(model(rows)[2].sum(), x)
    assert used[2, :4].any() and not used[[0, 1, 3, 4]].any() and not used[2, 4:].any()
    assert total.isfinite()


def test_only_real_chunks_are_computed() -> None:
    """Beside one long record, short ones must not cost as many chunks as it has."""
    lengths = torch.tensor([100, 3, 4, 5])
    chunks = cut(torch.randn(4, 100, 2), lengths, chunk=4)
    assert chunks.counts.tolist() == [25, 1, 1, 2] and len(chunks.x) == 29
    assert chunks.lengths.tolist() == [4] * 25 + [3, 4, 4, 1]
    lined = line_up(torch.ones(29, 1), chunks)
    assert lined[:, :, 0].sum(1).tolist() == [25, 1, 1, 2]
    assert cut(torch.zeros(1, 3, 2), torch.tensor([3]), chunk=1000).x.shape == (1, 3, 2)


@pytest.mark.parametrize("lower_pooling", ["last", ("attention", "mean")])
def test_attention_weights_of_chunks_are_those_of_their_steps(lower_pooling: Any) -> None:
    """A plot over the record needs a weight for each step, and all of them together are 1."""
    model = model_of(pooling=("attention", "max"), lower_pooling=lower_pooling)
    weights = model.attention(batch(fill=3.0))
    assert weights.shape == (5, 11)
    assert not weights[torch.arange(11) >= torch.tensor(LENGTHS)[:, None]].any()
    torch.testing.assert_close(weights.sum(1), torch.ones(5).double(), atol=1e-12, rtol=0)
    states, _ = model.states(batch())
    above = model.pool.attention(states[:1], torch.ones(1, 3, dtype=torch.bool))[0]
    below = torch.stack([part.sum() for part in weights[0].split(4)])
    torch.testing.assert_close(below, above, atol=1e-12, rtol=0)
    assert (weights[0, :4].diff().abs().max() > 1e-6) == (lower_pooling != "last")
    with pytest.raises(ValueError, match="add attention"):
        model_of().attention(batch())
