"""A training run from a job file: resumed bit for bit, reused, guarded, honest."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from models import train
from models.bundle import Bundle
from models.device import supports_bf16
from models.job import Job
from models.options.checks import JobError
from models.options.model import Model
from models.options.training import Optimizer, Train
from models.predict import predict_examples
from models.training import loop
from models.training import run as training_run
from models.training.checkpoint import NAME, Checkpoint
from seqprep.batches import Batch
from seqprep.errors import CorruptError, SeqprepError
from tests.synthetic import (
    example_table,
    facts_of_task,
    rows_of_task,
    task_snapshot,
    token_rows,
    write_snapshot,
)

TASKS = ("classify", "regress", "label_steps", "regress_steps", "translate")
ROOT = Path(__file__).resolve().parents[3]
TINY = Train(
    model=Model(hidden=8, embedding=4, dropout=0.3),
    batch_tokens=512,
    max_rows=8,
    epochs=2,
    threads=1,
    device="cpu",
)
VALUES = replace(TINY, model=Model(hidden=8, dropout=0.3))


def job(snapshot: Path, out: Path, options: Train = TINY) -> Job:
    return Job(snapshot=str(snapshot), out=str(out), train=options)


def after(updates: int) -> Callable[[], bool]:
    """Says stop after so many updates."""
    count = 0

    def stopping() -> bool:
        nonlocal count
        count += 1
        return count == updates

    return stopping


def losses(out: Path) -> list[tuple[float, float]]:
    report = json.loads((out / "report.json").read_bytes())
    return [(e["train_loss"], e["validation_loss"]) for e in report["train"]["history"]]


def check_a_stop_changes_nothing(
    snapshot: Path, folder: Path, options: Train, *, stop: int
) -> None:
    """A run that is stopped after so many updates and goes on equals one that was not."""
    train.train(job(snapshot, folder / "whole", options))
    with pytest.raises(loop.Stopped):
        train.train(job(snapshot, folder / "parts", options), stopping=after(stop))
    train.train(job(snapshot, folder / "parts", options))
    assert losses(folder / "parts") == losses(folder / "whole")
    assert same_weights(folder / "parts", folder / "whole")


def same_weights(first: Path, second: Path) -> bool:
    one, two = (load_file(out / "bundle/weights.safetensors") for out in (first, second))
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return task_snapshot(tmp_path / "data", "classify", rows=60)


@pytest.mark.parametrize("task", ["classify", "translate"])
@pytest.mark.parametrize("stops", [(3,), (8, 1), (1, 5, 4)])
def test_any_number_of_resumes_equals_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: Any, stops: tuple[int, ...]
) -> None:
    """A resumed run must not differ by a bit: weights, losses and the order of ids."""
    path = task_snapshot(tmp_path / "data", task, rows=60)
    name = "encoder_decoder" if task == "translate" else "lstm"
    options = Train(
        model=Model(
            name=name,
            hidden=8,
            dropout=0.3,
            teacher_forcing=(1.0, 0.5 if task == "translate" else 1.0),
        ),
        batch_tokens=512,
        max_rows=8,
        epochs=2,
        threads=1,
        device="cpu",
    )
    seen: list[list[str]] = []
    update = loop.update

    def recorded(run: loop.Run, batch: Batch, share: float) -> Any:
        seen.append(batch.ids.to_pylist())
        return update(run, batch, share)

    monkeypatch.setattr(loop, "update", recorded)
    train.train(job(path, tmp_path / "whole", options))
    whole, seen[:] = list(seen), []
    for count in stops:
        with pytest.raises(loop.Stopped):
            train.train(job(path, tmp_path / "parts", options), stopping=after(count))
    train.train(job(path, tmp_path / "parts", options))
    assert seen == whole
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert same_weights(tmp_path / "parts", tmp_path / "whole")
    report = json.loads((tmp_path / "parts/report.json").read_bytes())
    assert report["train"]["resumed"] == len(stops)


@pytest.mark.parametrize("stop", range(1, 8))
def test_a_stop_after_any_update_changes_nothing_when_updates_are_counted(
    tmp_path: Path, stop: int
) -> None:
    """A stop after the very last update lost its epoch's evaluation, or ended in an error."""
    crop = {"name": "truncate", "position": 0, "length": 9, "keep": "random"}
    path = task_snapshot(tmp_path / "data", "classify", rows=30, on_the_fly=(crop,))
    options = Train(
        model=Model(hidden=4, embedding=4, dropout=0.3),
        max_rows=8,
        updates=7,
        early_stopping=5,
        threads=1,
        device="cpu",
    )
    check_a_stop_changes_nothing(path, tmp_path, options, stop=stop)


