"""Training by segments: the schedule of lengths, resumes in the middle of records, and learning."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flows.reporting import plots
from models import train
from models.job import Job, to_json
from models.options.checks import JobError
from models.options.model import Model
from models.options.training import Backpropagation, Optimizer, Train
from models.ranks import Ranks
from models.segments.schedule import Phase, after_epoch, choose, numbers_of, segment_steps
from models.training import loop
from models.training.checkpoint import Checkpoint
from models.training.joint import over_all
from models.training.setting import open_sources
from seqprep.errors import SeqprepError
from seqprep.snapshot import Snapshot
from tests.models.in_processes import run_processes
from tests.models.training.test_train import (
    after,
    check_a_stop_changes_nothing,
    losses,
    same_weights,
)
from tests.synthetic import example_table, facts_of_task, task_snapshot, write_snapshot

TINY = Train(
    model=Model(hidden=8, dropout=0.3, layers=2, bidirectional=False),
    optimizer=Optimizer(lr=0.01),
    batch_tokens=64,
    max_rows=4,
    epochs=2,
    threads=1,
    device="cpu",
)


def segments(**options: Any) -> Backpropagation:
    return Backpropagation(mode="segments", **options)


def events(out: Path) -> list[dict[str, Any]]:
    return json.loads((out / "report.json").read_bytes())["train"]["history"]


def run(path: Path, out: Path, options: Train) -> dict[str, Any]:
    return json.loads(
        train.train(Job(snapshot=str(path), out=str(out), train=options)).read_bytes()
    )


def phases(
    options: Backpropagation, losses: list[float | None], longest: int = 1000
) -> list[Phase]:
    """The phase of each epoch, given the training loss of each."""
    found: list[Phase] = []
    phase: Phase | None = None
    for epoch, loss in enumerate(losses, start=1):
        share = (epoch - 0.5) / len(losses)
        phase = choose(phase, options, longest=longest, epoch=epoch, share=share)
        found.append(phase)
        phase = after_epoch(phase, loss)
    return found


def test_100_means_100_segments_of_the_longest_row() -> None:
    """Not 100 steps (mistake 14): the whole schedule would be another."""
    options = segments(schedule=(100, 50, 10, 2, 1))
    assert numbers_of(options, 20_000) == (100, 50, 10, 2, 1)
    assert [segment_steps(20_000, n) for n in options.schedule] == [200, 400, 2_000, 10_000, 20_000]
    assert phases(options, [1.0], longest=20_000)[0].steps == 200
    assert -(-20_000 // phases(options, [1.0], longest=20_000)[0].steps) == 100


def test_a_schedule_waits_for_its_patience_and_goes_on_once() -> None:
    """Going on too early never uses short segments, too late never reads whole rows."""
    options = segments(schedule=(10, 2, 1), patience=2)
    found = phases(options, [1.0, 0.9, 0.9, 0.95, 3.0, 2.0, 2.1, 2.2, 1.0, 1.1, 1.2, 1.3])
    assert [p.segments for p in found] == [10, 10, 10, 10, 2, 2, 2, 2, 1, 1, 1, 1]
    assert [p.steps for p in found[::4]] == [100, 500, 1000]
    assert found[4].why == "no training loss < 0.9 in 2 epochs" and found[4].since == 5
    assert found[8].why == "no training loss < 2 in 2 epochs"


def test_a_loss_that_weighs_less_than_one_row_is_a_mean_all_the_same() -> None:
    """An update of one short piece of a long record must not learn less from it."""
    total, weight = torch.tensor(0.3, requires_grad=True), torch.tensor(0.2)
    downhill, loss, _ = over_all(total, weight, Ranks())
    assert float(loss) == float(downhill.detach()) == pytest.approx(1.5)


def test_patience_without_a_schedule_is_refused() -> None:
    """It would be read and then ignored: nothing waits where segments stay as they are."""
    with pytest.raises(JobError, match=r"patience: 3 would be ignored.*a schedule"):
        segments(k1=10, patience=3)


def test_a_loss_that_is_not_finite_is_no_better_one() -> None:
    """A schedule must not wait for ever for a number that never comes."""
    found = phases(segments(schedule=(4, 1), patience=2), [None, None, None])
    assert [p.segments for p in found] == [4, 4, 1]
    assert found[2].why == "no finite training loss in 2 epochs"


@pytest.mark.parametrize("schedule", [(1, 2, 100), (4, 4, 1), (8, 2, 3)])
def test_a_schedule_that_does_not_fall_is_refused(schedule: tuple[int, ...]) -> None:
    """Ever shorter segments are the opposite of what is meant, most likely a slip."""
    with pytest.raises(JobError, match="falling numbers of segments"):
        segments(schedule=schedule)


def test_epochs_that_cannot_reach_the_last_segments_are_refused_with_how_many_can() -> None:
    """With the default ten epochs the whole run would stay at the first number, without a word."""
    options = segments(schedule=(100, 50, 10, 2, 1), patience=20)
    for epochs in (None, 84):
        with pytest.raises(JobError, match=r"train.epochs: (10|84).* needs 85 to reach its last"):
            Train(backpropagation=options, epochs=epochs)
    assert Train(backpropagation=options, epochs=85).epochs == options.epochs_needed
    found = phases(options, [1.0] * 85)
    assert [p.last for p in found] == [False] * 84 + [True]
    assert phases(segments(schedule="auto"), [1.0])[0].last
    assert Train(backpropagation=segments(schedule=(7,)), epochs=1).epochs == 1


@pytest.mark.parametrize(("updates", "said"), [(12, True), (400, False)])
def test_updates_that_end_before_the_schedule_does_are_said_before_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, updates: int, said: bool
) -> None:
    """How many an epoch has hangs on the data: only the trainer can tell that they are too few."""
    path = task_snapshot(tmp_path / "data", "label_steps", rows=6)
    options = segments(schedule=(6, 1), patience=3)
    made = replace(TINY, backpropagation=options, epochs=None, updates=updates, early_stopping=1)
    run(path, tmp_path / "out", made)
    first = json.loads((tmp_path / "out/metrics.jsonl").read_text().splitlines()[0])
    assert first["event"] == "start" and bool(first["remarks"]) == said
    reached = [e["segments"]["phase"] for e in events(tmp_path / "out")][-1] == 2
    assert reached != said
    assert ("updates: 12 end before the schedule" in caplog.text) == said


def test_the_updates_that_a_schedule_needs_are_those_that_it_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A figure that is off by an epoch would send a person away to train for nothing again."""
    data = {"values": [[0.5, 1.0] * 30] * 6, "targets": [[0, 1, 1] * 10] * 6}
    facts = facts_of_task("label_steps", data)  # equal rows: the loss falls in no epoch
    tables = {split: example_table(data, facts, prefix=split) for split in ("train", "validation")}
    path = write_snapshot(tmp_path / "data", facts, tables)  # type: ignore[arg-type]
    still = replace(
        TINY,
        model=replace(TINY.model, dropout=0.0),
        optimizer=Optimizer(lr=1e-12, weight_decay=0.0),
        backpropagation=segments(schedule=(6, 2, 1), patience=1),
        epochs=None,
        updates=5,
    )
    run(path, tmp_path / "short", still)
    needed = int(re.findall(r"or (\d+) updates at the earliest", caplog.text)[0])
    for updates, phase in ((needed, 2), (needed + 1, 3)):
        made = replace(still, updates=updates)
        run(path, tmp_path / str(updates), made)
        assert events(tmp_path / str(updates))[-1]["segments"]["phase"] == phase
    assert caplog.text.count("at the earliest") == 2


