"""Next symbol: what it learns, what it draws, and what prediction tells of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from models.answers import outputs
from models.answers.objectives import objective_for
from models.architectures import build
from models.architectures.next_symbol import NextSymbol, draw
from models.bundle import Bundle
from models.job import Job
from models.layers.segmented import Segmented
from models.options.checks import JobError
from models.options.model import Conv, Front, Model
from models.options.training import Optimizer, Train
from models.predict import predict_examples
from models.scores import metrics
from models.shape import Shape, TensorBatch, to_tensors
from models.train import train
from seqprep import ragged
from seqprep.batches import BatchSettings, BatchSource
from seqprep.ragged import Ragged, to_lists
from seqprep.schema import BOS, EOS, OOV
from tests.synthetic import (
    VOCAB,
    counting_rows,
    example_table,
    facts_of_task,
    task_snapshot,
)

CPU = torch.device("cpu")
MODEL = Model(
    name="next_symbol",
    hidden=16,
    embedding=8,
    dropout=0.0,
    bidirectional=False,
    continuation=6,
    temperature=0.0,
)
SHAPE = Shape(task="next", vocab_size=VOCAB, channels=0, outputs=VOCAB)
TRAIN = Train(
    model=MODEL,
    optimizer=Optimizer(lr=0.02),
    max_rows=12,
    epochs=30,
    threads=1,
    device="cpu",
    select_by="token_accuracy",
)
FITTED = json.dumps({"vocabulary": list("abcd")}).encode()


def source_of(rows: list[list[int]]) -> BatchSource:
    facts = facts_of_task("next", {"tokens": rows})
    table = example_table({"tokens": rows}, facts)
    return BatchSource.of_examples(table, facts, settings=BatchSettings(batch_tokens=64))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learnt to count in a circle by 1 or by 2."""
    folder = tmp_path_factory.mktemp("counting")
    snapshot = task_snapshot(folder / "data", "next", rows=120)
    train(Job(snapshot=str(snapshot), out=str(folder / "run"), train=TRAIN))
    return folder / "run"


@pytest.fixture
def bundle(learnt: Path) -> Bundle:
    return replace(Bundle.read(learnt / "bundle"), fitted=FITTED)


def test_it_beats_a_table_of_pairs_where_more_than_one_step_matters(learnt: Path) -> None:
    """A pair tells neither the stride nor the end: a perplexity above its own learnt nothing."""
    report = json.loads((learnt / "report.json").read_bytes())
    test, cheap = report["metrics"]["test"], report["baselines"]["test"]
    assert test["perplexity"] < 0.75 * cheap["bigram"]["perplexity"]
    assert cheap["bigram"]["perplexity"] < 0.8 * cheap["majority"]["perplexity"]
    assert test["perplexity"] == pytest.approx(math.exp(test["loss"]), rel=1e-4)
    assert report["train"]["history"][-1]["validation"]["token_accuracy"] > 0.6


def test_the_distribution_after_a_prefix_knows_what_follows(bundle: Bundle) -> None:
    """Off by one step, it would tell what the prefix ended with."""
    rows = {"tokens": [[4, 5, 6], [4, 6, 4], [7, 5, 7, 5]]}
    found = predict_examples(bundle, example_table(rows, bundle.facts)).to_pylist()
    assert [row["prediction"] for row in found] == ["d", "c", "<end>"]
    for row in found:
        assert len(row["probabilities"]) == VOCAB
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert row["probabilities"][BOS] == 0


def test_a_continuation_goes_on_as_the_prefix_began(bundle: Bundle) -> None:
    """State lost after the prefix, or a symbol fed twice, would break the count."""
    rows = {"tokens": [[4, 5, 6], [6, 4, 6]]}
    found = predict_examples(bundle, example_table(rows, bundle.facts))["continuation"]
    assert found[0].as_py()[:5] == "dabcd"
    assert found[1].as_py()[:1] == "a" and len(found[1].as_py()) == 6


def test_perplexity_of_a_record_is_that_of_its_symbols(bundle: Bundle) -> None:
    """A perplexity that counts padding, or leaves out the end, cannot be compared."""
    rows = {"tokens": [[4, 5, 6, 7, 4], [6]]}
    found = predict_examples(bundle, example_table(rows, bundle.facts)).to_pylist()
    for row, symbols in zip(found, rows["tokens"], strict=True):
        read = torch.tensor([[BOS, *symbols]])
        batch = TensorBatch(inputs=read, lengths=torch.tensor([read.shape[1]]))
        log_p = torch.log_softmax(bundle.model(batch)[0].double(), dim=-1)
        wanted = math.exp(-log_p[range(read.shape[1]), [*symbols, EOS]].mean().item())
        assert row["perplexity"] == pytest.approx(wanted, rel=1e-4)
        assert row["steps"] == len(symbols) + 1


