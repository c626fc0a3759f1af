"""The autoencoder: its codes, what it rebuilds, and what prediction tells of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.architectures.autoencoder import Autoencoder
from models.bundle import Bundle
from models.job import Job
from models.options.checks import JobError
from models.options.model import Conv, Front, Model
from models.options.training import Optimizer, Train
from models.predict import predict_examples
from models.shape import Shape, TensorBatch
from models.train import train
from tests.synthetic import VOCAB, example_table, facts_of_task, task_snapshot, write_snapshot

MODEL = Model(name="autoencoder", hidden=24, dropout=0.0, code_every=3, bidirectional=False)
TRAIN = Train(
    model=MODEL, optimizer=Optimizer(lr=0.02), max_rows=8, epochs=30, threads=1, device="cpu"
)
VALUES = Shape(task="reconstruct", vocab_size=None, channels=2, outputs=2)
STRIDED = replace(MODEL, code_every=4, front=Front(conv=Conv(channels=5, kernel=3, stride=2)))


def values_batch(*lengths: int, seed: int = 0) -> TensorBatch:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(len(lengths), max(lengths), 2, generator=generator)
    return TensorBatch(inputs=inputs, lengths=torch.tensor(lengths))


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that rebuilds noise, of which no two steps are alike, from a code of 3 steps."""
    folder = tmp_path_factory.mktemp("noise")
    snapshot = task_snapshot(folder / "data", "reconstruct", rows=60)
    train(Job(snapshot=str(snapshot), out=str(folder / "run"), train=TRAIN))
    return folder / "run"


def test_it_rebuilds_values_better_than_their_mean(learnt: Path) -> None:
    """An error of 1 is what the mean of the training rows gives: a code that says nothing."""
    report = json.loads((learnt / "report.json").read_bytes())
    test, cheap = report["metrics"]["test"], report["baselines"]["test"]
    assert test["reconstruction_error"] < 0.4 * cheap["record_mean"]["reconstruction_error"]
    assert cheap["mean"]["reconstruction_error"] == pytest.approx(1, abs=0.3)
    assert test["reconstruction_error"] == pytest.approx(test["loss"], rel=1e-4)


def test_prediction_rebuilds_the_record_and_tells_its_error(learnt: Path) -> None:
    """The column must be the error of this very reconstruction, in the units of training."""
    bundle = Bundle.read(learnt / "bundle")
    values = values_batch(7, seed=3).inputs[0]
    data = {"values": [(values * 1.2).flatten().tolist()]}
    row = predict_examples(bundle, example_table(data, bundle.facts)).to_pylist()[0]
    assert bundle.moments is not None
    std = np.asarray(bundle.moments[1])
    missed = np.asarray(row["prediction"]).reshape(-1, 2) - np.asarray(data["values"][0]).reshape(
        -1, 2
    )
    assert row["reconstruction_error"] == pytest.approx(((missed / std) ** 2).mean(), rel=1e-4)
    assert row["steps"] == 7


def test_tokens_are_rebuilt_as_text(tmp_path: Path) -> None:
    """What a person reads must be the tokens, not their numbers."""
    rng = np.random.default_rng(0)
    rows = [rng.integers(2, VOCAB, n).tolist() for n in rng.integers(3, 9, 60)]
    facts = facts_of_task("reconstruct", {"tokens": rows})
    tables = {
        split: example_table({"tokens": rows}, facts, prefix=split)
        for split in ("train", "validation", "test")
    }
    snapshot = write_snapshot(tmp_path / "data", facts, tables)  # type: ignore[arg-type]
    options = replace(TRAIN, model=replace(MODEL, hidden=32, code_every=2), epochs=40)
    train(Job(snapshot=str(snapshot), out=str(tmp_path / "run"), train=options))
    fitted = json.dumps({"vocabulary": list("abcdef")}).encode()
    bundle = replace(Bundle.read(tmp_path / "run/bundle"), fitted=fitted)
    found = predict_examples(bundle, tables["test"])
    texts = ["".join("abcdef"[code - 2] for code in row) for row in rows]
    same = [a == b for a, b in zip(found["prediction"].to_pylist(), texts, strict=True)]
    assert np.mean(same) > 0.8
    report = json.loads((tmp_path / "run/report.json").read_bytes())
    assert report["metrics"]["test"]["token_accuracy"] > 0.95
    assert report["baselines"]["test"]["majority"]["token_accuracy"] < 0.4


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_code_stands_for_each_block_of_steps(bidirectional: bool) -> None:
    """A record of 7 steps has codes for 3, 3 and 1 steps, whatever stands beside it."""
    torch.manual_seed(0)
    model = Autoencoder(replace(MODEL, bidirectional=bidirectional), VALUES).eval()
    batch = values_batch(7, 3, 1, 9)
    codes, counts = model.codes(batch)
    assert counts.tolist() == [3, 1, 1, 3] and codes.shape == (4, 3, 24)
    alone = TensorBatch(inputs=batch.inputs[:1, :7], lengths=torch.tensor([7]))
    torch.testing.assert_close(model.codes(alone)[0][0], codes[0], atol=1e-6, rtol=0)


def test_a_code_of_one_direction_knows_only_what_came_before() -> None:
    """Steps of later blocks must not reach a code, or blocks could not be told apart."""
    torch.manual_seed(0)
    model = Autoencoder(MODEL, VALUES).eval()
    batch = values_batch(9)
    changed = batch.inputs.clone()
    changed[:, 4] += 1
    before, after = (
        model.codes(replace_inputs(batch, inputs))[0] for inputs in (batch.inputs, changed)
    )
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_each_block_is_rebuilt_from_its_own_code_alone() -> None:
    """A decoder that sees another block's code rebuilds what the stored code does not hold."""
    torch.manual_seed(0)
    model = Autoencoder(MODEL, VALUES).eval()
    batch = values_batch(9)
    whole = model(batch)
    codes = model.codes(batch)[0]
    states = model.decoder(codes[0][:, None].expand(-1, 3, -1), torch.full((3,), 3))
    torch.testing.assert_close(model.head(states).flip(1).flatten(0, 1), whole[0])


def replace_inputs(batch: TensorBatch, inputs: torch.Tensor) -> TensorBatch:
    return TensorBatch(inputs=inputs, lengths=batch.lengths)


@pytest.mark.parametrize("config", [STRIDED, replace(STRIDED, code_every=None), MODEL])
def test_every_input_step_is_rebuilt_behind_a_strided_front(config: Model) -> None:
    """The front shortens what the encoder reads, never what is rebuilt."""
    model = Autoencoder(config, VALUES).eval()
    batch = values_batch(9, 4, 1)
    assert model(batch).shape == (3, 9, 2)
    every = config.code_every or 9
    wanted = [-(-length // every) for length in (9, 4, 1)]
    assert model.codes(batch)[1].tolist() == (wanted if config.code_every else [1, 1, 1])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(STRIDED, code_every=3), "multiple of the front's stride"),
        (replace(MODEL, code_every=4, front=Front(parallel=2)), "interleaved"),
    ],
)
def test_blocks_that_the_front_tears_apart_are_refused(config: Model, message: str) -> None:
    """A code of steps that are not neighbours is a code of nothing that a person can name."""
    with pytest.raises(JobError, match=message):
        Autoencoder(config, VALUES)