def test_stopping_early_waits_for_the_last_segments(tmp_path: Path) -> None:
    """Or the schedule's own waiting for a better loss would end the run in its first phase."""
    path = task_snapshot(tmp_path / "data", "classify", rows=12)
    still = replace(
        TINY,
        model=replace(TINY.model, dropout=0.0),
        optimizer=Optimizer(lr=1e-12, weight_decay=0.0),
        backpropagation=segments(schedule=(3, 1), patience=2),
        early_stopping=2,
        epochs=30,
    )
    run(path, tmp_path / "out", still)
    found = [e["segments"]["segments"] for e in events(tmp_path / "out")]
    assert found.count(3) >= 3 and found.count(1) == 2


@pytest.mark.parametrize("each", [True, False])
def test_steps_that_are_read_again_count_once(tmp_path: Path, each: bool) -> None:
    """Context is time, not data: speed and time a step would look better the more is read twice."""
    data = {"values": [[0.5] * 400 for _ in range(8)], "label": [0, 1] * 4}
    facts = facts_of_task("classify", data)
    tables = {split: example_table(data, facts, prefix=split) for split in ("train", "validation")}
    path = write_snapshot(tmp_path / "data", facts, tables)  # type: ignore[arg-type]
    options = segments(k1=10, k2=80, label_each=each)
    report = run(path, tmp_path / "out", replace(TINY, backpropagation=options, epochs=1))
    found = report["train"]
    steps = found["seconds_per_step"] * found["real_steps_per_s"]
    assert steps == pytest.approx(1)
    stored = Checkpoint.read(tmp_path / "out/checkpoint")
    assert stored is not None and stored.progress["run"]["steps"] == 8 * 200
    (epoch,) = found["history"]
    read_again = 8 * (10 + 20 + 30 + 40 + 50 + 60 + 13 * 70) if each else 0
    assert stored.progress["run"]["context"] == read_again
    assert epoch["context_share"] == pytest.approx(read_again / stored.progress["run"]["computed"])
    assert 0 <= epoch["padding_share"] <= 0.02
    told = epoch["segments"]
    assert 0 < told["drain_filled"] <= 1 and told["rounds"] == 21
    assert (told["context_share"] > 0.8) == each and told["real_share"] <= 1


