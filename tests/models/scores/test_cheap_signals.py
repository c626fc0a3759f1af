"""Band powers are those of known waves, whatever the length of a row and its neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.scores import cheap_signals
from models.scores.cheap_signals import (
    RowRegression,
    band_powers,
    channel_moments,
    part_steps,
    signal_regression,
)
from seqprep.examples import Examples
from seqprep.ragged import Ragged, to_offsets
from tests.models.scores.test_baselines import scores, snapshot_of
from tests.synthetic import example_table, facts_of_task

EDGES = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 51, 64, 81, 102]
"""Cycles in 256 steps at which bands begin: thirds of octaves, rounded."""


def ragged_of(*rows: np.ndarray) -> Ragged:
    return Ragged(np.concatenate(rows), to_offsets([len(row) for row in rows]))


def wave(cycles: float, steps: int, *, height: float = 1.0) -> np.ndarray:
    """A sine of so many cycles in 256 steps."""
    return height * np.sin(2 * np.pi * cycles * np.arange(steps) / 256 + 0.3)


@pytest.mark.parametrize("cycles", [6.7, 18.0, 57.0, 120.0])
def test_a_wave_stands_in_its_band_with_its_power(cycles: float) -> None:
    """Half the squared height of a sine is its power: a quarter of it is left on either side."""
    rows = ragged_of(np.stack([wave(cycles, 4096), wave(cycles, 4096, height=10.0)], axis=1) + 50)
    logs = band_powers(rows, part=256).reshape(len(EDGES), 2)
    band = int(np.searchsorted(EDGES, cycles, side="right")) - 1
    assert (logs.argmax(0) == band).all()
    np.testing.assert_allclose(np.exp(logs).sum(0), [1 / 4, 100 / 4], rtol=0.02)
    heard = logs[:, 0] > -30  # elsewhere only rounding is left
    np.testing.assert_allclose((logs[:, 1] - logs[:, 0])[heard], np.log(100), atol=1e-4)


def test_rows_do_not_depend_on_their_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ragged rows are cut into parts and read in blocks: none may leak into another."""
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(steps, 3)) for steps in (1, 2, 255, 256, 257, 1000, 5)]
    alone = np.concatenate([band_powers(ragged_of(row), part=256) for row in rows])
    np.testing.assert_allclose(band_powers(ragged_of(*rows), part=256), alone)
    monkeypatch.setattr(cheap_signals, "_BLOCK_CELLS", 256 * 3 * 2)
    np.testing.assert_allclose(band_powers(ragged_of(*rows), part=256), alone)
    assert np.isfinite(alone).all() and alone.shape == (7, len(EDGES) * 3)


def test_a_short_row_is_compared_with_a_long_one() -> None:
    """Zeros that fill a row up would count as silence, and its level as a wave."""
    rows = ragged_of(wave(40, 100)[:, None] + 9, wave(40, 2560)[:, None] - 9)
    logs = band_powers(rows, part=256)
    best = logs.argmax(1)
    assert abs(best[0] - best[1]) <= 1
    powers = np.exp(logs).sum(1)
    assert powers[0] == pytest.approx(powers[1], rel=0.05)


def test_parts_last_about_a_second() -> None:
    """At 2 kHz a part of 256 steps would know nothing below 8 Hz."""
    assert [part_steps(rate) for rate in (1.0, 64.0, 250.0, 2000.0, 1e6)] == [
        64,
        64,
        256,
        2048,
        4096,
    ]


def test_moments_are_each_rows_own() -> None:
    """The channels of a spectrum are told apart by their mean over its frames."""
    rows = ragged_of(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[7.0, 1e6 + 1], [7.0, 1e6 - 1]]))
    found = channel_moments(rows)
    np.testing.assert_allclose(found[:, :2], [[2, 5], [7, 1e6]])
    np.testing.assert_allclose(found[[0, 1], [2, 3]], 0, atol=1e-6)
    assert (found[[0, 1], [3, 2]] < -20).all()


def named(domain: str, *steps: str) -> tuple[str, Any]:
    facts = facts_of_task("classify", {"values": []}, domain=domain)
    pipeline = {"prepare": {"steps": [{step: {}} for step in steps]}}
    name, regression = signal_regression(facts, pipeline)
    return name, regression.measure


def test_what_steps_are_decides_what_is_measured() -> None:
    """A spectrum of the frames of a spectrum, or of words, would be called band power."""
    for domain, steps in (("eeg", ()), ("eeg", ("bandpass", "windows"))):
        name, measure = named(domain, *steps)
        assert name == "band_power" and measure is not channel_moments
    for step in ("spectrum", "band_power"):
        assert named("eeg", step, "windows") == ("band_power", channel_moments)
    for domain, steps in (("eeg", ("one_hot",)), ("text", ("hash",)), ("dna", ("one_hot",))):
        assert named(domain, *steps) == ("channel_means", channel_moments)
    without = signal_regression(facts_of_task("classify", {"values": []}), None)
    assert without[0] == "band_power"


def test_a_rhythm_is_told_where_amplitude_is_not(tmp_path: Path) -> None:
    """The deviation of both classes is the same; a score beside it alone would flatter a model."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 90)
    rows = [
        (wave((10, 14)[code], 400 + 7 * n) + 0.5 * rng.normal(size=400 + 7 * n)).tolist()
        for n, code in enumerate(label)
    ]
    data = {"values": rows, "label": label.tolist()}
    path = snapshot_of(tmp_path, data, channels=("Fp1",), rate_hz=256.0)
    found = scores(path)["test"]
    assert found["band_power"]["accuracy"] == 1
    assert found["standard_deviation"]["accuracy"] < 0.75


def test_rows_that_come_after_an_answer_count() -> None:
    """A model that was fitted on a part of the rows would answer for all."""
    rng = np.random.default_rng(0)
    facts = facts_of_task("classify", {"values": []})
    rows = [rng.normal(size=20).tolist() for _ in range(30)]
    data = {"values": rows, "label": rng.integers(0, 2, 30).tolist()}
    every = Examples.of(example_table(data, facts), facts)
    late, whole = (RowRegression(2, channel_moments) for _ in range(2))
    late.add(every.take(np.arange(10)))
    late.answers(every)
    late.add(every.take(np.arange(10, 30)))
    whole.add(every)
    np.testing.assert_allclose(late.answers(every), whole.answers(every), atol=1e-9)
