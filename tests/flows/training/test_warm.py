"""What a warm start begins from is chosen once, and kept whatever becomes current since."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from flows.pipeline_file import Pipeline
from flows.registry.current import enter, models, promote
from flows.reporting.reports import training_table
from flows.training.job import write_job
from flows.training.warm import NAME
from models.job import WarmFrom, read_job
from models.manifest import bundle_digest
from models.train import train
from models.training.run import Stopped
from seqprep.errors import CorruptError
from seqprep.registry import Registry
from seqprep.upkeep.model_runs import model_runs
from seqprep.upkeep.removal import remove
from tests.flows.stages import ingest_and_prepare, trained
from tests.flows.training.test_due import add
from tests.flows.training.test_job import pipeline


@pytest.fixture
def spec(tmp_path: Path) -> Pipeline:
    found = pipeline(tmp_path)
    return replace(found, train=replace(found.train, warm_start=True))


def begun(run: Path) -> Any:
    return json.loads((run / "report.json").read_bytes())["train"]["begun_from"]


def chosen(spec: Pipeline, store: Path) -> WarmFrom:
    prepared = asdict(ingest_and_prepare(spec, store))
    found = read_job(write_job(spec, prepared, store=store)[0]).warm_from
    assert found is not None
    return found


def test_each_model_begins_from_the_current_one_and_is_found_again(
    spec: Pipeline, tmp_path: Path
) -> None:
    """Night after night a model would be trained on top of itself, with nothing new to learn."""
    first = trained(spec, tmp_path)
    assert begun(first)["told"] == "begins with fresh weights: tiny has no current model yet"
    assert trained(spec, tmp_path) == first
    add(tmp_path, 40, 50, "so on and number words")
    second = trained(spec, tmp_path)
    assert second != first and begun(second)["told"] == f"begins from the weights of {first.name}"
    assert begun(second)["sha256"] == bundle_digest(first / "bundle")
    report = json.loads((second / "report.json").read_bytes())
    assert f"| warm start | begins from the weights of {first.name} |" in training_table(report)
    events = Registry(tmp_path / spec.dataset).events()
    if models(tmp_path / spec.dataset)["current"] != second.name:
        promote(tmp_path / spec.dataset, second.name)
    assert trained(spec, tmp_path) == second
    assert len(Registry(tmp_path / spec.dataset).events()) - len(events) <= 1  # the promotion
    add(tmp_path, 50, 60, "number words and so on")
    third = trained(spec, tmp_path)
    assert begun(third)["run"] == second.name and begun(third)["taken"]
    assert read_job(third / "job.json").warm_from.versions == (1, 0)  # type: ignore[union-attr]


def test_a_stopped_training_goes_on_from_what_it_began_with(spec: Pipeline, tmp_path: Path) -> None:
    """Another model that became current meanwhile would make it begin anew."""
    first = trained(spec, tmp_path)
    add(tmp_path, 40, 50, "so on and number words")
    prepared = asdict(ingest_and_prepare(spec, tmp_path))
    long = replace(spec, train=replace(spec.train, updates=9))
    job, _ = write_job(long, prepared, store=tmp_path)
    asked = iter(range(9))
    with pytest.raises(Stopped):
        train(read_job(job), stopping=lambda: next(asked) == 3)
    other = replace(spec, train=replace(spec.train, seed=1, warm_start=False))
    promote(tmp_path / spec.dataset, trained(other, tmp_path).name)
    again, finished = write_job(long, prepared, store=tmp_path)
    assert again == job and not finished
    report = json.loads(train(read_job(again)).read_bytes())
    assert report["train"]["resumed"] == 1 and report["train"]["begun_from"]["run"] == first.name
    enter(long, job.parent, report, prepared=prepared)
    assert write_job(long, prepared, store=tmp_path) == (job, True)


def test_what_does_not_fit_begins_fresh_and_says_why(spec: Pipeline, tmp_path: Path) -> None:
    """A nightly run would fail after a refit, or learn from rows that test now."""
    first = trained(spec, tmp_path)
    add(tmp_path, 40, 50, "of another language")
    ingest_and_prepare(spec, tmp_path)
    prepared = asdict(ingest_and_prepare(spec, tmp_path, refit=True))
    job, _ = write_job(spec, prepared, store=tmp_path)
    train(read_job(job))
    assert f"{first.name} does not fit: its vocabulary" in begun(job.parent)["told"]
    other = replace(spec, prepare=replace(spec.prepare, recipe="other"))
    assert chosen(other, tmp_path).why == (
        f"the current model {first.name} is of recipe default, not other"
    )
    short = replace(spec, prepare=replace(spec.prepare, steps=({"truncate": {"length": 3}},)))
    assert "trained on version 0 of the examples, which was made with other options" in (
        chosen(short, tmp_path).why
    )
    (first / "bundle/manifest.json").write_bytes(b"{}")
    hasty = replace(spec, train=replace(spec.train, updates=3))
    found = chosen(hasty, tmp_path)
    assert found.bundle is None and "not the bundle that was registered" in found.why


def test_a_choice_that_was_altered_is_named(spec: Pipeline, tmp_path: Path) -> None:
    """A run would go on from weights that it never began with."""
    trained(spec, tmp_path)
    (path,) = tmp_path.rglob(NAME)
    for content in (b"{", b'{"bundle": "x"}'):
        path.write_bytes(content)
        with pytest.raises(CorruptError, match=rf"{NAME}: .*; delete .* to train from the start"):
            chosen(spec, tmp_path)


def test_a_withdrawn_record_is_found_in_models_that_began_from_its_models(
    spec: Pipeline, tmp_path: Path
) -> None:
    """Weights that learnt from a withdrawn record would live on in their successors."""
    first = trained(spec, tmp_path)
    ids = (tmp_path / "in").rglob("*.txt")
    train_ids = {path.relative_to(tmp_path / "in").as_posix() + "#0" for path in ids}
    folder = tmp_path / spec.dataset
    gone = next(id_ for id_ in sorted(train_ids) if _trains(folder, id_))
    remove(folder, ids=[gone], apply=True)
    second = trained(spec, tmp_path)
    assert begun(second)["taken"]
    runs = {run.path.name: run for run in model_runs(folder)}
    assert runs[second.name].versions == (1, 0)
    found = remove(folder, ids=[gone], erase=True, models=True)
    assert {one.name for one in found.models} == {first.name, second.name}


def _trains(folder: Path, id_: str) -> bool:
    return any(one.records.get("train") for one in remove(folder, ids=[id_]).models)
