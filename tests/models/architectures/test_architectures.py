"""Contract of every entry of MODELS."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from models.answers.objectives import Moments, objective_for
from models.architectures import MODELS, build
from models.architectures.encoder_decoder import EncoderDecoder
from models.architectures.lstm import PooledLSTM
from models.bundle import Bundle
from models.options.checks import JobError
from models.options.model import Conv, Front, Model, Name
from models.options.training import Optimizer
from models.predict import predict_examples
from models.shape import Shape, TensorBatch, to_tensors
from models.training.optimize import build_optimizer
from seqprep.batches import BatchSettings, BatchSource
from seqprep.schema import Task, num_reserved
from seqprep.snapshot import Snapshot
from tests.synthetic import VOCAB, example_table, rows_of_task, task_snapshot

CPU = torch.device("cpu")
SMALL = Model(hidden=12, embedding=8, dropout=0.0)
MOMENTS: dict[Task, Moments] = {
    "regress": ((100.0,), (2.0,)),
    "regress_steps": ((100.0,), (2.0,)),
    "reconstruct": ((0.0, 0.0), (1.0, 1.0)),
}
STRIDED = Front(conv=(Conv(channels=6, kernel=5, stride=2), Conv(channels=7, kernel=4, stride=3)))
VARIANTS: dict[str, tuple[Task, Model]] = {
    "classify": ("classify", SMALL),
    "last": ("classify", replace(SMALL, pooling=("last",))),
    "attention": ("classify", replace(SMALL, pooling=("attention",))),
    "every pooling": ("classify", replace(SMALL, pooling=("last", "mean", "max", "attention"))),
    "one hot": ("classify", replace(SMALL, input="one_hot", head=(9,))),
    "strided": ("classify", replace(SMALL, front=STRIDED)),
    "parallel": ("classify", replace(SMALL, front=Front(parallel=4))),
    "parallel, interleaved, strided": (
        "classify",
        replace(SMALL, front=replace(STRIDED, parallel=2, layout="interleaved")),
    ),
    "stacked, one direction": ("classify", replace(SMALL, layers=2, bidirectional=False)),
    "stacked, packed": ("classify", replace(SMALL, layers=2, execution="packed")),
    "regress": ("regress", SMALL),
    "label steps": ("label_steps", replace(SMALL, layers=2)),
    "regress steps": ("regress_steps", SMALL),
    "minimal": ("classify", replace(SMALL, name="min_lstm")),
    "minimal, stacked, one direction": (
        "label_steps",
        replace(SMALL, name="min_lstm", layers=2, bidirectional=False),
    ),
    "minimal, parallel": ("regress", replace(SMALL, name="min_lstm", front=Front(parallel=2))),
    "hierarchical": ("classify", replace(SMALL, name="hierarchical", chunk=5, upper_hidden=7)),
    "hierarchical, every pooling": (
        "regress",
        replace(
            SMALL,
            name="hierarchical",
            chunk=3,
            layers=2,
            bidirectional=False,
            lower_pooling=("last", "mean", "max", "attention"),
            pooling=("attention", "last"),
        ),
    ),
    "hierarchical, strided": (
        "classify",
        replace(SMALL, name="hierarchical", chunk=2, front=replace(STRIDED, parallel=2)),
    ),
    "split": ("classify", replace(SMALL, name="split", parts=3)),
    "split, second backwards": (
        "regress",
        replace(SMALL, name="split", bidirectional=False, second_backwards=True, pooling="last"),
    ),
    "split, mean": ("classify", replace(SMALL, name="split", merge="mean", parts=4, layers=2)),
    "chunks": ("classify", replace(SMALL, name="chunks", chunk=6, bidirectional=False)),
    "chunks, label steps": (
        "label_steps",
        replace(SMALL, name="chunks", chunk=5, bidirectional=False, layers=2),
    ),
    "chunks, overlap": (
        "classify",
        replace(SMALL, name="chunks", chunk=6, overlap=2, pooling=("last", "attention")),
    ),
    "chunks, overlap, regress steps": (
        "regress_steps",
        replace(SMALL, name="chunks", chunk=6, overlap=4),
    ),
    "translate": ("translate", replace(SMALL, name="encoder_decoder", hidden=24)),
    "translate, no attention": (
        "translate",
        replace(SMALL, name="encoder_decoder", hidden=32, attention=False, layers=2),
    ),
    "reconstruct": (
        "reconstruct",
        replace(SMALL, name="autoencoder", hidden=32, code_every=3, bidirectional=False),
    ),
    "reconstruct, strided": (
        "reconstruct",
        replace(
            SMALL,
            name="autoencoder",
            hidden=32,
            code_every=2,
            front=Front(conv=Conv(channels=16, kernel=2, stride=2)),
        ),
    ),
    "next": ("next", replace(SMALL, name="next_symbol", hidden=24, bidirectional=False)),
    "next, one hot, stacked": (
        "next",
        replace(SMALL, name="next_symbol", bidirectional=False, input="one_hot", layers=2),
    ),
    "translate, beams": ("translate", replace(SMALL, name="encoder_decoder", hidden=24, beam=3)),
}


@pytest.fixture(params=VARIANTS, scope="module")
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Task, Model, BatchSource]:
    task, config = VARIANTS[request.param]
    path = task_snapshot(tmp_path_factory.mktemp("snapshot"), task, rows=12)
    settings = BatchSettings(max_rows=None, batch_tokens=10_000)
    source = BatchSource.of_snapshot(Snapshot.read(path), "train", settings=settings)
    return task, config, source


def model_of(config: Model, source: BatchSource) -> nn.Module:
    torch.manual_seed(0)
    model = build(config, Shape.of(source.facts))
    if config.execution == "packed":
        assert isinstance(model, PooledLSTM)
        model.core.execution = "packed"
    return model


def batch_of(source: BatchSource) -> TensorBatch:
    return to_tensors(next(source.batches(source.plan_evaluation())), CPU)


def bundle_of(task: Task, config: Model, source: BatchSource) -> tuple[Bundle, pa.Table]:
    """An untrained bundle of the model, and the rows of the source without their targets."""
    bundle = Bundle(
        model=model_of(config, source).eval(),
        config=config,
        facts=source.facts,
        moments=MOMENTS.get(task),
        fitted=json.dumps(
            {
                "target_vocabulary": list("abcdef"),
                "vocabulary": list("abcdef")[: VOCAB - num_reserved(task)],
            }
        ).encode(),
    )
    return bundle, example_table(rows_of_task(task, 12, seed=0), source.facts)


def test_every_model_has_a_variant_here() -> None:
    """A new model must take part in this contract, and every name that is offered be a model."""
    assert {config.name for _, config in VARIANTS.values()} == set(MODELS) == set(get_args(Name))


def test_output_shape(case: tuple[Task, Model, BatchSource]) -> None:
    """Rows (and steps, or symbols with the closing EOS) by outputs."""
    task, config, source = case
    model, batch = model_of(config, source), batch_of(source)
    wanted = {
        "classify": (12, 2),
        "regress": (12, 1),
        "label_steps": (*batch.inputs.shape[:2], 2),
        "regress_steps": (*batch.inputs.shape[:2], 1),
        "translate": (12, 7, VOCAB + 2),
        "reconstruct": (*batch.inputs.shape[:2], 2),
        "next": (*batch.inputs.shape[:2], VOCAB),
    }[task]
    assert tuple(model(batch).shape) == wanted


def test_padding_does_not_change_output(case: tuple[Task, Model, BatchSource]) -> None:
    """Whatever stands after a row's end must never reach an output of a real step."""
    _, config, source = case
    model, batch = model_of(config, source).eval(), batch_of(source)
    fill = torch.full_like(batch.inputs[:, :1], 2).expand(-1, 5, *batch.inputs.shape[2:])
    wide = torch.cat([batch.inputs, fill], dim=1)
    past = torch.arange(wide.shape[1]) >= batch.lengths[:, None]
    wide[past] = 3
    outputs, padded = model(batch), model(replace(batch, inputs=wide))
    for row, length in enumerate(batch.lengths.tolist()):
        real = slice(length) if outputs.ndim == 3 and batch.target_tokens is None else slice(None)
        torch.testing.assert_close(outputs[row][real], padded[row][real], atol=1e-5, rtol=0)


