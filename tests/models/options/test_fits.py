"""An option that would be ignored is refused, whatever the task."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from models import train
from models.job import Job, from_json
from models.options.checks import JobError
from models.options.fits import MEANING, SELECTABLE, check_fits
from models.options.model import Conv, Front, Model
from models.options.model_fits import TASKS
from models.options.training import Backpropagation, Optimizer, Train
from tests.synthetic import task_snapshot


def check(options: Train, task: str = "classify", **changes: Any) -> None:
    check_fits(options, task=task, **{"kind": "tokens", "has_validation": True, **changes})


def of_model(**options: Any) -> Train:
    return Train(model=Model(**options))


@pytest.mark.parametrize(
    ("options", "facts", "message"),
    [
        (of_model(input="one_hot"), {"kind": "values"}, "input.*needs tokens"),
        (of_model(embedding=8), {"kind": "values"}, "embedding: 8 would be ignored"),
        (of_model(embedding=8, input="one_hot"), {}, "embedding"),
        (of_model(beam=4), {}, "beam.*encoder_decoder; leave it at 1"),
        (of_model(attention=False), {}, "attention"),
        (of_model(max_target=2.0), {}, "max_target"),
        (of_model(teacher_forcing=(1.0, 0.0)), {}, "teacher_forcing"),
        (of_model(pooling="last"), {"task": "label_steps"}, "pooling"),
        (of_model(pooling="last", name="encoder_decoder"), {"task": "translate"}, "pooling"),
        (of_model(noise=0.1, name="encoder_decoder"), {"task": "translate"}, "noise"),
        (Train(optimizer=Optimizer(momentum=0.9)), {}, "momentum.*sgd or rmsprop"),
        (Train(class_weights="balanced"), {"task": "regress"}, "class_weights"),
        (Train(label_smoothing=0.1), {"task": "regress_steps"}, "label_smoothing"),
        (Train(early_stopping=3), {"has_validation": False}, "early_stopping.*validation rows"),
        (Train(select_by="accuracy"), {"has_validation": False}, "select_by.*validation rows"),
        (Train(select_by="accuracy"), {"task": "regress"}, "choose from loss, rmse"),
        (Train(select_by="last", early_stopping=3), {}, "early_stopping.*not select_by: last"),
        (of_model(front=Front(parallel=3)), {"task": "label_steps"}, "one of 3 steps"),
        (of_model(front=Front(conv=(Conv(),))), {"task": "regress_steps"}, "one of 4 steps"),
        (of_model(name="min_lstm", execution="packed"), {}, "execution.*runs in one form"),
        (
            of_model(name="chunks", bidirectional=False, execution="packed"),
            {},
            "execution: 'packed' would be ignored.*with chunks, an overlap",
        ),
        (of_model(front=Front(layout="interleaved")), {}, r"front\.layout.*parallel >= 2"),
        (of_model(name="hierarchical", chunk=1), {}, "chunk: 1.*without a gradient.*chunk >= 2"),
        (
            of_model(name="autoencoder", code_every=1),
            {"task": "reconstruct"},
            "code_every: 1.*without a gradient.*code_every >= 2, or none",
        ),
        (
            Train(model=Model(execution="packed"), backpropagation=Backpropagation(mode="exact")),
            {},
            "execution.*dense form only",
        ),
        (
            Train(
                model=Model(bidirectional=False),
                backpropagation=Backpropagation(mode="segments", k1=9, label_each=True),
            ),
            {"task": "label_steps"},
            "label_each.*every step has a target",
        ),
        (of_model(name="chunks"), {}, "chunks without overlap.*bidirectional: false"),
        (of_model(name="split", second_backwards=True), {}, "second_backwards.*both ways"),
        (of_model(name="hierarchical"), {"task": "label_steps"}, "choose lstm or min_lstm"),
        (Train(), {"task": "next"}, "lstm does not learn task 'next'.*choose next_symbol"),
    ],
)
def test_options_without_a_meaning_are_refused(
    options: Train, facts: dict[str, Any], message: str
) -> None:
    """A person who sets a key believes that it does something."""
    with pytest.raises(JobError, match=message):
        check(options, **facts)


def test_options_with_a_meaning_pass() -> None:
    """A rule that is too strict would forbid what works."""
    for task in SELECTABLE:
        name = next(name for name, tasks in TASKS.items() if task in tasks)
        check(of_model(name=name, bidirectional=name != "next_symbol"), task)
    decoder = {"beam": 3, "attention": False, "max_target": 2.0, "embedding": 8}
    check(of_model(name="encoder_decoder", **decoder), "translate", kind="values")
    check(of_model(input="one_hot", pooling="last", noise=0.1))
    check(of_model(front=Front(layout="interleaved", parallel=2)))
    check(of_model(name="chunks", overlap=10, execution="packed"))
    check(of_model(name="chunks", chunk=1, bidirectional=False))
    check(of_model(name="hierarchical", chunk=2))
    check(of_model(name="autoencoder", code_every=2), "reconstruct")
    check(Train(optimizer=Optimizer(name="sgd", momentum=0.9), label_smoothing=0.1))
    check(Train(class_weights="balanced", early_stopping=3, select_by="macro_f1"), "label_steps")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Optimizer(lr=float("inf")), r"optimizer\.lr must be a finite number, got inf"),
        (lambda: Optimizer(weight_decay=float("nan")), "weight_decay must be a finite"),
        (lambda: Optimizer(momentum=-0.1), r"momentum must be in \[0, 1\)"),
        (lambda: Model(noise=float("inf")), r"model\.noise must be a finite"),
        (lambda: Train(checkpoint_minutes=float("inf")), "checkpoint_minutes must be a finite"),
    ],
)
def test_numbers_must_be_finite(make: Any, message: str) -> None:
    """An infinite rate makes every weight NaN at the first step."""
    with pytest.raises(JobError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Train(batch_tokens=2**31), r"train\.batch_tokens must be below 2\*\*31"),
        (lambda: Model(chunk=10**12), r"model\.chunk must be below"),
        (lambda: Model(code_every=10**12), r"model\.code_every must be below"),
        (lambda: Model(head=(2**31,)), r"model\.head must be below"),
        (lambda: Model(head=(1,) * 5000), r"model\.head must be at most 4,096 entries, got 5000"),
        (lambda: Front(parallel=2**31), r"model\.front\.parallel must be below"),
        (lambda: Conv(kernel=2**31), r"model\.front\.conv\.kernel must be below"),
        (lambda: Backpropagation(mode="last_k", k=2**31), r"backpropagation\.k must be below"),
        (lambda: Train(seed=2**63), r"train\.seed must be a number of 64 bits"),
    ],
)
def test_what_no_bundle_could_hold_is_refused_before_training(make: Any, message: str) -> None:
    """It once trained for hours, was shipped, and could never be read again."""
    with pytest.raises(JobError, match=message):
        make()
    assert Train(seed=2**63 - 1, memory=2**40, batch_tokens=2**31 - 1).memory_bytes == 2**40


@pytest.mark.parametrize(
    ("key", "value", "bound"),
    [
        ("beam", 10**9, 100),
        ("continuation", 10**9, 100_000),
        ("max_target", 1e300, 1000),
    ],
)
def test_what_prediction_searches_and_draws_is_bounded(key: str, value: float, bound: int) -> None:
    """A file from elsewhere, or a key too many, must not make an answer that never ends."""
    for wrong in (value, bound + 1):
        with pytest.raises(JobError, match=rf"train\.model\.{key} must be .*{bound}.*, got"):
            Model(**{key: wrong})
    assert getattr(Model(**{key: bound}), key) == bound


ALWAYS = {
    "model": {
        *("name", "hidden", "layers", "bidirectional", "head", "dropout", "input_dropout", "front")
    },
    "model.front": {"parallel", "conv"},
    "model.front.conv": {"channels", "kernel", "stride", "activation"},
}
"""What every model reads, whatever else is asked for."""


@pytest.mark.parametrize(
    ("part", "options"), [("model", Model), ("model.front", Front), ("model.front.conv", Conv)]
)
def test_every_option_is_either_judged_or_always_read(part: str, options: type) -> None:
    """One that is neither would be ignored without a word, as the layout of one part once was."""
    judged = {key.rpartition(".")[2] for key in MEANING if key.rpartition(".")[0] == part}
    assert not judged & ALWAYS[part]
    assert judged | ALWAYS[part] == {item.name for item in fields(options)}


def test_the_trainer_refuses_before_it_starts(tmp_path: Path) -> None:
    """A job file need not come from a checked pipeline."""
    path = task_snapshot(tmp_path / "data", "classify", rows=9)
    options = replace(of_model(beam=2), threads=1, device="cpu")
    with pytest.raises(JobError, match="beam"):
        train.train(Job(snapshot=str(path), out=str(tmp_path / "out"), train=options))


def test_examples_of_models_in_the_readme_are_accepted() -> None:
    """A line that is copied from the table must train, and every model must stand in it."""
    text = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^\| `(\w+)` \|.*\| `(\{name: .*\})` \|$", text, re.MULTILINE)
    assert {name for name, _ in examples} == set(TASKS)
    for name, line in examples:
        options = yaml.safe_load(line)
        assert options["name"] == name
        task = TASKS[name][0]
        check(Train(model=from_json(Model, options, key="train.model")), task)


def test_examples_of_training_in_the_readme_are_accepted() -> None:
    """A line that is copied from the table must train, and every mode must stand in it."""
    text = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^\| `(\w+)` \|.*\| `(\{mode: .*\})` \|$", text, re.MULTILINE)
    assert {name for name, _ in examples} == {"full", "exact", "last_k", "segments"}
    for name, line in examples:
        options = yaml.safe_load(line)
        assert options["mode"] == name
        way = from_json(Backpropagation, options, key="train.backpropagation")
        check(Train(model=Model(bidirectional=False), backpropagation=way))
