"""Chunks with the state handed on, and overlapping ones each on its own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from models.answers.objectives import objective_for
from models.architectures import build
from models.architectures.chunks import ChunkedLSTM
from models.architectures.lstm import PooledLSTM
from models.layers.chunking import cut, merge
from models.layers.segmented import Segmented
from models.options.checks import JobError
from models.options.model import Model
from models.shape import Shape, TensorBatch
from seqprep.schema import Task

LENGTHS = [23, 1, 7, 8, 9, 16]
VALUES: dict[Task, Shape] = {
    "classify": Shape(task="classify", vocab_size=None, channels=3, outputs=2),
    "label_steps": Shape(task="label_steps", vocab_size=None, channels=3, outputs=2),
}


def batch(*, fill: float = 0.0, dtype: torch.dtype = torch.float64) -> TensorBatch:
    """Values `(6, 23, 3)`, `fill` after each row's end, with a label for each row and step."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(LENGTHS), 23, 3, generator=generator, dtype=torch.float64).to(dtype)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = fill
    return TensorBatch(inputs=x, lengths=torch.tensor(LENGTHS))


def pair(task: Task, **options: Any) -> tuple[ChunkedLSTM, PooledLSTM]:
    """A model of chunks, and the plain LSTM with the same weights."""
    known: dict[str, Any] = {"hidden": 5, "dropout": 0.0, "bidirectional": False}
    torch.manual_seed(0)
    chunked = ChunkedLSTM(Model(name="chunks", **{**known, **options}), VALUES[task])
    plain = PooledLSTM(Model(**{**known, **options, "chunk": 100, "overlap": 0}), VALUES[task])
    plain.load_state_dict(chunked.state_dict())
    return chunked, plain


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("chunk", [1, 7, 8, 100])
@pytest.mark.parametrize("pooling", ["last", ("mean", "max", "attention")])
def test_chunks_without_overlap_equal_one_pass(
    chunk: int, pooling: Any, dtype: torch.dtype, tolerance: float
) -> None:
    """A state that is dropped or run on into padding between chunks is another model."""
    chunked, plain = pair("classify", chunk=chunk, pooling=pooling, layers=2)
    rows = batch(fill=5.0, dtype=dtype)
    out, wanted = chunked.to(dtype)(rows), plain.to(dtype)(rows)
    torch.testing.assert_close(out, wanted, atol=tolerance, rtol=0)


def test_gradients_flow_through_the_handover() -> None:
    """Chunks that are cut off from the ones before would learn less than one pass."""
    found = []
    for model in pair("classify", chunk=4, pooling="last"):
        rows = batch()
        x = rows.inputs.requires_grad_()
        model.double()(rows).square().sum().backward()
        assert x.grad is not None and x.grad[0, 0].any()
        found.append([x.grad, *(p.grad for p in model.parameters())])
    for chunked, plain in zip(*found, strict=True):
        torch.testing.assert_close(chunked, plain, atol=1e-12, rtol=0)


@pytest.mark.parametrize("overlap", [0, 3])
def test_there_is_one_answer_a_step_whatever_the_chunks(overlap: int) -> None:
    """Labels that stay (N, T) while inputs become chunks no longer match (mistake 5)."""
    chunked, _ = pair("label_steps", chunk=7, overlap=overlap)
    rows = batch()
    out = chunked.double()(rows)
    assert out.shape == (6, 23, 2)
    codes = torch.arange(23).expand(6, 23) % 2
    codes = codes.masked_fill(torch.arange(23) >= rows.lengths[:, None], -1)
    _, count = objective_for("label_steps").loss(
        out, TensorBatch(inputs=rows.inputs, lengths=rows.lengths, targets=codes)
    )
    assert int(count) == sum(LENGTHS)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("chunk", "overlap"), [(8, 1), (8, 4), (5, 4), (30, 10)])
def test_overlapping_chunks_are_read_alone_and_averaged(
    chunk: int, overlap: int, bidirectional: bool
) -> None:
    """Chunk by chunk by hand: each from a fresh state to its own end, then the mean of a step."""
    chunked, plain = pair("label_steps", chunk=chunk, overlap=overlap, bidirectional=bidirectional)
    rows = batch(fill=7.0)
    states, _ = chunked.double().states(rows)
    core = plain.double().core
    for row, length in enumerate(LENGTHS):
        sums, counts = torch.zeros(length, core.features).double(), torch.zeros(length, 1)
        for first in range(0, max(1, length - overlap), chunk - overlap):
            part = rows.inputs[row : row + 1, first : min(first + chunk, length)]
            out = core(part, torch.tensor([part.shape[1]]))[0]
            sums[first : first + len(out)] += out
            counts[first : first + len(out)] += 1
        assert counts.min() >= 1
        torch.testing.assert_close(states[row, :length], sums / counts, atol=1e-12, rtol=0)


def test_a_record_within_one_chunk_is_read_as_a_whole() -> None:
    """With chunks longer than every record nothing may change, pooling included."""
    chunked, plain = pair("classify", chunk=40, overlap=10, bidirectional=True, layers=2)
    rows = batch(fill=2.0)
    torch.testing.assert_close(chunked.double()(rows), plain.double()(rows), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("chunk", "overlap"), [(4, 0), (4, 3), (7, 2), (50, 9)])
def test_cutting_and_merging_gives_back_every_step(chunk: int, overlap: int) -> None:
    """No step lost, none of a neighbour's, no chunk without a step of its own."""
    rows = batch(fill=99.0)
    chunks = cut(rows.inputs, rows.lengths, chunk=chunk, overlap=overlap)
    merged = merge(chunks.x, chunks, steps=23)
    for row, length in enumerate(LENGTHS):
        found, wanted = merged[row, :length], rows.inputs[row, :length]
        torch.testing.assert_close(found, wanted, atol=1e-12, rtol=0)
        assert not merged[row, length:].any()
    several = chunks.counts.repeat_interleave(chunks.counts) > 1
    assert (chunks.lengths[several] > overlap).all()


def test_two_directions_need_an_overlap() -> None:
    """A backward half has no state to hand on."""
    for bidirectional, overlap in ((True, 0), (True, 5), (False, 0)):
        config = Model(name="chunks", chunk=9, overlap=overlap, bidirectional=bidirectional)
        if bidirectional and not overlap:
            with pytest.raises(JobError, match="bidirectional: false, or an overlap"):
                build(config, VALUES["classify"])
        else:
            build(config, VALUES["classify"])


def test_chunks_do_not_offer_to_be_read_by_segments() -> None:
    """Segments would cut across chunks, and the answers would be those of another model."""
    chunked, plain = pair("classify", chunk=4)
    assert isinstance(plain, Segmented) and not isinstance(chunked, Segmented)


def test_steps_of_neighbours_never_meet() -> None:
    """A gradient from one record to another means that a chunk holds steps of both."""
    chunked, _ = pair("classify", chunk=8, overlap=4, bidirectional=True)
    rows = batch()
    x: Tensor = rows.inputs.requires_grad_()
    (used,) = torch.autograd.grad(chunked.double()(rows)[2].sum(), x)
    assert used[2, :7].all() and not used[2, 7:].any() and not used[[0, 1, 3, 4, 5]].any()