def test_the_rate_falls_to_its_end_and_not_before(tmp_path: Path, path_of_windows: Path) -> None:
    """Updates at a rate of nothing learn nothing: the rounds of an epoch must be known."""
    rates: list[float] = []
    update = loop.update

    def noted(run: loop.Run, batch: Any, share: float) -> Any:
        result = update(run, batch, share)
        rates.append(run.optimizer.param_groups[0]["lr"])
        return result

    options = replace(
        TINY, backpropagation=segments(k1=900), batch_tokens=4_000, memory="1MB", epochs=2
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "update", noted)
        run(path_of_windows, tmp_path / "out", options)
    assert min(rates) > 0
    falling = rates[rates.index(max(rates)) :]
    assert len(falling) > 8 and falling == sorted(set(falling), reverse=True)


def test_the_automatic_schedule_doubles_lengths_and_ends_with_whole_rows() -> None:
    """Short pieces first; however slowly the loss falls, half of the training reads whole rows."""
    falling = [1 / epoch for epoch in range(1, 29)]
    found = phases(segments(schedule="auto"), falling, longest=1_000)
    steps = [p.steps for p in found]
    assert steps == sorted(steps) and steps[0] == 16 and set(steps[14:]) == {1_000}
    assert [p.segments for p in found if p.why != found[0].why or p is found[0]][:1] == [64]
    begun = {p.segments for p in found}
    assert begun == {64, 32, 16, 8, 4, 2, 1}
    assert found[-1].why == "52% of the training"
    assert phases(segments(schedule="auto"), [1.0], longest=1_000)[0].steps == 1_000
    assert numbers_of(segments(schedule="auto"), 20) == (1,)


def test_the_automatic_schedule_also_goes_on_when_the_loss_does_not_fall() -> None:
    """Epochs in which short segments teach nothing more are lost to the long ones."""
    found = phases(segments(schedule="auto", patience=1), [1.0] * 40, longest=64)
    assert [p.segments for p in found[:5]] == [4, 4, 2, 2, 1]


@pytest.mark.parametrize("number", [2, 7])
@pytest.mark.parametrize(
    "options", [segments(schedule=(4, 1)), segments(schedule="auto", label_each=True)]
)
def test_updates_can_be_counted_instead_of_epochs(
    tmp_path: Path, options: Backpropagation, number: int
) -> None:
    """Comparisons give each variant so many steps of the optimiser, not so many rounds."""
    path = task_snapshot(tmp_path / "data", "classify", rows=12)
    made = replace(TINY, backpropagation=options, epochs=None, updates=number)
    report = run(path, tmp_path / "out", made)
    assert report["train"]["updates"] == number