def test_order_and_neighbours_do_not_change_output(case: tuple[Task, Model, BatchSource]) -> None:
    """A row's answer must depend on that row alone."""
    _, config, source = case
    model, batch = model_of(config, source).eval(), batch_of(source)
    order = torch.arange(len(batch)).flip(0)[:7]

    def rows(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else tensor[order]

    turned = TensorBatch(
        inputs=batch.inputs[order],
        lengths=batch.lengths[order],
        labels=rows(batch.labels),
        targets=rows(batch.targets),
        target_tokens=rows(batch.target_tokens),
    )
    torch.testing.assert_close(model(batch)[order], model(turned), atol=1e-5, rtol=0)
    if isinstance(model, EncoderDecoder):
        whole = model.generate(batch)
        assert [whole[row] for row in order.tolist()] == model.generate(turned)


def test_every_parameter_gets_a_gradient(case: tuple[Task, Model, BatchSource]) -> None:
    """A parameter without one is dead weight, or a part that was never wired in."""
    task, config, source = case
    model, batch = model_of(config, source), batch_of(source)
    objective = objective_for(task, moments=MOMENTS.get(task))
    objective.loss(model(batch), batch)[0].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_one_batch_can_be_overfitted(case: tuple[Task, Model, BatchSource]) -> None:
    """A model that cannot learn a dozen rows by heart cannot learn."""
    task, config, source = case
    model, batch = model_of(config, source), batch_of(source)
    objective = objective_for(task, moments=MOMENTS.get(task))
    optimizer = build_optimizer(model, Optimizer(lr=0.02, weight_decay=0.0))
    # nobody can tell from BOS which of the rows will come
    chance = 12 * math.log(12) / int(batch.lengths.sum()) if task == "next" else 0.0
    for _ in range(250):
        optimizer.zero_grad()
        total, count = objective.loss(model(batch), batch)
        loss = total / count
        if loss.item() < 0.05 + chance:
            break
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    assert loss.item() < 0.1 + chance


def test_state_dict_round_trip(case: tuple[Task, Model, BatchSource]) -> None:
    """Weights alone, with the options, must restore the model."""
    _, config, source = case
    model, batch = model_of(config, source).eval(), batch_of(source)
    torch.manual_seed(1)
    other = build(config, Shape.of(source.facts)).eval()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(batch), model(batch), atol=1e-6, rtol=0)


