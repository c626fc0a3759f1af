"""A training run reads what was prepared with its own options, and stops when it is asked to."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from flows.commands.models import job
from flows.pipeline import _mean
from flows.pipeline_file import Pipeline, build, to_json
from flows.prepare import changed, prepare_rows, remarks
from flows.reporting.reports import read_events
from flows.train import follow, train_model
from flows.training.job import find_prepared, write_job
from flows.training.run_files import check_run
from flows.training.running import RUNNING, TrainingStopped, stop
from models.job import read_job
from seqprep.errors import ConfigError, SeqprepError
from tests.flows.stages import ingest_and_prepare


def pipeline(folder: Path, **prepare_options: Any) -> Pipeline:
    """A pipeline over forty tiny documents of two classes."""
    for number in range(40):
        label = ("warm", "cold")[number % 2]
        path = folder / "in" / label / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{label} words number {number} and so on")
    return build(
        {
            "dataset": "tiny",
            "source": {"domain": "text", "path": str(folder / "in")},
            "prepare": prepare_options,
            "train": {"model": {"hidden": 4, "embedding": 4}, "updates": 5, "threads": 1},
        }
    )


def test_training_finds_the_version_made_with_its_options(tmp_path: Path) -> None:
    """Would break if a model were trained on other tokens than its bundle says."""
    words = pipeline(tmp_path)
    letters = pipeline(tmp_path, tokens={"unit": "character"})
    first, second = ingest_and_prepare(words, tmp_path), ingest_and_prepare(letters, tmp_path)
    assert (first.version, second.version) == (0, 1)
    assert find_prepared(words, store=tmp_path).version == 0
    assert find_prepared(letters, store=tmp_path).version == 1


def test_training_leaves_what_preparing_went_back_from(tmp_path: Path) -> None:
    """Would break if a model were trained on files that were pruned before it."""
    spec, extra = pipeline(tmp_path), tmp_path / "in" / "warm" / "more.txt"
    ingest_and_prepare(spec, tmp_path)
    extra.write_text("warm words and more of them")
    assert ingest_and_prepare(spec, tmp_path).version == 1
    assert find_prepared(spec, store=tmp_path).version == 1
    extra.unlink()
    again = ingest_and_prepare(spec, tmp_path, prune=True)
    assert (again.version, again.reused) == (0, True)
    assert find_prepared(spec, store=tmp_path).version == 0


def test_training_refuses_examples_made_with_other_options(tmp_path: Path) -> None:
    """Would break if the newest examples were taken whatever they are."""
    ingest_and_prepare(pipeline(tmp_path), tmp_path)
    other = pipeline(tmp_path, steps=[{"truncate": {"length": 3}}])
    with pytest.raises(SeqprepError, match=r"prepare\.steps was \[\], the file says"):
        find_prepared(other, store=tmp_path)


def test_preparing_refuses_sequences_of_other_source_options(tmp_path: Path) -> None:
    """Would break if `prepare` alone made examples of records that the file does not describe."""
    spec = pipeline(tmp_path)
    ingest_and_prepare(spec, tmp_path)
    options = {"base": str(tmp_path), "store": str(tmp_path)}
    assert prepare_rows.fn(to_json(spec), **options)["reused"]
    body = to_json(spec)
    body["source"]["on_control_characters"] = "drop"
    with pytest.raises(
        ConfigError,
        match=r"source.on_control_characters was 'keep', .*'drop'; run `seqprep ingest`",
    ):
        prepare_rows.fn(body, **options)
    body["source"] = to_json(spec)["source"] | {"path": str(tmp_path / "moved")}
    assert prepare_rows.fn(body, **options)["reused"]


def test_what_a_person_should_look_at_is_said(tmp_path: Path) -> None:
    """Would break if a recipe that leaves nothing, or a test without a class, went unnoticed."""
    spec = pipeline(tmp_path, steps=[{"summarize": {"drop_top": 10_000}}])
    done = ingest_and_prepare(spec, tmp_path)
    assert "of 40 records were left without a step" in remarks(done)[0]
    done = replace(done, emptied=0, labels={**done.labels, "test": {"cold": 3, "warm": 0}})
    assert remarks(done) == ["test has no record of class warm"]
    assert remarks(replace(done, held_out="g")) == []
    assert changed(done) == "all 40 records were made again with the state of version None"
    assert changed(replace(done, added=3)) == "3 records were added, 0 removed"


def test_training_before_preparing_says_what_to_run(tmp_path: Path) -> None:
    """Would break if the first mistake of a newcomer ended in a missing file."""
    with pytest.raises(SeqprepError, match="run `seqprep run`"):
        find_prepared(pipeline(tmp_path), store=tmp_path)


def test_where_and_how_often_do_not_make_another_run(tmp_path: Path) -> None:
    """Would break if another number of threads trained the same model again."""
    spec = pipeline(tmp_path)
    prepared = asdict(ingest_and_prepare(spec, tmp_path))
    job, finished = write_job(spec, prepared, store=tmp_path)
    body = json.loads(job.read_bytes())
    assert body["pipeline"]["train"]["threads"] == 1 and not finished
    other = build({**body["pipeline"], "train": {**body["pipeline"]["train"], "threads": 2}})
    assert write_job(other, prepared, store=tmp_path)[0] == job
    longer = build({**body["pipeline"], "train": {**body["pipeline"]["train"], "updates": 6}})
    assert write_job(longer, prepared, store=tmp_path)[0] != job


def test_a_board_asked_for_afterwards_is_drawn_and_nothing_trained(tmp_path: Path) -> None:
    """Would break if hours of training were repeated for another view of them."""
    pytest.importorskip("tensorboard")
    spec = pipeline(tmp_path)
    prepared = asdict(ingest_and_prepare(spec, tmp_path))
    with disable_run_logger():
        first = train_model.fn(to_json(spec), store=str(tmp_path), prepared=prepared)
        body = to_json(spec)
        body["train"]["tracking"] = "tensorboard"
        again = train_model.fn(body, store=str(tmp_path), prepared=prepared)
    assert again["bundle"] == first["bundle"] and (first["reused"], again["reused"]) == (0, 1)
    folder = Path(first["bundle"]).parent
    assert any((folder / "tensorboard").iterdir())
    starts = [e for e in read_events(folder / "metrics.jsonl") if e["event"] == "start"]
    assert len(starts) == 1 and not [found for found in check_run(folder) if found]


def test_a_file_of_the_person_cannot_stand_in_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if `models.py` in the current folder were run instead of the trainer."""
    spec = pipeline(tmp_path)
    job, _ = write_job(spec, asdict(ingest_and_prepare(spec, tmp_path)), store=tmp_path)
    (tmp_path / "models.py").write_text("raise SystemExit('the wrong file ran')")
    monkeypatch.chdir(tmp_path)
    seen: list[tuple[int, str]] = []
    follow(job, lambda _, __, total, figures="": seen.append((total, figures)))
    assert (job.parent / "report.json").is_file()
    assert seen and all(total == 5 for total, _ in seen)
    told = ("steps/s", "padding", "gradient")
    assert all(part in figures for _, figures in seen for part in told)


