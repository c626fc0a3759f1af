"""What a trainer writes is shown once, whatever stands in its file already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.train import _report
from flows.training.events import NewEvents, figures
from models.training.events import Events

PROGRESS = {
    "real_steps_per_s": 2000.0,
    "padding_share": 0.25,
    "context_share": 0.0,
    "grad_norm": 3.0,
    "grad_norm_clipped": 3.0,
    "memory_bytes": 0,
}


def line(event: str, update: int, **fields: Any) -> bytes:
    return json.dumps({"event": event, "update": update, **fields}).encode() + b"\n"


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


def told(events: NewEvents) -> list[tuple[str, int]]:
    return [(event["event"], event["update"]) for event in events.read()]


def test_each_event_is_read_once_and_a_torn_line_when_it_is_whole(tmp_path: Path) -> None:
    """Would break if progress were shown twice, or a half-written line ended the command."""
    path = tmp_path / "metrics.jsonl"
    events = NewEvents(path)
    assert told(events) == []
    whole = line("progress", 3)
    append(path, line("start", 0), line("progress", 2), whole[:9])
    assert told(events) == [("start", 0), ("progress", 2)]
    assert told(events) == []
    append(path, whole[9:])
    assert told(events) == [("progress", 3)]


def test_only_what_was_added_is_read(tmp_path: Path) -> None:
    """Would break if a long run's file were read from its beginning twice a second."""
    path = tmp_path / "metrics.jsonl"
    events = NewEvents(path)
    append(path, line("start", 0))
    assert told(events) == [("start", 0)]
    with path.open("r+b") as file:
        file.write(b"#")  # what was read is not looked at again
    append(path, line("progress", 1))
    assert told(events) == [("progress", 1)]


def test_events_of_earlier_trainers_are_passed_over(tmp_path: Path) -> None:
    """Would break if a run that goes on showed the old one's end, or nothing at all."""
    path = tmp_path / "metrics.jsonl"
    append(path, line("start", 0), line("progress", 4), line("start", 4), line("progress", 9))
    appended, rewritten = NewEvents(path), NewEvents(path)
    again = NewEvents(path)
    append(path, line("start", 9), line("progress", 10))
    assert told(appended) == [("start", 9), ("progress", 10)]
    with Events(tmp_path, done=(4, 0)) as writer:  # back to the checkpoint after update 4
        assert told(rewritten) == []
        writer.write("start", {"update": 4})
        assert told(rewritten) == [("start", 4)]
        writer.write("end", {"update": 9})
    assert told(rewritten) == [("end", 9)]
    path.unlink()
    append(path, line("start", 0), line("start", 0), line("progress", 1))  # without a checkpoint
    assert told(again) == [("start", 0), ("progress", 1)]


def test_figures_say_what_a_person_watches() -> None:
    """Would break if a run that is slow, wasteful or exploding looked like any other."""
    assert figures(PROGRESS) == "2,000 steps/s, padding 25.0%, gradient 3"
    more = {"grad_norm_clipped": 1.0, "context_share": 0.5, "memory_bytes": 5 * 2**20}
    assert figures(PROGRESS | more) == (
        "2,000 steps/s, padding 25.0%, read again 50.0%, gradient 3 clipped to 1, memory 5 MB"
    )
    assert "gradient" not in figures(PROGRESS | {"grad_norm": None})


def test_progress_epochs_and_remarks_reach_the_person(capsys: Any, monkeypatch: Any) -> None:
    """Would break if the figures stood in metrics.jsonl alone."""
    monkeypatch.setenv("SEQPREP_TERMINAL", "1")
    shown: list[tuple[Any, ...]] = []
    losses = {"epoch": 1, "train_loss": 0.5, "validation_loss": None}
    for event in (
        {"event": "start", "update": 0, "remarks": ["the schedule will not end"]},
        {"event": "progress", "update": 3, "updates_total": 9, **PROGRESS},
        {"event": "epoch", **losses, **PROGRESS},
    ):
        _report(event, lambda *told: shown.append(told))
    assert shown == [("updates", 3, 9, figures(PROGRESS))]
    said = capsys.readouterr().err
    assert "the schedule will not end" in said
    assert f"epoch 1: training loss 0.5000; {figures(PROGRESS)}" in said