def test_bundle_round_trip(case: tuple[Task, Model, BatchSource], tmp_path: Path) -> None:
    """The folder alone must answer as the model did; no option may be lost on the way."""
    bundle, rows = bundle_of(*case)
    bundle.write(tmp_path / "bundle")
    read = Bundle.read(tmp_path / "bundle")
    assert read.config == bundle.config
    assert predict_examples(read, rows).equals(predict_examples(bundle, rows))


def test_prediction_of_a_record_equals_its_row_in_a_batch(
    case: tuple[Task, Model, BatchSource],
) -> None:
    """An answer, and what stands beside it, must not depend on which records came along."""
    bundle, rows = bundle_of(*case)
    whole = predict_examples(bundle, rows).to_pylist()
    for place, among in enumerate(whole):
        (alone,) = predict_examples(bundle, rows.slice(place, 1)).to_pylist()
        assert alone.keys() == among.keys()
        for key, value in alone.items():
            if any(isinstance(x, float) for x in np.ravel(value).tolist()):
                np.testing.assert_allclose(value, among[key], atol=1e-4, err_msg=key)
            else:
                assert value == among[key], key


def test_attention_weights_can_be_exported() -> None:
    """Weights sum to 1 over real steps and are 0 after the end, or plots would lie."""
    shape = Shape(task="classify", vocab_size=VOCAB, channels=0, outputs=2)
    model = PooledLSTM(replace(SMALL, pooling=("attention", "max")), shape)
    batch = TensorBatch(inputs=torch.tensor([[2, 3, 4], [5, 0, 0]]), lengths=torch.tensor([3, 1]))
    weights = model.attention(batch)
    torch.testing.assert_close(weights.sum(1), torch.ones(2), atol=1e-6, rtol=0)
    assert weights[1].tolist() == [1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="pooling"):
        PooledLSTM(SMALL, shape).attention(batch)


def test_a_strided_front_shortens_by_its_stride() -> None:
    """T steps become ceil(T / stride), each row by its own length."""
    shape = Shape(task="classify", vocab_size=VOCAB, channels=0, outputs=2)
    model = PooledLSTM(replace(SMALL, front=STRIDED), shape)
    batch = TensorBatch(inputs=torch.full((2, 13), 3), lengths=torch.tensor([13, 1]))
    states, lengths = model.states(batch)
    assert states.shape[1] == 3 and lengths.tolist() == [3, 1]


@pytest.mark.parametrize(
    ("task", "config", "message"),
    [
        ("label_steps", replace(SMALL, front=STRIDED), "stride of 6"),
        ("translate", SMALL, "encoder_decoder"),
        ("classify", replace(SMALL, name="encoder_decoder"), "choose lstm"),
    ],
)
def test_a_model_refuses_what_it_cannot_do(task: Task, config: Model, message: str) -> None:
    """Better a clear no before training than a wrong answer after it."""
    with pytest.raises(JobError, match=message):
        build(config, Shape(task=task, vocab_size=VOCAB, channels=0, outputs=VOCAB))


def test_values_refuse_one_hot() -> None:
    """An option that would be ignored is an error."""
    shape = Shape(task="classify", vocab_size=None, channels=2, outputs=2)
    with pytest.raises(JobError, match="one_hot"):
        build(replace(SMALL, input="one_hot"), shape)
