"""What data/reference.yaml says of options that are refused is what happens."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest

from flows.pipeline_file import build
from seqprep.errors import ConfigError
from seqprep.schema import Task
from tests.conftest import ROOT

REFERENCE = ROOT / "data" / "reference.yaml"
TEXT = REFERENCE.read_text(encoding="utf-8")
MODELS = {"translate": "encoder_decoder", "next": "next_symbol", "reconstruct": "autoencoder"}
TARGETS = {
    "text": {"from": "file", "suffix": ".summary"},
    "dna": {"from": "codons"},
    "eeg": {"from": "column", "column": "y"},
}


def loads(domain: str, task: str, **tokens: Any) -> bool:
    """Whether a domain takes a task, with a model that learns it."""
    source: dict[str, Any] = {"domain": domain, "task": task}
    if domain != "prices":
        source["path"] = "x"
        if task in ("translate", "label_steps", "regress_steps"):
            source["target"] = TARGETS[domain]
    model = {"name": MODELS.get(task, "lstm"), "bidirectional": task != "next"}
    body: dict[str, Any] = {"dataset": "a", "source": source, "train": {"model": model}}
    if tokens:
        body["prepare"] = {"tokens": tokens}
    try:
        return build(body).source.task == task
    except ConfigError:
        return False


def test_the_tasks_of_each_domain_are_those_of_the_reference() -> None:
    """A task that is said to be missing is never tried; one that is not there costs a search."""
    said = " ".join(re.findall(r"^ +# (text and dna: not .*|only with .*)$", TEXT, re.MULTILINE))
    assert said == (
        "text and dna: not label_steps, regress_steps; eeg: not translate, and next "
        "only with tokens: {unit: symbol}; prices: regress_steps alone"
    )
    tasks = set(get_args(Task))
    by_step = {"label_steps", "regress_steps"}
    wanted = {
        "text": tasks - by_step,
        "dna": tasks - by_step,
        "eeg": tasks - {"translate", "next"},
        "prices": {"regress_steps"},
    }
    for domain, known in wanted.items():
        assert {task for task in tasks if loads(domain, task)} == known, domain
    assert loads("eeg", "next", unit="symbol")


@pytest.mark.parametrize("front", [{"parallel": 3}, {"conv": [{"stride": 4}]}])
def test_a_front_that_merges_steps_is_refused_for_tasks_of_steps(front: dict[str, Any]) -> None:
    """Both ways of merging steps have one rule, and one advice that leads out."""
    body = {
        "dataset": "a",
        "source": {"domain": "prices"},
        "train": {"model": {"front": front}},
    }
    with pytest.raises(ConfigError, match="set parallel and every stride to 1"):
        build(body)