@pytest.mark.parametrize("stop", [1, 4, 7, 8, 15, 16])
def test_a_stop_while_waiting_for_a_better_epoch_changes_nothing(
    snapshot: Path, tmp_path: Path, stop: int
) -> None:
    """The epochs waited are part of where a run stands."""
    options = Train(
        model=TINY.model,
        optimizer=Optimizer(lr=1e-12),
        max_rows=8,
        updates=40,
        early_stopping=1,
        threads=1,
        device="cpu",
    )
    check_a_stop_changes_nothing(snapshot, tmp_path, options, stop=stop)


def test_a_stop_during_an_evaluation_or_the_report_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation of hours would outlast every grace, and be killed with what came before it."""
    path = task_snapshot(tmp_path / "data", "classify", rows=24)
    options = replace(TINY, max_rows=3, epochs=1)
    calls: list[int] = []
    train.train(job(path, tmp_path / "patient", options), stopping=lambda: bool(calls.append(1)))
    updates = json.loads((tmp_path / "patient/report.json").read_bytes())["train"]["updates"]
    assert len(calls) == updates  # short evaluations are let end
    monkeypatch.setattr(training_run, "SOON_S", 0.0)
    calls.clear()
    train.train(job(path, tmp_path / "whole", options), stopping=lambda: bool(calls.append(1)))
    assert len(calls) > updates + 4
    for stop in range(updates + 1, len(calls) + 1):
        with pytest.raises(loop.Stopped):
            train.train(job(path, tmp_path / str(stop), options), stopping=after(stop))
        assert not (tmp_path / str(stop) / "report.json").exists()
        train.train(job(path, tmp_path / str(stop), options))
        assert losses(tmp_path / str(stop)) == losses(tmp_path / "whole")
        assert same_weights(tmp_path / str(stop), tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "momentum"),
    [
        ("sgd", 0.0),
        ("sgd", 0.9),
        ("rmsprop", 0.9),
        ("adam", 0.0),
        ("adamw", 0.0),
        ("adagrad", 0.0),
        ("adadelta", 0.0),
    ],
)
def test_a_stop_changes_nothing_with_any_optimiser(
    tmp_path: Path, name: Any, momentum: float
) -> None:
    """Moments and sums that a checkpoint leaves out begin at zero again, without a word."""
    path = task_snapshot(tmp_path / "data", "classify", rows=24)
    options = Train(
        model=Model(hidden=4, embedding=4),
        optimizer=Optimizer(name=name, momentum=momentum, lr=0.05),
        max_rows=8,
        updates=5,
        threads=1,
        device="cpu",
    )
    check_a_stop_changes_nothing(path, tmp_path, options, stop=3)


def command(folder: Path, **fields: Any) -> subprocess.Popen[bytes]:
    (folder / "job.json").write_text(json.dumps(fields))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "models.train", str(folder / "job.json")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 60
    while not path.is_file():
        assert process.poll() is None and time.monotonic() < limit, process.stderr
        time.sleep(0.005)


def test_a_killed_process_goes_on_to_the_same_result(tmp_path: Path) -> None:
    """Kill -9 in the middle of an epoch: the next call goes on, and nothing shows in the result."""
    path = task_snapshot(tmp_path / "data", "classify", rows=150)
    options = {
        "model": {"hidden": 8, "dropout": 0.3},
        "epochs": 2,
        "max_rows": 4,
        "checkpoint_minutes": 0.002,
        "threads": 1,
        "device": "cpu",
    }
    (tmp_path / "killed").mkdir()
    fields = {"snapshot": str(path), "train": options}
    process = command(tmp_path / "killed", out="out", **fields)
    wait_for(tmp_path / "killed/out/checkpoint" / NAME, process)
    time.sleep(0.1)
    process.kill()
    process.communicate()
    checkpoint = Checkpoint.read(tmp_path / "killed/out/checkpoint")
    assert checkpoint is not None and not (tmp_path / "killed/out/report.json").exists()
    process = command(tmp_path / "killed", out="out", **fields)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()
    whole = Train(model=Model(hidden=8, dropout=0.3), epochs=2, max_rows=4, threads=1, device="cpu")
    train.train(job(path, tmp_path / "whole", whole))
    assert losses(tmp_path / "killed/out") == losses(tmp_path / "whole")
    assert same_weights(tmp_path / "killed/out", tmp_path / "whole")
    events = [
        json.loads(x) for x in (tmp_path / "killed/out/metrics.jsonl").read_text().split("\n") if x
    ]
    assert [e["epoch"] for e in events if e["event"] == "epoch"] == [1, 2]
    assert events[-1]["event"] == "end"


def test_a_signal_writes_the_checkpoint_and_says_so(tmp_path: Path) -> None:
    """A worker that is taken away must not lose the hours since the last checkpoint."""
    path = task_snapshot(tmp_path / "data", "classify", rows=300)
    options = {"model": {"hidden": 8}, "epochs": 10_000, "max_rows": 4, "threads": 1}
    process = command(tmp_path, snapshot=str(path), out="out", train=options)
    wait_for(tmp_path / "out/checkpoint" / NAME, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == train.STOPPED, errors.decode()
    assert b"goes on" in errors


def test_wrong_input_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """A person needs the key and the remedy, not a traceback."""
    process = command(tmp_path, snapshot="none.json", out="out", train={"epoch": 3})
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.decode().strip() == "unknown key 'train.epoch'; did you mean 'epochs'?"


def test_a_finished_job_is_reused_and_a_damaged_bundle_is_not(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training the same again wastes hours; trusting a damaged bundle wastes more."""
    out = tmp_path / "out"
    train.train(job(snapshot, out))
    calls: list[int] = []
    update = loop.update
    monkeypatch.setattr(loop, "update", lambda *a: (calls.append(1), update(*a))[1])
    train.train(job(snapshot, out))
    assert not calls
    weights = out / "bundle/weights.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    train.train(job(snapshot, out))
    assert weights.read_bytes() == data


