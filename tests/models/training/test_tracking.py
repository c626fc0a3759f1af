"""What a run tells while it goes: JSON lines always, TensorBoard where it is asked for."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models import train
from models.job import Job
from models.options.checks import JobError
from models.options.model import Model
from models.options.training import Backpropagation, Optimizer, Train
from models.training import loop
from seqprep.batches import BatchSettings, BatchSource
from seqprep.snapshot import Snapshot
from tests.synthetic import task_snapshot

TINY = Train(
    model=Model(hidden=4, embedding=4),
    optimizer=Optimizer(clip_norm=1e-3),
    max_rows=8,
    epochs=2,
    threads=1,
    device="cpu",
)


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return task_snapshot(tmp_path / "data", "classify", rows=40)


def run(snapshot: Path, out: Path, options: Train, *, stop: int = 0) -> list[dict[str, Any]]:
    """Train, or stop after so many updates; the events."""
    calls: list[int] = []
    job = Job(snapshot=str(snapshot), out=str(out), train=options)
    try:
        train.train(job, stopping=lambda: (calls.append(1), len(calls) == stop)[1])
    except loop.Stopped:
        assert stop
    return told(out)


def told(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def scalars(out: Path) -> dict[str, list[tuple[int, float]]]:
    """All that TensorBoard would draw: by name, the updates and their values."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = accumulators.EventAccumulator(str(out / "tensorboard")).Reload()
    return {
        name: [(event.step, event.value) for event in board.Scalars(name)]
        for name in board.Tags()["scalars"]
    }


def test_events_tell_speed_padding_gradients_and_memory(snapshot: Path, tmp_path: Path) -> None:
    """Who watches a run sees from these whether it is slow, wasteful, exploding or growing."""
    events = run(snapshot, tmp_path / "out", TINY)
    told = {name: [e for e in events if e["event"] == name] for name in ("progress", "epoch")}
    assert len(told["epoch"]) == 2 and told["progress"]
    for event in told["progress"] + told["epoch"]:
        assert event["real_steps_per_s"] > 0 and event["memory_bytes"] >= 0
        assert event["grad_norm"] > event["grad_norm_clipped"] == pytest.approx(1e-3)
        assert event["clipped_share"] == 1
    source = BatchSource.of_snapshot(
        Snapshot.read(snapshot), "train", settings=BatchSettings(max_rows=8)
    )
    assert told["epoch"][0]["padding_share"] == pytest.approx(source.plan(0).padding_share)


HANDED_ON = replace(
    TINY,
    model=Model(hidden=4, embedding=4, bidirectional=False, dropout=0.0),
    backpropagation=Backpropagation(mode="segments", k1=2),
)
"""Records end in few of its rounds only; the others hand on their states and learn nothing."""


@pytest.mark.parametrize("options", [TINY, HANDED_ON], ids=["full", "segments"])
def test_the_loss_of_every_update_is_told_once_also_by_a_killed_run(
    options: Train, snapshot: Path, tmp_path: Path
) -> None:
    """A jump between two updates is lost where lines are a second apart, or come twice."""
    out, killed, calls = tmp_path / "whole", tmp_path / "killed", list[int]()

    def copy_then_go_on() -> bool:
        calls.append(1)
        if len(calls) == 5:
            shutil.copytree(out, killed)  # what a kill at this moment leaves on the disk
        return False

    often = replace(options, checkpoint_minutes=1e-9)
    train.train(Job(snapshot=str(snapshot), out=str(out), train=often), stopping=copy_then_go_on)
    whole = losses(told(out))
    history = json.loads((out / "report.json").read_bytes())["train"]["history"]
    assert len(whole) == history[-1]["update"]
    assert min(whole) <= history[0]["train_loss"] <= max(whole)
    assert losses(run(snapshot, killed, options)) == whole
    stopped = tmp_path / "stopped"
    run(snapshot, stopped, options, stop=3)
    assert losses(run(snapshot, stopped, options)) == whole


def losses(events: list[dict[str, Any]]) -> list[float]:
    """Of each update, in order."""
    return [loss for event in events if event["event"] == "progress" for loss in event["losses"]]


def test_tensorboard_shows_a_stopped_run_as_one_that_was_not(
    snapshot: Path, tmp_path: Path
) -> None:
    """Points of updates that were taken twice would draw a curve that goes back in time."""
    pytest.importorskip("tensorboard")
    options = replace(TINY, tracking="tensorboard")
    run(snapshot, tmp_path / "whole", options)
    run(snapshot, tmp_path / "parts", options, stop=3)
    shutil.copytree(tmp_path / "parts/checkpoint", tmp_path / "older")
    run(snapshot, tmp_path / "parts", options, stop=6)
    shutil.copytree(tmp_path / "older", tmp_path / "parts/checkpoint", dirs_exist_ok=True)
    run(snapshot, tmp_path / "parts", options)
    whole, parts = scalars(tmp_path / "whole"), scalars(tmp_path / "parts")
    for name in ("epoch/train_loss", "epoch/validation_loss", "epoch/validation_accuracy"):
        assert parts[name] == whole[name] and len(whole[name]) == 2
    history = json.loads((tmp_path / "whole/report.json").read_bytes())["train"]["history"]
    assert [value for _, value in whole["epoch/train_loss"]] == pytest.approx(
        [epoch["train_loss"] for epoch in history]
    )
    assert len(whole["progress/grad_norm"]) == len(whole["progress/loss"]) >= 1


def test_tensorboard_can_be_asked_for_afterwards(snapshot: Path, tmp_path: Path) -> None:
    """It is another view of the same run, so nothing is trained again."""
    pytest.importorskip("tensorboard")
    run(snapshot, tmp_path / "out", TINY)
    events = run(snapshot, tmp_path / "out", replace(TINY, tracking="tensorboard"))
    assert events[-1]["event"] == "reused"
    assert len(scalars(tmp_path / "out")["epoch/train_loss"]) == 2


def test_without_the_package_it_says_what_to_install(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends in an ImportError after its first epoch has lost that epoch."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(JobError, match=r"pip install 'seqprep\[tracking\]'"):
        run(snapshot, tmp_path / "out", replace(TINY, tracking="tensorboard"))