def test_what_is_drawn_for_a_record_depends_on_it_alone(bundle: Bundle) -> None:
    """Predictions that change with the order of files cannot be repeated."""
    rows = {"tokens": counting_rows(20, seed=3), "id": [f"file-{n}#0" for n in range(20)]}
    table = example_table(rows, bundle.facts)
    warm = replace(bundle.config, temperature=1.0)
    model = build(warm, SHAPE).eval()
    model.load_state_dict(bundle.model.state_dict())
    drawing = replace(bundle, config=warm, model=model)
    whole = predict_examples(drawing, table)
    turned = predict_examples(drawing, table.take(np.arange(20)[::-1]))
    assert turned["continuation"].to_pylist()[::-1] == whole["continuation"].to_pylist()
    alone = predict_examples(drawing, table.slice(7, 1))
    assert alone["continuation"].to_pylist() == whole["continuation"].to_pylist()[7:8]
    assert len(set(whole["continuation"].to_pylist())) > 4


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_symbols_are_drawn_by_their_probability(temperature: float) -> None:
    """Temperature must sharpen or flatten the model's own distribution, and nothing else."""
    logits = torch.tensor([[5.0, 5.0, 5.0, 5.0, 0.0, 1.0, 2.0, -1.0]])
    uniform = torch.from_numpy(np.random.default_rng(0).random(20_000))
    drawn = draw(logits.repeat(20_000, 1), uniform, temperature)
    shares = torch.bincount(drawn, minlength=8) / 20_000
    wanted = torch.zeros(8)
    wanted[4:] = torch.softmax(logits[0, 4:] / temperature, dim=-1)
    torch.testing.assert_close(shares, wanted, atol=0.015, rtol=0)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_model_draws_with_its_own_temperature(temperature: float) -> None:
    """The option must reach the draw, or every continuation is as wild as the model is unsure."""
    torch.manual_seed(0)
    model = build(replace(MODEL, temperature=temperature, continuation=1), SHAPE).eval()
    assert isinstance(model, NextSymbol)
    with torch.no_grad():
        model.head.layers[-1].bias[4:] = torch.tensor([0.0, 0.5, 1.0, 1.5])  # type: ignore[index]
    rows = 4000
    batch = TensorBatch(
        inputs=torch.tensor([[BOS, 4, 5]]).expand(rows, 3), lengths=torch.full((rows,), 3)
    )
    drawn = model.generate(batch, ragged.row_keys(pa.array([f"{n}#0" for n in range(rows)])))
    shares = torch.bincount(drawn[:, 0], minlength=VOCAB) / rows
    logits = model.follows(batch)[0, 4:].double()
    wanted = torch.softmax(logits / temperature, dim=-1)
    assert (wanted - torch.softmax(logits, dim=-1)).abs().max() > 0.1
    torch.testing.assert_close(shares[4:].double(), wanted, atol=0.03, rtol=0)


def test_a_very_low_temperature_takes_the_likeliest() -> None:
    """Logits over a tiny number overflow, and what is drawn then was padding."""
    logits = torch.tensor([[9.0, 9.0, 9.0, 9.0, 20.0, 30.0]])
    assert draw(logits, torch.tensor([0.5]).double(), 1e-308).tolist() == [5]


def test_reading_by_segments_equals_reading_whole_records() -> None:
    """Truncated and recomputed training rest on the state that segments hand on."""
    torch.manual_seed(0)
    model = build(MODEL, SHAPE).eval()
    assert isinstance(model, NextSymbol) and isinstance(model, Segmented) and model.per_step
    source = source_of([[4, 5, 6, 7, 4, 5, 6], [5, 6, 7]])
    batch = to_tensors(next(source.batches(source.plan_evaluation())), CPU)
    carried, parts = model.begin(len(batch)), []
    for start in range(0, batch.inputs.shape[1], 3):
        inputs = batch.inputs[:, start : start + 3]
        lengths = (batch.lengths - start).clamp(0, inputs.shape[1])
        states, carried = model.read(inputs, lengths, carried)
        parts.append(model.answer_steps(states))
    real = torch.arange(batch.inputs.shape[1]) < batch.lengths[:, None]
    torch.testing.assert_close(torch.cat(parts, dim=1)[real], model(batch)[real])