MODES = {
    "end": ("classify", segments(k1=5)),
    "reread": ("classify", segments(k1=5, k2=12)),
    "each": ("classify", segments(k1=5, k2=8, label_each=True)),
    "steps": ("label_steps", segments(k1=6, k2=9)),
    "schedule": ("regress", segments(schedule=(5, 1), patience=1)),
    "auto": ("classify", segments(schedule="auto", label_each=True)),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_after_any_update_changes_nothing(tmp_path: Path, mode: str) -> None:
    """In the middle of a record, at an epoch's edge, anywhere: weights and losses are the same."""
    task, backpropagation = MODES[mode]
    crop = {"name": "truncate", "position": 0, "length": 25, "keep": "random"}
    drawn = (crop,) if task == "classify" else ()
    path = task_snapshot(tmp_path / "data", task, rows=6, on_the_fly=drawn)
    epochs = 3 if backpropagation.schedule else 2
    options = replace(TINY, backpropagation=backpropagation, epochs=epochs)
    run(path, tmp_path / "whole", options)
    stops = 0
    while not (tmp_path / "parts/report.json").exists():
        try:  # stopped after every single round
            job = Job(snapshot=str(path), out=str(tmp_path / "parts"), train=options)
            train.train(job, stopping=after(1))
        except loop.Stopped:
            stops += 1
        assert stops < 200  # it goes on, and does not begin again
    assert stops > 2 * epochs
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert same_weights(tmp_path / "parts", tmp_path / "whole")
    told = [[e["segments"] for e in events(tmp_path / name)] for name in ("parts", "whole")]
    assert told[0] == told[1]


@pytest.fixture
def path_of_windows(tmp_path: Path) -> Path:
    """Long rows in shards that do not fit one megabyte together."""
    data = {"values": [[0.5] * 2 * n for n in range(3000, 8600, 700)], "label": [0, 1] * 4}
    facts = facts_of_task("classify", data)
    tables = {split: example_table(data, facts, prefix=split) for split in ("train", "validation")}
    return write_snapshot(tmp_path / "data", facts, tables, shards=8)  # type: ignore[arg-type]


def test_a_stop_in_the_middle_of_windows_of_shards_changes_nothing(
    tmp_path: Path, path_of_windows: Path
) -> None:
    """Where shards do not fit the memory together, a run goes on in the window where it was."""
    path = path_of_windows
    options = replace(
        TINY, backpropagation=segments(k1=900), batch_tokens=4_000, memory="1MB", epochs=1
    )
    assert len(open_sources(Snapshot.read(path), options)["train"].windows(0)) > 1
    check_a_stop_changes_nothing(path, tmp_path, options, stop=5)


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("classify", {"k1": 8}),
        ("classify", {"schedule": "auto", "label_each": True}),
        pytest.param("regress", {"k1": 8}, marks=pytest.mark.slow),
        ("label_steps", {"k1": 8}),
        ("regress_steps", {"schedule": (6, 2, 1), "patience": 1}),
    ],
)
def test_it_learns_with_labels_at_the_end_and_at_every_step(
    tmp_path: Path, task: Any, options: dict[str, Any]
) -> None:
    """Rows are longer than the gradient reaches; what is carried must be of use all the same."""
    path = task_snapshot(tmp_path / "data", task, rows=120)
    made = replace(
        TINY,
        model=Model(hidden=16, dropout=0.0, bidirectional=False),
        optimizer=Optimizer(lr=0.02),
        backpropagation=segments(**options),
        batch_tokens=512,
        max_rows=24,
        epochs=5,
    )
    report = run(path, tmp_path / "out", made)
    found = report["metrics"]["test"]
    if task in ("classify", "label_steps"):
        assert found["accuracy"] > 0.85
    else:
        assert found["r2"] > 0.5
    for event in report["train"]["history"]:
        assert event["segments"]["real_share"] is None or event["segments"]["real_share"] >= 0.98
    plots.learning_curves(tmp_path / "curves.png", epochs=report["train"]["history"], best=1)


