"""A new model becomes current only where it answers the same validation rows better."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.pipeline_file import Pipeline, build, to_json
from flows.registry.challenger import Verdict, challenge
from flows.registry.current import models
from seqprep.registry import Registry
from tests.flows.stages import trained


def letters(folder: Path, *, rows: int = 240, **train_options: Any) -> Pipeline:
    """Documents whose class is told by one word that stands anywhere in them."""
    rng = np.random.default_rng(0)
    for number in range(rows):
        label = ("warm", "cold")[number % 2]
        words = [*rng.choice(["a", "b", "c", "d"], 12), label]
        path = folder / "in" / label / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(rng.permutation(words)))
    options = {"model": {"hidden": 8, "embedding": 8}, "threads": 1, "device": "cpu"}
    return build(
        {
            "dataset": "letters",
            "source": {"domain": "text", "path": str(folder / "in")},
            "split": {"by": "hash", "train": 0.6, "validation": 0.3, "test": 0.1},
            "train": {**options, **train_options},
        }
    )


BAD = {"updates": 1}
GOOD = {"epochs": 25, "optimizer": {"lr": 0.02}, "max_rows": 16}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("challenger")


@pytest.fixture(scope="module")
def rivals(store: Path) -> tuple[Path, Path, Pipeline]:
    """A model of one update, then a good one, fitted on words and on other words."""
    bad = trained(letters(store, **BAD), store)
    spec = letters(store, **GOOD)
    spec = replace(spec, prepare=replace(spec.prepare, recipe="other", buckets=2))
    return bad, trained(spec, store), spec


def test_a_better_model_becomes_current_and_says_why(
    store: Path, rivals: tuple[Path, Path, Pipeline]
) -> None:
    """Retraining would be for nothing, or nobody would know why the answers changed."""
    bad, good, _ = rivals
    told = models(store / "letters")
    assert told["current"] == good.name
    kinds = [(one["event"], one["run"], one["by"]) for one in told["events"]]
    assert kinds == [
        ("trained", bad.name, "policy"),
        ("promoted", bad.name, "policy"),
        ("trained", good.name, "policy"),
        ("promoted", good.name, "policy"),
    ]
    why = told["events"][-1]["why"]
    assert why.startswith("accuracy 1, ") and f"{bad.name} 0." in why and "better by +" in why
    assert told["events"][-2]["why"] == why


def test_a_better_model_is_entered_and_current_at_once(
    store: Path, rivals: tuple[Path, Path, Pipeline]
) -> None:
    """A run killed between the two would leave a better model that its successor calls known."""
    _, good, _ = rivals
    registry = Registry(store / "letters")
    last = registry.table.version()
    assert last is not None
    for version in range(last + 1):
        kinds = [one.event for one in registry.events(version) if one.run == good.name]
        assert kinds in ([], ["trained", "promoted"])


def test_a_worse_model_is_entered_and_stays_behind(
    store: Path, rivals: tuple[Path, Path, Pipeline], capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad night would replace the model that answers."""
    _, good, spec = rivals
    worse = trained(replace(spec, train=replace(letters(store, **BAD).train, seed=4)), store)
    told = models(store / "letters")
    assert told["current"] == good.name and told["models"][-1]["run"] == worse.name
    assert told["events"][-1]["event"] == "trained"
    assert "better by -" in told["events"][-1]["why"]
    said = capsys.readouterr().err
    assert f"{good.name} stays current; `seqprep promote" in said and worse.name in said


def test_both_models_answer_the_same_records_as_prediction_does(
    store: Path, rivals: tuple[Path, Path, Pipeline]
) -> None:
    """Scores of other rows, or of a preparation that is not the model's own, would be compared."""
    bad, good, spec = rivals
    registry = Registry(store / "letters")
    events = {one.run: one for one in registry.events() if one.event == "trained"}
    found = challenge(spec, good, events[good.name], events[bad.name], bad / "bundle")
    assert isinstance(found, Verdict)
    validation = {
        run: json.loads((run / "report.json").read_bytes())["metrics"]["validation"]
        for run in (bad, good)
    }
    assert found.records == validation[good]["records"] == validation[bad]["records"]
    assert found.new == pytest.approx(validation[good]["accuracy"])
    assert found.present == pytest.approx(validation[bad]["accuracy"])
    assert found.low < found.new - found.present < found.high
    same = challenge(spec, good, events[good.name], events[good.name], good / "bundle")
    assert isinstance(same, Verdict)
    assert same.low == same.high == 0 and not same.is_better  # equal is not better