def test_a_checkpoint_of_other_data_or_options_is_refused(snapshot: Path, tmp_path: Path) -> None:
    """Going on with another vocabulary or another model would give nonsense without a word."""
    out = tmp_path / "out"
    with pytest.raises(loop.Stopped):
        train.train(job(snapshot, out), stopping=after(2))
    other = task_snapshot(tmp_path / "other", "classify", rows=60, seed=5)
    with pytest.raises(SeqprepError, match="another run: snapshot differs"):
        train.train(job(other, out))
    options = Train(model=TINY.model, epochs=3, max_rows=8, threads=1)
    with pytest.raises(SeqprepError, match="options differ"):
        train.train(job(snapshot, out, options))


def test_a_checkpoint_of_another_fitted_state_alone_is_refused(
    snapshot: Path, tmp_path: Path
) -> None:
    """The same shards read with another vocabulary would be other data."""
    for name in ("first", "second"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"labels": [name]}))
    first = replace(job(snapshot, tmp_path / "out"), fitted=str(tmp_path / "first.json"))
    with pytest.raises(loop.Stopped):
        train.train(first, stopping=after(2))
    with pytest.raises(SeqprepError, match="another run: fitted state differs"):
        train.train(replace(first, fitted=str(tmp_path / "second.json")))


@pytest.mark.parametrize("task", ["classify", "regress_steps", "translate"])
def test_a_moved_bundle_answers_as_at_the_end_of_training(tmp_path: Path, task: Any) -> None:
    """Another machine has neither store nor job; the bundle must hold all that is needed."""
    path = task_snapshot(tmp_path / "data", task, rows=60)
    (tmp_path / "fitted.json").write_text(json.dumps({"target_vocabulary": list("abcdef")}))
    name = "encoder_decoder" if task == "translate" else "lstm"
    options = Train(model=Model(name=name, hidden=8), epochs=2, threads=1, device="cpu")
    work = replace(
        job(path, tmp_path / "out", options),
        fitted=str(tmp_path / "fitted.json"),
        pipeline={"dataset": "synthetic"},
    )
    train.train(work)
    wanted = pq.read_table(tmp_path / "out/predictions-test.parquet", partitioning=None)
    data = rows_of_task(task, 20, seed=20)
    rows = example_table(data, facts_of_task(task, data), prefix="test")
    shutil.move(tmp_path / "out/bundle", tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "data")
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "fitted.json").unlink()
    found = predict_examples(Bundle.read(tmp_path / "elsewhere"), rows)
    assert found["id"].to_pylist() == wanted["id"].to_pylist()
    assert found["prediction"].to_pylist() == wanted["prediction"].to_pylist()
    assert found["probabilities"].to_pylist() == wanted["probabilities"].to_pylist()


