"""Trainings that are begun, not begun, or stopped early."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from flows.comparison import pieces
from flows.comparison.hopeless import HopelessError, curve
from flows.comparison.left import LateError
from flows.comparison.pace import Pace
from flows.comparison.pieces import (
    Crew,
    Piece,
    measure_each,
    train_all,
    trial_json,
    trial_of,
    watch_of,
)
from flows.comparison.pretraining import MOST_LOGITS, Pretraining, autoencoder_of
from flows.comparison.trials import Trial, run_trial, was_run
from flows.pipeline_file import build
from tests.flows.stages import ingest_and_prepare
from tests.flows.training.test_job import pipeline


def trial(**more: Any) -> Trial:
    spec = build({"dataset": "d", "source": {"domain": "text", "path": "/none"}})
    return Trial(strategy="windows", setting="lr 0.1", spec=spec, prepared={"rows": 1}, **more)


def test_what_would_not_end_in_time_is_not_begun(tmp_path: Path) -> None:
    """Would break if a training began that outlasts the minutes a person allows."""
    crew = Crew(store=tmp_path, workers=2, until_s=time.time() + 30)
    late = [Piece(trial=trial(), expected_s=60.0, note="n", may_stop=False)] * 3
    told: list[object] = []
    found = train_all(late, crew, told=lambda _, one: told.append(one))
    assert [type(one) for one in found] == [type(one) for one in told] == [LateError] * 3
    assert not list(tmp_path.iterdir())


def test_a_way_that_is_far_too_slow_does_not_use_up_the_time_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if an autoencoder of a large vocabulary were measured until nothing was left."""
    spec = pipeline(tmp_path)
    rows = asdict(ingest_and_prepare(spec, tmp_path))
    slow = Trial(strategy="full", setting="", spec=spec, prepared=rows)
    monkeypatch.setattr(pieces, "PACE_SHARES", 0.0)
    monkeypatch.setattr(pieces, "LEAST_PACE_S", 0.2)  # before its first update
    told: list[object] = []
    crew = Crew(store=tmp_path, workers=1, until_s=time.time() + 60)
    measure_each([slow], crew, told=lambda _, found: told.append(found))
    assert [type(one) for one in told] == [LateError]
    assert str(told[0]) == "too slow: 5 updates take more than 0 s"
    assert not list((tmp_path / "tiny" / "studies").iterdir())
    monkeypatch.setattr(pieces, "LEAST_PACE_S", 60.0)
    measure_each([slow], crew, told=lambda _, found: told.append(found))
    assert isinstance(told[1], Pace)


def test_a_trial_is_the_same_in_another_process() -> None:
    """Would break if a cluster trained with other options, or without what comes first."""
    first = Pretraining(kind="codes", options={"code_every": 8})
    one = trial(pretraining=first, validation_only=True)
    assert trial_of(json.loads(json.dumps(trial_json(one)))) == one


def test_an_autoencoder_of_a_large_vocabulary_fits_a_laptop() -> None:
    """Would break if each step of a large batch gave a number for each of many words: 7 GB."""
    spec = trial().spec
    batches = {
        vocab_size: autoencoder_of(spec, {}, vocab_size=vocab_size).train.batch_tokens
        for vocab_size in (None, 70, 30_000, 2 * MOST_LOGITS)
    }
    most = spec.train.batch_tokens
    assert batches == {None: most, 70: most, 30_000: MOST_LOGITS // 30_000, 2 * MOST_LOGITS: 1}


def test_a_search_never_looks_at_the_test_rows(tmp_path: Path) -> None:
    """Would break if the choice could be made on test rows, or a trial took as long as a model."""
    spec = pipeline(tmp_path)
    rows = asdict(ingest_and_prepare(spec, tmp_path))
    full = Trial(strategy="full", setting="", spec=spec, prepared=rows)
    searched = replace(full, validation_only=True)
    found = [run_trial(one, store=tmp_path) for one in (searched, full)]
    short, whole = (Path(one.folder) for one in found)
    assert short != whole and was_run(searched, store=tmp_path)
    tables = [sorted(file.name for file in run.glob("*.parquet")) for run in (short, whole)]
    assert tables == [
        ["predictions-validation.parquet"],
        ["predictions-test.parquet", "predictions-validation.parquet"],
    ]
    reports = [json.loads((run / "report.json").read_bytes()) for run in (short, whole)]
    assert [set(one["metrics"]) for one in reports] == [{"validation"}, {"validation", "test"}]
    assert [bool(one["baselines"]) for one in reports] == [False, True]
    assert reports[0]["metrics"]["validation"] == reports[1]["metrics"]["validation"]


def run_of(folder: Path, scores: list[float]) -> Path:
    """A run's folder with one epoch each 10 of 40 updates."""
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"train": {"updates": 40}}))
    events = [
        {"event": "epoch", "update": 10 * (n + 1), "validation": {"accuracy": score}}
        for n, score in enumerate(scores)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    return folder


def test_the_worse_half_is_stopped_after_half_of_its_updates(tmp_path: Path) -> None:
    """Would break if a hopeless training went on, or one ended before the others can be judged."""
    notes = tmp_path / "search"
    look = watch_of(trial(), notes / "own.json")
    half = [run_of(tmp_path / f"at-{n}", [0.5, score]) for n, score in enumerate([0.69, 0.71])]
    quarter = run_of(tmp_path / "early", [0.1])
    notes.mkdir()
    for number, ended in enumerate([0.6, 0.7, 0.9]):
        look(half[0])  # there are not three others yet
        folder = run_of(tmp_path / f"ended-{number}", [0.5, ended, 0.2, 0.95])
        (notes / f"{number}.json").write_text(json.dumps({"folder": str(folder)}))
    (notes / "stopped.json").write_text(json.dumps({"hopeless": "of no account"}))
    assert curve(half[0], measure="accuracy") == [(0.25, 0.5), (0.5, 0.69)]
    look(quarter)
    look(half[1])
    with pytest.raises(HopelessError, match="after 50% of its updates, at a validation accuracy"):
        look(half[0])


def test_what_was_stopped_as_hopeless_is_not_trained_again(tmp_path: Path) -> None:
    """Would break if a comparison that goes on spent its time on what it gave up before."""
    (tmp_path / "n.json").write_text(json.dumps({"hopeless": "stopped as hopeless"}))
    crew = Crew(store=tmp_path / "store", workers=1, rounds=tmp_path)
    told: list[object] = []
    own = Piece(trial=trial(), expected_s=1.0, note="n", may_stop=True)
    other = Piece(trial=trial(), expected_s=1.0, note="m", may_stop=True, falls_with=["n"])
    found = train_all([own, other], crew, told=lambda _, one: told.append(one))
    assert [type(one) for one in found] == [HopelessError] * 2
    assert str(told[0]) == str(told[1]) == "stopped as hopeless"