@pytest.mark.parametrize(("task", "k1"), [("classify", 3), ("regress_steps", 7)])
def test_with_weights_held_still_an_epoch_has_the_loss_of_whole_rows(
    tmp_path: Path, task: Any, k1: int
) -> None:
    """Rounds in which no record ends must hand their states on, too; every record counts once."""
    path = task_snapshot(tmp_path / "data", task, rows=8)
    still = replace(
        TINY,
        model=replace(TINY.model, dropout=0.0),
        optimizer=Optimizer(lr=1e-12, weight_decay=0.0),
        epochs=1,
    )
    run(path, tmp_path / "whole", still)
    run(path, tmp_path / "cut", replace(still, backpropagation=segments(k1=k1)))
    assert losses(tmp_path / "cut")[0] == pytest.approx(losses(tmp_path / "whole")[0], rel=1e-6)


def test_a_record_that_is_no_number_is_named_by_the_guard(tmp_path: Path) -> None:
    """The rounds after it are not finite until it ends: a person must learn which it is."""
    data = {"values": [[0.1, 0.2] * 30 for _ in range(8)], "label": [0, 1] * 4}
    data["values"][5][3] = float("nan")
    facts = facts_of_task("classify", data)
    tables = {split: example_table(data, facts, prefix=split) for split in ("train", "validation")}
    path = write_snapshot(tmp_path / "data", facts, tables)  # type: ignore[arg-type]
    options = replace(
        TINY, backpropagation=segments(k1=3, label_each=True), guard=3, max_rows=2, epochs=1
    )
    with pytest.raises(SeqprepError, match=r"3 updates in a row.*train#"):
        run(path, tmp_path / "out", options)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["reread", "each"])
def test_lanes_on_two_processes_learn_what_one_learns(tmp_path: Path, mode: str) -> None:
    """Each reads its lanes, all know the states of all: one process goes on where two stopped."""
    task, backpropagation = MODES[mode]
    path = task_snapshot(tmp_path / "data", task, rows=9)
    model = replace(TINY.model, dropout=0.0)
    options = replace(TINY, model=model, backpropagation=backpropagation, epochs=2)
    run(path, tmp_path / "whole", options)
    job = Job(snapshot=str(path), out=str(tmp_path / "parts"), train=options)
    (tmp_path / "job.json").write_text(json.dumps(to_json(job)))
    run_processes(2, "training", str(tmp_path / "job.json"), str(tmp_path / "log"), "6")
    logs = [json.loads((tmp_path / f"log.{rank}").read_text()) for rank in (0, 1)]
    assert logs[0] == logs[1] and len(logs[0]) == 6
    run(path, tmp_path / "parts", options)
    for one, two in zip(losses(tmp_path / "parts"), losses(tmp_path / "whole"), strict=True):
        assert one == pytest.approx(two, rel=1e-4)
    assert events(tmp_path / "parts")[0]["update"] == events(tmp_path / "whole")[0]["update"]


def test_the_curves_show_where_segments_changed(tmp_path: Path) -> None:
    """Without the lines a jump of the loss looks like luck; whole rows have none."""
    path = task_snapshot(tmp_path / "data", "classify", rows=12)
    made = replace(TINY, backpropagation=segments(schedule="auto", label_each=True), epochs=4)
    run(path, tmp_path / "out", made)
    epochs = events(tmp_path / "out")
    assert len({e["segments"]["steps"] for e in epochs}) > 1
    for name, shown in (("with", epochs), ("without", [{**e, "segments": None} for e in epochs])):
        plots.learning_curves(tmp_path / f"{name}.png", epochs=shown, best=1)
    sizes = [(tmp_path / f"{name}.png").stat().st_size for name in ("with", "without")]
    assert sizes[0] > sizes[1] > 0


def test_dropout_draws_anew_in_each_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same mask in every round of a long record would be another, smaller model."""
    path = task_snapshot(tmp_path / "data", "classify", rows=6)
    seeds: list[int] = []
    seed = torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda n: (seeds.append(n), seed(n))[1])
    run(path, tmp_path / "out", replace(TINY, backpropagation=segments(k1=2), epochs=1))
    assert len(set(seeds[1:])) == len(seeds[1:]) > 10
    assert np.isfinite(losses(tmp_path / "out")).all()