def windowed() -> tuple[Bundle, pa.Table]:
    """A model without training, and two records, the first in two windows that share a step."""
    torch.manual_seed(0)
    rows = [[7, 4, 5], [6], [4, 5, 6, 7]]
    facts = facts_of_task("next", {"tokens": rows}, window_stride=3)
    table = example_table({"tokens": rows, "id": ["a", "b", "a"], "window": [1, 0, 0]}, facts)
    bundle = Bundle(model=build(MODEL, SHAPE).eval(), config=MODEL, facts=facts, fitted=FITTED)
    return bundle, table


def test_windows_of_a_record_share_one_perplexity() -> None:
    """Symbols of two windows scored twice, or ends between them, are of another process."""
    bundle, table = windowed()
    source = BatchSource.of_examples(table, bundle.facts, settings=BatchSettings())
    pooled = outputs.pool(outputs.run(bundle.model, source, objective_for("next"), device=CPU))
    assert pooled.ids.to_pylist() == ["a", "b"] and pooled.windows.tolist() == [2, 1]
    assert isinstance(pooled.answers, Ragged) and isinstance(pooled.truth, Ragged)
    assert to_lists(pooled.truth) == [[4, 5, 6, 7, 4, 5, EOS], [6, EOS]]
    assert metrics.score("next", pooled)["steps"] == 9
    assert pooled.answers.lengths.tolist() == [7, 2]
    nats = float(pooled.answers.values[:, 0].mean())
    assert pooled.loss == pytest.approx(nats, rel=1e-6)
    inputs = torch.tensor([[BOS, 4, 5, 6, 7], [OOV, 7, 4, 5, 0]])
    logits = bundle.model(TensorBatch(inputs=inputs, lengths=torch.tensor([5, 4]))).log_softmax(-1)
    of_windows = [logits[0, n, s] for n, s in enumerate([4, 5, 6, 7])]
    of_windows += [logits[1, n, s] for n, s in ((1, 4), (2, 5), (3, EOS))]
    expected = -torch.stack(of_windows).detach().double().numpy()
    np.testing.assert_allclose(pooled.answers.values[:7, 0], expected, rtol=1e-5)


def test_what_follows_a_record_follows_its_last_window() -> None:
    """Stored rows come in any order; what follows an earlier window stands in the record."""
    bundle, table = windowed()
    found = predict_examples(bundle, table).to_pylist()[0]
    inputs = torch.tensor([[OOV, 7, 4, 5]])
    logits = bundle.model(TensorBatch(inputs=inputs, lengths=torch.tensor([4])))[0, -1].double()
    logits[[0, BOS]] = -torch.inf
    np.testing.assert_allclose(found["probabilities"], logits.softmax(-1).detach(), atol=1e-6)
    order = pa.array([2, 1, 0])
    assert predict_examples(bundle, table.take(order)).to_pylist()[0] == found


def test_of_views_the_first_tells_what_follows() -> None:
    """What follows a random piece follows in the middle of the record."""
    torch.manual_seed(0)
    rows = [[4, 5], [4, 5, 6, 7], [7]]
    facts = facts_of_task("next", {"tokens": rows})
    bundle = Bundle(model=build(MODEL, SHAPE).eval(), config=MODEL, facts=facts, fitted=FITTED)
    table = example_table({"tokens": rows, "id": ["a", "a", "b"], "view": [1, 0, 0]}, facts)
    found = predict_examples(bundle, table).to_pylist()
    alone = predict_examples(bundle, table.slice(1, 1)).to_pylist()[0]
    for name in ("prediction", "continuation", "steps"):
        assert found[0][name] == alone[name]
    np.testing.assert_allclose(found[0]["probabilities"], alone["probabilities"], atol=1e-6)
    assert found[0]["perplexity"] == pytest.approx(alone["perplexity"]) and found[0]["windows"] == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(MODEL, bidirectional=True), "other direction"),
        (replace(MODEL, front=Front(conv=Conv(stride=1))), "foretell"),
        (replace(MODEL, front=Front(parallel=2)), "foretell"),
    ],
)
def test_what_would_see_the_next_symbol_is_refused(config: Model, message: str) -> None:
    """A model that sees what it foretells has a perplexity of 1 and knows nothing."""
    with pytest.raises(JobError, match=message):
        build(config, SHAPE)


def test_values_have_no_next_symbol() -> None:
    """The reason must be said before any training."""
    with pytest.raises(JobError, match="values"):
        build(MODEL, Shape(task="next", vocab_size=None, channels=2, outputs=2))