def test_a_class_that_a_split_lacks_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sensitivity or macro-F1 without a class looks like a score of the whole task."""
    data = {"tokens": [[2, 3], [4, 5]] * 8, "label": [0, 1] * 8}
    facts = facts_of_task("classify", data)
    whole = example_table(data, facts)
    tables = {"train": whole, "validation": whole, "test": whole.filter([True, False] * 8)}
    path = write_snapshot(tmp_path / "data", facts, tables)  # type: ignore[arg-type]
    metrics = json.loads(train.train(job(path, tmp_path / "out")).read_bytes())["metrics"]
    assert metrics["test"]["missing_classes"] == ["yes"]
    assert "test has no rows of yes" in caplog.text
    assert "missing_classes" not in metrics["validation"]
    assert metrics["validation"]["positive"] == "yes"


def test_an_altered_checkpoint_is_found(snapshot: Path, tmp_path: Path) -> None:
    """A flipped bit in a weight would go on training as if nothing were."""
    with pytest.raises(loop.Stopped):
        train.train(job(snapshot, tmp_path), stopping=after(2))
    path = tmp_path / "checkpoint" / NAME
    data = bytearray(path.read_bytes())
    for place in (len(data) - 3, len(data) // 2, 100, 3):
        path.write_bytes(bytes(data[:place]) + bytes([data[place] ^ 4]) + bytes(data[place + 1 :]))
        with pytest.raises(CorruptError, match="remove the folder"):
            train.train(job(snapshot, tmp_path))


def poisoned(tmp_path: Path, *, split: str) -> Path:
    """A snapshot with one value that is not a number."""
    data = {
        "values": [[0.1, 0.2, 0.3, 0.4]] * 16,
        "label": [0, 1] * 8,
    }
    facts = facts_of_task("classify", data)
    tables = {}
    for name in ("train", "validation", "test"):
        rows = [list(row) for row in data["values"]]
        if name == split:
            rows[5][1] = float("nan")
        tables[name] = example_table({**data, "values": rows}, facts, prefix=name)
    return write_snapshot(tmp_path / "data", facts, tables)  # type: ignore[arg-type]


def test_no_step_is_taken_on_what_is_not_finite(tmp_path: Path) -> None:
    """One bad record must not turn every weight into NaN."""
    path = poisoned(tmp_path, split="train")
    report = json.loads(train.train(job(path, tmp_path / "out", VALUES)).read_bytes())
    assert report["train"]["skipped"] == 2
    weights = load_file(tmp_path / "out/bundle/weights.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_the_guard_stops_and_names_the_records(tmp_path: Path) -> None:
    """After so many bad updates in a row a person has to look, and must know where."""
    path = poisoned(tmp_path, split="train")
    options = replace(VALUES, max_rows=None, epochs=5, guard=2)
    with pytest.raises(SeqprepError, match=r"2 updates in a row.*train#"):
        train.train(job(path, tmp_path / "out", options))


def test_a_run_that_learnt_nothing_is_no_success(tmp_path: Path) -> None:
    """Fewer updates than the guard waits for would ship the weights that it began with."""
    path = task_snapshot(tmp_path / "data", "classify", rows=20)
    wild = Model(hidden=4, noise=1e38)
    options = Train(model=wild, epochs=1, guard=100, threads=1, device="cpu")
    for _ in range(2):  # and not when it is run again
        with pytest.raises(SeqprepError, match=r"nothing was learnt: .* in all \d updates; .*lr"):
            train.train(job(path, tmp_path / "out", options))
    assert not (tmp_path / "out" / "bundle").exists()


def test_the_best_weights_are_never_those_of_a_nan(tmp_path: Path) -> None:
    """A validation loss that is not a number compares as neither better nor worse."""
    path = poisoned(tmp_path, split="validation")
    with pytest.raises(SeqprepError, match="no epoch ended with a finite validation"):
        train.train(job(path, tmp_path / "out", VALUES))


def test_it_learns_and_beats_the_baselines(tmp_path: Path) -> None:
    """The sample's class is carried by which token occurs; length must not tell it."""
    path = task_snapshot(tmp_path / "data", "classify", rows=300)
    options = Train(
        model=Model(hidden=16), optimizer=Optimizer(lr=0.01), epochs=6, threads=1, device="cpu"
    )
    report = json.loads(train.train(job(path, tmp_path / "out", options)).read_bytes())
    test, cheap = report["metrics"]["test"], report["baselines"]["test"]
    assert test["accuracy"] > 0.9 > cheap["length"]["accuracy"]
    assert cheap["majority"]["accuracy"] == test["majority"]
    assert sum(map(sum, report["confusion"]["test"])) == test["records"] == 100
    assert [row["label"] for row in report["per_class"]["test"]] == ["no", "yes"]
    assert report["model"]["execution"] == "dense"
    table = pq.read_table(tmp_path / "out/predictions-test.parquet")
    right = np.array(table["prediction"].to_pylist()) == np.array(table["truth"].to_pylist())
    assert right.mean() == test["accuracy"]