def test_a_trainer_that_is_stopped_goes_on_later(tmp_path: Path) -> None:
    """Would break if stopping a command lost the training, or a rerun began anew."""
    spec = pipeline(tmp_path)
    body = json.loads(json.dumps(asdict(ingest_and_prepare(spec, tmp_path))))
    long = build(
        {
            "dataset": "tiny",
            "source": {"domain": "text", "path": str(tmp_path / "in")},
            "train": {"model": {"hidden": 4, "embedding": 4}, "updates": 600, "threads": 1},
        }
    )
    job, _ = write_job(long, body, store=tmp_path)

    def stop_soon() -> None:
        metrics = job.with_name("metrics.jsonl")
        while not (metrics.is_file() and b'"epoch"' in metrics.read_bytes()):
            time.sleep(0.05)
        for process in list(RUNNING):
            stop(process)

    thread = threading.Thread(target=stop_soon)
    thread.start()
    with pytest.raises(TrainingStopped, match="wrote a checkpoint; run again"):
        follow(job, lambda *_: None)
    thread.join()
    starts: list[int] = []
    follow(job, lambda _, done, *__: starts.append(done))
    assert starts[0] > 1
    assert json.loads((job.parent / "report.json").read_bytes())["train"]["updates"] == 600


def test_a_mean_over_folds_says_when_a_fold_has_no_figure() -> None:
    """Would break if a mean silently left out the fold where a figure is undefined."""
    scores = [{"records": 4, "mcc": None, "accuracy": 0.5}, {"records": 6, "mcc": 1, "accuracy": 1}]
    found = _mean(scores)
    assert found == {"folds": 2, "records": 10, "mcc": None, "accuracy": 0.75}


def test_the_command_job_writes_what_torchrun_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would break if a person had to start a training to train it on several machines."""
    spec = pipeline(tmp_path)
    ingest_and_prepare(spec, tmp_path / "store")
    file = tmp_path / "tiny.yaml"
    file.write_text(json.dumps(to_json(spec)))
    options: Any = {"store": tmp_path / "store", "settings": ("train.updates=7",)}
    job(file, **options)
    path = Path(capsys.readouterr().out.strip())
    assert path.is_absolute()
    assert read_job(path).train.updates == 7
    job(file, **options, as_json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told == {"dataset": "tiny", "job": str(path), "trained": False}
