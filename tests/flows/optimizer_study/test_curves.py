"""Figures of one training's losses, on a few numbers that can be checked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flows.optimizer_study.curves import largest_jump, read_curve, smoothed, spikes
from seqprep.errors import CorruptError


def test_the_largest_jump_is_a_rise_between_neighbours() -> None:
    """Would break if a fall counted, or the way from the lowest to the highest loss."""
    assert largest_jump(np.array([9.0, 1.0, 1.5, 1.25, 2.25, 2.5])) == (1.0, 5)
    assert largest_jump(np.array([3.0, 2.0, 1.0])) == (0.0, 0)
    assert largest_jump(np.array([0.0, 5.0, 1.0, 2.0]), after=2) == (1.0, 4)


def test_a_loss_that_is_not_finite_is_the_largest_jump_and_a_spike() -> None:
    """Would break if an explosion looked like a calm training."""
    losses = np.array([1.0, np.nan, np.nan, 1.0, 1.0, 5.0])
    assert largest_jump(losses) == (np.inf, 2)
    assert spikes(np.array([1.0, 1.0, np.nan, 1.0, 1.0, 1.0]), window=2) == 1


def test_a_spike_stands_out_of_those_before_it() -> None:
    """Would break if a loss that is high all the time, or falls, were a spike."""
    assert spikes(np.array([8.0, 8.0, 8.0, 4.0, 2.0, 1.0]), window=3) == 0
    assert spikes(np.array([1.0, 1.0, 1.0, 2.0, 1.0, 2.1, 1.0]), window=3) == 1
    assert spikes(np.array([1.0, 9.0]), window=2) == 0  # nothing before it to stand out of


def test_the_mean_leaves_out_what_is_not_finite() -> None:
    """Would break if one bad update made all later means useless."""
    found = smoothed(np.array([1.0, 3.0, np.nan, 5.0]), window=2).tolist()
    assert found[1:] == [2.0, 3.0, 5.0]


def events(folder: Path, *lines: dict[str, Any]) -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def progress(update: int, losses: list[float | None], steps: int) -> dict[str, Any]:
    figures = {"losses": losses, "steps": steps, "real_steps_per_s": 10.0}
    return {"event": "progress", "update": update, **figures}


def epoch(update: int, clipped: float, segments: int) -> dict[str, Any]:
    told = {"validation_loss": 1 / update, "clipped_share": clipped}
    return {"event": "epoch", "update": update, **told, "segments": {"segments": segments}}


def test_a_curve_has_loss_steps_and_seconds_of_every_update(tmp_path: Path) -> None:
    """Would break if updates between two lines of metrics.jsonl were lost or shifted."""
    events(
        tmp_path,
        {"event": "start", "update": 0},
        progress(1, [4.0], 20),
        progress(3, [3.0, None], 60),
        epoch(3, 1.0, 10),
        progress(4, [1.0], 160),
        epoch(4, 0.0, 2),
    )
    curve = read_curve(tmp_path)
    np.testing.assert_equal(curve.losses, [4.0, 3.0, np.nan, 1.0])
    assert curve.steps.tolist() == [20, 40, 60, 160]
    assert curve.seconds.tolist() == [2.0, 4.0, 6.0, 16.0]
    assert (curve.epochs.tolist(), curve.held_out.tolist()) == ([3, 4], [1 / 3, 1 / 4])
    assert curve.clipped_share == pytest.approx(3 / 4)
    assert curve.segments == (10, 2)


def test_a_curve_with_missing_losses_is_refused(tmp_path: Path) -> None:
    """Would break if a jump were looked for in a part of the training."""
    events(tmp_path, progress(1, [4.0], 20), epoch(3, 0.0, 1))
    with pytest.raises(CorruptError, match="1 losses, not one of every update"):
        read_curve(tmp_path)