def test_permuted_labels_score_chance(tmp_path: Path) -> None:
    """A score above chance means that training rows leak, or are what is scored (mistake 10).

    They are learnt by heart, so that their own score would stand out.
    """
    tables = {}
    rng = np.random.default_rng(3)
    for number, (split, rows) in enumerate((("train", 40), ("validation", 300), ("test", 300))):
        data = token_rows(rows, seed=number)
        data["label"] = rng.permutation(data["label"]).tolist()
        facts = facts_of_task("classify", data)
        tables[split] = example_table(data, facts, prefix=split)
    path = write_snapshot(tmp_path / "data", facts, tables)  # type: ignore[arg-type]
    options = Train(
        model=Model(hidden=16, dropout=0.0),
        optimizer=Optimizer(lr=0.02),
        epochs=40,
        threads=1,
        device="cpu",
    )
    report = json.loads(train.train(job(path, tmp_path / "out", options)).read_bytes())
    last = report["train"]["history"][-1]
    assert last["train_loss"] < 0.1
    for told in (last["validation"], report["metrics"]["validation"], report["metrics"]["test"]):
        assert told["records"] == 300
        assert abs(told["accuracy"] - 0.5) < 3 * (0.25 / 300) ** 0.5


@pytest.mark.parametrize(
    "task", ["classify", "regress", "label_steps", "regress_steps", "translate"]
)
def test_every_task_goes_from_snapshot_to_bundle(tmp_path: Path, task: Any) -> None:
    """Scores beside baselines, predictions and a bundle, whatever the task."""
    path = task_snapshot(tmp_path / "data", task, rows=30)
    name = "encoder_decoder" if task == "translate" else "lstm"
    options = Train(model=Model(name=name, hidden=8), epochs=1, threads=1, device="cpu")
    report = json.loads(train.train(job(path, tmp_path / "out", options)).read_bytes())
    assert report["metrics"].keys() == report["baselines"].keys() == {"validation", "test"}
    assert len(pq.read_table(tmp_path / "out/predictions-test.parquet")) == 10
    assert Bundle.read(tmp_path / "out/bundle").facts.task == task


