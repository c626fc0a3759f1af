"""Which model of a dataset is current, and how a person changes that."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flows.commands.parts import bundle_at
from flows.pipeline_file import Pipeline
from flows.registry.bundles import find_bundle
from flows.registry.current import models, promote, roll_back
from flows.show import describe
from flows.show_print import print_models
from seqprep.errors import SeqprepError
from seqprep.registry import Registry
from tests.flows.stages import trained
from tests.flows.training.test_job import pipeline


def run_of(spec: Pipeline, store: Path, *, seed: int = 0) -> str:
    """Train with a seed; the name of the model's folder."""
    return trained(replace(spec, train=replace(spec.train, seed=seed)), store).name


@pytest.fixture
def spec(tmp_path: Path) -> Pipeline:
    return pipeline(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, spec: Pipeline) -> Path:
    return tmp_path / "store" / spec.dataset


def test_the_first_model_is_current_and_a_later_one_is_not_by_itself(
    spec: Pipeline, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worse model would answer from the moment it was trained."""
    store = folder.parent
    first = run_of(spec, store)
    second = run_of(spec, store, seed=1)
    told = models(folder)
    assert told["current"] == first and [one["run"] for one in told["models"]] == [first, second]
    assert f"`seqprep promote {folder.resolve()} {second}` replaces it" in capsys.readouterr().err
    newest = told["models"][-1]
    report = json.loads((folder / "models" / second / "report.json").read_bytes())
    assert newest["validation"] == report["metrics"]["validation"]
    assert newest["test"] == report["metrics"]["test"]
    assert newest["examples_version"] == newest["sequences_version"] == 0
    assert describe(folder)["datasets"][0]["current"] == first
    print_models(told)
    shown = capsys.readouterr().out
    assert first in shown and second in shown and "the first model of the dataset" in shown


def test_a_model_that_is_used_again_is_entered_once(spec: Pipeline, folder: Path) -> None:
    """A nightly run that finds nothing new would fill the table."""
    run_of(spec, folder.parent)
    before = Registry(folder).events()
    run_of(spec, folder.parent)
    assert Registry(folder).events() == before
    assert [one.event for one in before] == ["trained", "promoted"]


def test_models_of_folds_are_entered_and_none_becomes_current(spec: Pipeline, folder: Path) -> None:
    """Whichever fold was trained first would answer for the dataset."""
    folds = replace(spec, split=replace(spec.split, by="folds", count=3, train=None, test=None))
    run = run_of(folds, folder.parent)
    assert models(folder)["current"] is None
    with pytest.raises(SeqprepError, match=r"has no current model; `seqprep train` makes one"):
        find_bundle(f"{folder.name}@current", store=folder.parent)
    assert promote(folder, run)["current"] == run


def test_a_person_promotes_and_rolls_back(spec: Pipeline, folder: Path) -> None:
    """A model that turned out bad must be taken back by one command."""
    store, name = folder.parent, f"{folder.name}@current"
    first, second = run_of(spec, store), run_of(spec, store, seed=1)
    assert promote(folder, second)["current"] == second
    assert find_bundle(name, store=store) == folder / "models" / second / "bundle"
    with pytest.raises(SeqprepError, match=f"{second} is current already"):
        promote(folder, second)
    assert roll_back(folder)["current"] == first
    assert bundle_at(name, store) == folder / "models" / first / "bundle"
    with pytest.raises(SeqprepError, match=f"no model was current before {first}"):
        roll_back(folder)
    run_of(spec, store)  # once more: nothing becomes current that a person took back
    assert models(folder)["current"] == first
    assert [one["by"] for one in models(folder)["events"] if one["event"] != "trained"] == [
        "policy",
        "person",
        "person",
    ]


def test_a_current_model_that_is_gone_or_altered_is_named(spec: Pipeline, folder: Path) -> None:
    """Predictions would come from another model than the one that was chosen."""
    store, name = folder.parent, f"{folder.name}@current"
    run = run_of(spec, store)
    manifest = folder / "models" / run / "bundle" / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole + b" ")
    with pytest.raises(SeqprepError, match="not the bundle that was registered"):
        find_bundle(name, store=store)
    manifest.write_bytes(whole)
    assert find_bundle(name, store=store).name == "bundle"
    shutil.rmtree(folder / "models" / run)
    with pytest.raises(SeqprepError, match="the bundle is gone; train it again, or"):
        find_bundle(name, store=store)
    assert not models(folder)["models"][0]["there"]


def test_a_dataset_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A name typed wrong must not make a folder."""
    with pytest.raises(SeqprepError, match=r"reviews: no dataset here; `seqprep show STORE`"):
        find_bundle("reviews@current", store=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert bundle_at("some/bundle", tmp_path) == Path("some/bundle")