def test_a_difference_within_chance_is_not_better(
    store: Path, rivals: tuple[Path, Path, Pipeline]
) -> None:
    """One record more that is right would change the model every night."""
    bad, _, spec = rivals
    event = next(o for o in Registry(store / "letters").events() if o.run == bad.name)
    table = pq.read_table(bad / "predictions-validation.parquet")
    truth, said = table["truth"].to_pylist(), table["prediction"].to_pylist()
    wrong = [place for place, one in enumerate(truth) if said[place] != one]
    run = store / "letters" / "models" / "made"
    run.mkdir()
    for mended, better in ((1, False), (len(wrong) // 2, True)):
        answers = list(said)
        for place in wrong[:mended]:
            answers[place] = truth[place]
        body = table.set_column(1, "prediction", pa.array(answers))
        pq.write_table(body, run / "predictions-validation.parquet")
        found = challenge(spec, run, event, event, bad / "bundle")
        assert isinstance(found, Verdict) and found.is_better == better
        assert found.new - found.present == pytest.approx(mended / len(truth))


def test_what_cannot_be_compared_is_said(store: Path, rivals: tuple[Path, Path, Pipeline]) -> None:
    """Rows that the current model was trained on would make it look better than it is."""
    _, good, spec = rivals
    event = {o.run: o for o in Registry(store / "letters").events() if o.event == "trained"}
    mine = event[good.name]
    other = replace(spec, split=replace(spec.split, seed=7))
    found = challenge(other, good, mine, mine, good / "bundle")
    assert found == f"{good.name} was trained with other options of split"
    source = {"domain": "text", "path": ".", "task": "next"}
    model = {"name": "next_symbol", "bidirectional": False}
    symbols = build({"dataset": "letters", "source": source, "train": {"model": model}})
    assert challenge(symbols, good, mine, mine, good / "bundle") == (
        "models of task next are not compared by themselves"
    )
    empty = store / "letters" / "models" / "empty"
    assert challenge(spec, empty, mine, mine, good / "bundle") == (
        "there are no validation records"
    )


def test_a_current_model_that_is_gone_keeps_nothing_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A training of hours would end in an error because an old folder was deleted."""
    first = trained(letters(tmp_path, rows=40, **BAD), tmp_path)
    shutil.rmtree(first)
    spec = letters(tmp_path, rows=40, updates=1, seed=1)
    trained(spec, tmp_path)
    assert f"not compared with {first.name}: " in capsys.readouterr().err
    assert models(tmp_path / "letters")["current"] == first.name


def test_numbers_are_compared_by_their_squared_errors(tmp_path: Path) -> None:
    """A model of numbers has no share of right answers."""
    spec = letters(tmp_path, rows=40, **BAD)
    for path in sorted((tmp_path / "in").rglob("*.txt")):
        number = len(path.read_text()) % 7
        path.rename(path.with_name(f"{path.stem}-{number}.txt"))
    label = {"from": "file", "pattern": "-(\\d)"}
    body = to_json(spec)
    body["source"] |= {"task": "regress", "label": label}
    spec = build(body)
    first = trained(spec, tmp_path)
    again = trained(replace(spec, train=replace(spec.train, seed=1)), tmp_path)
    why = models(tmp_path / "letters")["events"][2]["why"]
    assert why.startswith("mean squared error ") and first.name in why
    scores = {
        run: json.loads((run / "report.json").read_bytes())["metrics"]["validation"]["rmse"]
        for run in (first, again)
    }
    assert f"mean squared error {scores[again] ** 2:.4g}, {first.name} " in why
    assert f"{first.name} {scores[first] ** 2:.4g} on the same" in why
