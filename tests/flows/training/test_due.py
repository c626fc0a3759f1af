"""A training is due where the examples are newer than the newest model's and the policy says so."""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from flows.pipeline_file import Pipeline, build, to_json
from flows.registry.current import models
from flows.train import follow_or_join, train_model
from flows.training.due import Due, decide, find_standing, is_asked, standing
from flows.training.job import find_prepared
from models.options.retrain import Retrain
from models.training.lock import exclusive
from seqprep.errors import ConfigError
from seqprep.prepare import Prepared
from seqprep.registry import Registry
from seqprep.table import Table
from tests.flows.stages import ingest_and_prepare, trained
from tests.flows.training.test_job import pipeline


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pipeline, Path]:
    """A store with a model of forty documents, to which ten of the same kind were added since."""
    folder = tmp_path_factory.mktemp("grown")
    spec = pipeline(folder)
    run = trained(spec, folder)
    add(folder, 40, 50, "so on and number words")
    ingest_and_prepare(spec, folder)
    return folder, spec, run


def add(folder: Path, start: int, stop: int, words: str) -> None:
    for number in range(start, stop):
        label = ("warm", "cold")[number % 2]
        text = f"{label} {words} {number - start}"
        (folder / "in" / label / f"{number}.txt").write_text(text)


def with_policy(spec: Pipeline, **policy: Any) -> Pipeline:
    return replace(spec, train=replace(spec.train, retrain=Retrain(**policy)))


def due(spec: Pipeline, store: Path, prepared: Prepared | None = None) -> Due:
    found = prepared or find_prepared(spec, store=store)
    return decide(spec, asdict(found), store=store)


def test_a_recipe_is_trained_once_for_each_version(tmp_path: Path) -> None:
    """A nightly run would train the same data again, or new data never."""
    spec = pipeline(tmp_path)
    done = ingest_and_prepare(spec, tmp_path)
    assert due(spec, tmp_path, done) == Due(trains=True, why="recipe default has no model yet")
    run = trained(spec, tmp_path)
    found = due(spec, tmp_path)
    assert not found.trains and found.model == run.name
    assert found.why == (f"model {run.name} of examples version 0 is the newest, nothing to train")
    told = find_standing(spec, store=tmp_path)
    assert told == standing(spec, found, store=tmp_path)
    assert told is not None and not told["trained"] and told["current"] == run.name
    assert told["bundle"] == str(run / "bundle") and Path(told["report"]).name == "report.md"
    assert told["metrics"] == json.loads((run / "report.json").read_bytes())["metrics"]
    other = replace(spec, prepare=replace(spec.prepare, recipe="other"))
    assert due(other, tmp_path, ingest_and_prepare(other, tmp_path)).trains
    shutil.rmtree(run)
    assert due(spec, tmp_path).why == "recipe default has no model yet"


def test_new_rows_train_at_once_or_when_they_are_enough(
    grown: tuple[Path, Pipeline, Path],
) -> None:
    """A handful of new rows would cost a training, or many would never get one."""
    store, spec, run = grown
    examples = Table(store / spec.dataset / "examples-default")
    then, now = (examples.info(number).counts["records"]["train"] for number in (0, 1))
    share = (now - then) / then
    assert 0.1 < share < 0.5
    always = due(spec, store)
    assert always.trains and always.why == (
        f"examples version 1 is new since version 0, of {run.name}"
    )
    enough = due(with_policy(spec, when="new_rows", share=share - 0.01), store)
    assert enough.trains and f"{share:.1%} of training records are new" in enough.why
    assert due(with_policy(spec, when="new_rows", share=share), store).trains, "at n %, not above"
    few = due(with_policy(spec, when="new_rows", share=share + 0.01), store)
    assert not few.trains and few.model == run.name and "nothing to train" in few.why


@pytest.mark.parametrize("when", ["drift", "refit"])
def test_without_drift_nothing_is_trained(when: str, grown: tuple[Path, Pipeline, Path]) -> None:
    """Data of the same kind would be trained on every night."""
    store, spec, run = grown
    found = due(with_policy(spec, when=when), store)
    assert not found.trains and found.model == run.name
    assert "no drift beyond the limits of prepare.drift since version 0" in found.why


def test_drift_trains_and_a_refit_only_where_the_policy_says_so(tmp_path: Path) -> None:
    """A model of yesterday's words would stay, or one be fitted anew unasked."""
    spec = pipeline(tmp_path)
    trained(spec, tmp_path)
    add(tmp_path, 40, 80, "entirely other language of tomorrow")
    assert ingest_and_prepare(spec, tmp_path).refit_advised is not None
    drift, refit = (due(with_policy(spec, when=when), tmp_path) for when in ("drift", "refit"))
    assert (drift.trains, drift.refit, refit.trains, refit.refit) == (True, False, True, True)
    assert "training tokens were never seen" in drift.why
    # Fitted anew, and then killed: the drift is gone, and the model still missing.
    done = ingest_and_prepare(spec, tmp_path, refit=True)
    assert done.refit_advised is None
    for when in ("drift", "refit", "new_rows"):
        found = due(with_policy(spec, when=when), tmp_path, done)
        assert (found.trains, found.refit) == (True, False)
        assert "was fitted anew since version 0" in found.why


def test_what_would_be_ignored_is_refused(tmp_path: Path) -> None:
    """A policy that nothing reads would train every night, or never."""
    spec = pipeline(tmp_path)
    assert not is_asked(spec, False) and is_asked(spec, True)
    assert is_asked(build({**to_json(spec), "train": {"if_newer": True}}), False)
    policy = with_policy(spec, when="drift")
    with pytest.raises(ConfigError, match=r"\{when: drift\} would be ignored.*`--if-newer`"):
        is_asked(policy, False)
    assert is_asked(policy, True)
    with pytest.raises(ConfigError, match="no meaning with folds 'all'"):
        is_asked(spec, True, folds="all")


def test_a_run_waits_for_another_that_trains_the_same_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two schedules that fire at once one would fail, or train beside the other."""
    spec = pipeline(tmp_path)
    finished = trained(spec, tmp_path)
    job = tmp_path / "run" / "job.json"
    job.parent.mkdir()
    thread = threading.Thread(target=follow_or_join, args=(job, lambda *_: None))
    with exclusive(job.parent):
        thread.start()
        thread.join(timeout=0.2)
        assert thread.is_alive()
        shutil.copy(finished / "report.json", job.parent)
        shutil.copytree(finished / "bundle", job.parent / "bundle")
    thread.join()
    assert "another process trains this model; waiting for it" in capsys.readouterr().err
    assert not (job.parent / "train.log").exists()


@pytest.mark.slow
def test_two_trainings_at_once_give_one_model(tmp_path: Path) -> None:
    """An event that fires twice would fail one of two runs, or enter a model twice."""
    spec = pipeline(tmp_path)
    prepared = asdict(ingest_and_prepare(spec, tmp_path))
    done: list[Any] = []

    def run() -> None:
        done.append(train_model.fn(to_json(spec), store=str(tmp_path), prepared=prepared))

    with disable_run_logger():
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(done) == 2 and done[0]["bundle"] == done[1]["bundle"]
    assert {one["current"] for one in done} == {Path(done[0]["bundle"]).parent.name}
    assert [one.event for one in Registry(tmp_path / spec.dataset).events()] == [
        "trained",
        "promoted",
    ]
    assert len(models(tmp_path / spec.dataset)["models"]) == 1
    assert not due(spec, tmp_path).trains
