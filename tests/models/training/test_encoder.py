"""A classifier that starts from the front and core of an autoencoder or a next-symbol model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from models.architectures import build
from models.bundle import Bundle
from models.job import Job
from models.options.model import Conv, Front, Model
from models.options.training import Train
from models.shape import Shape
from models.train import identify, train
from models.training.encoder import start_from
from seqprep.errors import SeqprepError
from seqprep.schema import Task, num_reserved
from seqprep.snapshot import Facts, Snapshot
from tests.synthetic import VOCAB, facts_of_task, task_snapshot

LETTERS = ["A", "C", "G", "T"]
ENCODER = Model(
    name="next_symbol", hidden=6, embedding=4, layers=2, bidirectional=False, dropout=0.0
)
CLASSIFIER = replace(ENCODER, name="lstm", pooling=("mean",))


def fitted_of(**changes: Any) -> bytes:
    state = {"vocabulary": LETTERS, "outputs": [], "scaler": None, "labels": ["no", "yes"]}
    return json.dumps({**state, **changes}).encode()


def facts_of(task: Task) -> Facts:
    data = {"tokens": [[4, 5]], "label": [0]}
    return facts_of_task(task, data, vocab_size=len(LETTERS) + num_reserved(task))


def encoder_at(folder: Path, config: Model = ENCODER, task: Task = "next") -> Path:
    """A bundle of a model without training, in which every number differs."""
    torch.manual_seed(1)
    facts = facts_of(task)
    model = build(config, Shape.of(facts)).eval()
    pipeline = {"dataset": "synthetic"}
    fitted = fitted_of(labels=[])
    Bundle(model=model, config=config, facts=facts, fitted=fitted, pipeline=pipeline).write(folder)
    return folder


def classifier(config: Model = CLASSIFIER) -> nn.Module:
    torch.manual_seed(2)
    return build(config, Shape.of(facts_of("classify")))


def start(folder: Path, model: nn.Module, config: Model = CLASSIFIER, **changes: Any) -> None:
    fitted = fitted_of(**changes)
    start_from(folder, model, config=config, facts=facts_of("classify"), fitted=fitted)


@pytest.mark.parametrize("way", ["embedding", "one_hot"])
def test_front_and_core_are_taken_and_tokens_keep_their_meaning(way: Any, tmp_path: Path) -> None:
    """The ids of a next-symbol model lie two higher: copied as they are, A would read as BOS."""
    config = replace(CLASSIFIER, input=way)
    folder = encoder_at(tmp_path / "bundle", replace(ENCODER, input=way))
    model, encoder = classifier(config), Bundle.read(folder).model
    head = {k: v.clone() for k, v in model.state_dict().items() if k.startswith("head")}
    start(folder, model, config)
    read = torch.tensor([[4, 7, 5, 6, 1]])
    lengths = torch.tensor([5])
    wanted, _ = encoder.read(read, lengths, encoder.begin(1))  # type: ignore[operator]
    shifted = torch.where(read >= 4, read - 2, read)
    found, _ = model.eval().read(shifted, lengths, model.begin(1))  # type: ignore[operator]
    torch.testing.assert_close(found, wanted)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in head.items())


def test_an_autoencoder_gives_its_core_too(tmp_path: Path) -> None:
    """Both directions and a strided front must come along, whatever the head is."""
    front = Front(conv=Conv(channels=5, kernel=3, stride=2))
    config = replace(ENCODER, name="autoencoder", bidirectional=True, front=front)
    folder = encoder_at(tmp_path / "bundle", config, "reconstruct")
    model = classifier(replace(config, name="lstm"))
    start(folder, model, replace(config, name="lstm"))
    own, given = model.state_dict(), Bundle.read(folder).model.state_dict()
    names = [name for name in own if name.startswith(("front.", "core."))]
    assert len(names) == 3 + 2 * 2 * 4
    assert all(torch.equal(own[name], given[name]) for name in names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": 7}, "model.hidden: 6, this model 7"),
        ({"layers": 1}, "model.layers: 2, this model 1"),
        ({"bidirectional": True}, "model.bidirectional: False"),
        ({"embedding": 5}, "model.embedding: 4"),
        ({"input": "one_hot"}, "model.input: embedding"),
        ({"name": "min_lstm"}, "same to start from"),
        ({"front": Front(conv=Conv(channels=4, stride=1))}, "model.front"),
    ],
)
def test_another_front_or_core_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """Weights taken where they happen to fit would start a model that is neither."""
    config = replace(CLASSIFIER, **changes)
    folder = encoder_at(tmp_path / "bundle")
    with pytest.raises(SeqprepError, match=message):
        start(folder, classifier(config), config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocabulary": ["C", "A", "G", "T"]}, "vocabulary"),
        ({"scaler": {"mean": [0.0], "std": [2.0]}}, "scaler"),
    ],
)
def test_another_vocabulary_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    """An embedding of other tokens is noise that looks like a start."""
    folder = encoder_at(tmp_path / "bundle")
    with pytest.raises(SeqprepError, match=f"other inputs: its {message}"):
        start(folder, classifier(), **changes)


def test_labels_may_differ(tmp_path: Path) -> None:
    """Fitted state holds labels, too, which an encoder never had."""
    start(encoder_at(tmp_path / "bundle"), classifier(), labels=["other"])


def test_training_starts_there_and_is_told_apart_by_the_bundle(tmp_path: Path) -> None:
    """A run reused although its encoder was trained anew would report the old scores."""
    snapshot = task_snapshot(tmp_path / "data", "classify", rows=20)
    facts = Snapshot.read(snapshot).facts
    folder = tmp_path / "bundle"
    config = replace(ENCODER, name="autoencoder")
    reconstruct = replace(facts, task="reconstruct", labels=())
    model = build(config, Shape.of(reconstruct)).eval()
    Bundle(model=model, config=config, facts=reconstruct).write(folder)
    options = Train(
        model=replace(CLASSIFIER, dropout=0.0), epochs=1, threads=1, device="cpu",
        encoder_from=str(folder),
    )  # fmt: skip
    job = Job(snapshot=str(snapshot), out=str(tmp_path / "run"), train=options)
    still = replace(options, optimizer=replace(options.optimizer, lr=1e-12, weight_decay=0.0))
    train(replace(job, train=still))
    found = Bundle.read(tmp_path / "run/bundle").model.state_dict()
    assert facts.vocab_size == VOCAB
    for name, tensor in model.state_dict().items():
        if name.startswith(("front.", "core.")):
            torch.testing.assert_close(found[name], tensor)
    first = identify(job, Snapshot.read(snapshot))
    with torch.no_grad():
        model.head.layers[-1].bias.add_(1.0)  # type: ignore[union-attr, index, operator]
    Bundle(model=model, config=config, facts=reconstruct).write(folder)
    assert identify(job, Snapshot.read(snapshot)) != first