def test_updates_instead_of_epochs(snapshot: Path, tmp_path: Path) -> None:
    """Comparisons count updates; a run must do exactly as many as it is told."""
    options = Train(model=TINY.model, max_rows=8, updates=13, threads=1, device="cpu")
    report = json.loads(train.train(job(snapshot, tmp_path, options)).read_bytes())
    assert report["train"]["updates"] == 13


def test_early_stopping_waits_so_many_epochs(snapshot: Path, tmp_path: Path) -> None:
    """Without learning there is no better epoch, so it stops after waiting."""
    options = Train(
        model=TINY.model,
        optimizer=Optimizer(lr=1e-12),
        select_by="accuracy",
        epochs=50,
        early_stopping=3,
        threads=1,
        device="cpu",
    )
    report = json.loads(train.train(job(snapshot, tmp_path, options)).read_bytes())
    assert report["train"]["epochs"] == 4 and report["train"]["best_epoch"] == 1


def test_the_last_epoch_is_kept_where_it_is_asked_for(snapshot: Path, tmp_path: Path) -> None:
    """A worse last epoch would be thrown away, although a person chose a schedule to its end."""
    worse = Train(
        model=TINY.model,
        optimizer=Optimizer(name="sgd", lr=30.0, schedule="constant", clip_norm=None),
        epochs=4,
        threads=1,
        device="cpu",
    )
    reports = [
        json.loads(
            train.train(job(snapshot, tmp_path / by, replace(worse, select_by=by))).read_bytes()  # type: ignore[arg-type]
        )
        for by in ("loss", "last")
    ]
    best, last = (report["train"]["best_epoch"] for report in reports)
    assert best < last == 4


def test_selecting_by_a_figure_of_another_task_is_refused(snapshot: Path, tmp_path: Path) -> None:
    """Otherwise no epoch would ever be the best."""
    options = Train(model=TINY.model, select_by="rmse", threads=1)
    with pytest.raises(JobError, match="choose from loss, accuracy, macro_f1"):
        train.train(job(snapshot, tmp_path, options))


def test_bf16_trains_or_is_refused(snapshot: Path, tmp_path: Path) -> None:
    """Mixed precision leaves losses finite; a CPU without it says so instead of failing inside."""
    options = Train(model=TINY.model, precision="bf16", epochs=1, threads=1, device="cpu")
    if not supports_bf16(torch.device("cpu")):
        with pytest.raises(JobError, match="use float32"):
            train.train(job(snapshot, tmp_path, options))
        return
    report = json.loads(train.train(job(snapshot, tmp_path, options)).read_bytes())
    assert report["model"]["precision"] == "bf16"
    assert report["train"]["history"][0]["validation_loss"] is not None


def test_needs_nothing_but_torch_numpy_and_pyarrow() -> None:
    """A bare GPU node has no polars, prefect, deltalake, pydantic or yaml."""
    code = """
import sys
for name in ("polars", "prefect", "deltalake", "pydantic", "yaml", "Bio", "nltk"):
    sys.modules[name] = None
import models.train, models.predict
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
