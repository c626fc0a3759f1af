"""The exponent of time in length, on literal times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flows.length_study.exponent import Exponent, fit
from flows.length_study.page import of_time

STEPS = np.array([16, 64, 256, 1024, 4096])


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_a_power_law_is_found(power: float) -> None:
    """Would break if quadratic time were called linear."""
    found = fit([(steps, 3e-4 * steps**power) for steps in STEPS])
    assert found is not None
    assert found.value == pytest.approx(power)
    assert found.standard_error == pytest.approx(0, abs=1e-6)
    assert found.seconds(100) == pytest.approx(3e-4 * 100**power)


def test_the_standard_error_holds_the_truth_as_often_as_it_says() -> None:
    """Would break if it were forgotten that a line through few points is unsure."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(400):
        seconds = STEPS[:4] * np.exp(rng.normal(0, 0.2, 4))
        found = fit(list(zip(STEPS[:4], seconds, strict=True)))
        assert found is not None and found.standard_error is not None
        inside += abs(found.value - 1) < 4.303 * found.standard_error  # t, two degrees of freedom
    assert 0.92 <= inside / 400 <= 0.98


def test_what_an_update_costs_at_any_length_does_not_hold_the_exponent_down() -> None:
    """Would break if the linear time of an LSTM came out as a root because short ones are slow."""
    noise = np.exp(np.random.default_rng(1).normal(0, 0.03, 9))
    steps = 2.0 ** np.arange(3, 12)
    found = fit(list(zip(steps, (0.004 + 9e-5 * steps) * noise, strict=True)))
    assert found is not None and found.standard_error is not None
    assert found.value == pytest.approx(1, abs=0.1)
    assert abs(found.value - 1) < 3 * found.standard_error
    assert found.fixed == pytest.approx(0.004, rel=0.2)


@pytest.mark.parametrize("times", [(0.01, 0.0099, 0.0098, 0.0097, 0.0096), (1e-4,) * 5])
def test_updates_that_take_no_longer_have_an_exponent_of_nothing(times: tuple[float, ...]) -> None:
    """Would break if a study of short records, or on a GPU, ended without its page."""
    found = fit([(2.0**n, seconds) for n, seconds in enumerate(times, 3)])
    assert found is not None and found.value == pytest.approx(0, abs=0.05)


def test_two_lengths_have_no_error_and_one_has_no_exponent() -> None:
    """Would break if a line through two points were called sure."""
    two = fit([(10, 1.0), (100, 10.0)])
    assert two is not None and two.standard_error is None
    assert fit([(10, 1.0), (10, 1.1)]) is None
    assert fit([]) is None


def test_the_exponent_is_told_with_its_error_and_what_it_means() -> None:
    """Would break if a line through two points, or a fixed cost, were told as the whole truth."""
    fitted = Exponent(value=1.04, standard_error=0.02, fixed=0.0, factor=1.0, points=5)
    told = of_time(fitted)
    assert "to the power 1.04 (standard error 0.02)" in told and "1 is linear" in told
    assert "(of two lengths)" in of_time(replace(fitted, standard_error=None))
    assert "0.25 s at any length" in of_time(replace(fitted, fixed=0.25))
    assert "too few lengths" in of_time(None)
