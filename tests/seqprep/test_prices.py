"""The generated price series of study S3."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep.domains.prices import action_values, changes, prices
from seqprep.source import Generator, Source
from tests.sources import read_source

SMALL = Generator(series=2, test_series=1, steps=400, differences=8)


def test_series_are_the_same_on_every_run() -> None:
    """Otherwise a study could not be repeated."""
    first, second = (read_source(Source(domain="prices", generator=SMALL))[0] for _ in "ab")
    assert first == second
    assert len({row["content_hash"] for row in first}) == 3


def test_paths_tell_training_series_from_test_series() -> None:
    """Otherwise a split by path could not keep the test series apart."""
    rows, seen = read_source(Source(domain="prices", generator=SMALL))
    assert [row["source"] for row in rows] == [
        "test/00.series",
        "train/00.series",
        "train/01.series",
    ]
    assert seen.facts.target_names == ("buy", "sell")
    assert len(seen.facts.channels) == 8


def test_the_first_steps_are_left_out_with_their_targets() -> None:
    """Otherwise inputs would be made of differences to steps that do not exist."""
    rows, _ = read_source(Source(domain="prices", generator=SMALL))
    assert {row["length"] for row in rows} == {392}
    assert {len(row["values"]) for row in rows} == {392 * 8}
    assert {len(row["targets"]) for row in rows} == {392 * 2}


def test_prices_have_two_modes_a_bias_and_two_decimals() -> None:
    """Otherwise both sinusoids could have one frequency, and there would be nothing to detect."""
    series = prices(Generator(noise=0.0), 0)
    assert np.array_equal(series, np.round(series, 2))
    assert abs(series.mean() - 100) < 0.1
    power = np.abs(np.fft.rfft(series - series.mean())) ** 2
    strongest = {round(20_000 / int(index)) for index in np.argsort(power)[-2:]}
    near = {min((500, 90), key=lambda period: abs(period - found)) for found in strongest}
    band = [power[30:50].sum(), power[212:232].sum()]
    assert min(band) > 0.01 * power.sum()
    assert near <= {500, 90}


def test_action_values_obey_bellmans_equation() -> None:
    """Otherwise the targets would be those of another problem."""
    series = np.array([5.0, 7.0, 6.0, 6.5, 6.0])
    q = action_values(series, 0.9).astype(float)
    for step in range(4):
        gain = series[step + 1] - series[step]
        best = q[step + 1].max()
        assert q[step, 0] == pytest.approx(gain + 0.9 * best, abs=1e-6)
        assert q[step, 1] == pytest.approx(-gain + 0.9 * best, abs=1e-6)
    assert q[4].tolist() == [0, 0]


@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.5, 0.9, 0.999]),
)
def test_action_values_are_those_of_steps_taken_one_by_one(
    series: list[float], discount: float
) -> None:
    """Otherwise a stored target would differ in its last bit from one version to the next."""
    expected = [[0.0, 0.0]]
    value = 0.0
    for now, then in reversed([*pairwise(series)]):
        gain, future = then - now, discount * value
        expected.append([gain + future, future - gain])
        value = abs(gain) + future
    found = action_values(np.array(series), discount)
    np.testing.assert_array_equal(found, np.array(expected[::-1], np.float32))


def test_changes_are_differences_to_each_earlier_step() -> None:
    """Otherwise channel k would not be the change against k steps ago."""
    series = np.arange(10.0) ** 2
    found = changes(series, 3)
    for step in range(3, 10):
        expected = [series[step] - series[step - back] for back in (1, 2, 3)]
        assert found[step - 3].tolist() == expected
