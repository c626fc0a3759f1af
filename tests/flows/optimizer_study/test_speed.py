"""How soon a common loss is reached, on a few numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from flows.optimizer_study.curves import Curve
from flows.optimizer_study.speed import early, lowest


def curve(losses: list[float], *, each: float, epochs: list[int], held_out: list[float]) -> Curve:
    """A training whose updates take `each` seconds and ten times as many steps."""
    seconds = each * np.arange(1, len(losses) + 1)
    return Curve(
        losses=np.array(losses),
        seconds=seconds,
        steps=10 * seconds,
        epochs=np.array(epochs, float),
        held_out=np.array(held_out),
        clipped_share=0.0,
        segments=(),
    )


SHORT = curve([8, 6, 5, 4, 3, 3, 3, 3], each=0.5, epochs=[4, 8], held_out=[5.0, 3.0])
WHOLE = curve([8, 4, 3, 2, 1, 1, 1, 1], each=4.0, epochs=[2, 4, 8], held_out=[4.0, 2.0, 1.0])


def test_the_early_loss_is_of_the_first_quarter_and_of_the_slower_one() -> None:
    """Would break if the loss were one that only one of them has early."""
    level, *mine, updates, steps, seconds = early(SHORT, WHOLE, window=1)
    assert level == 6.0  # of the first two updates: 6 and 4
    assert mine == [2, 10.0, 1.0]
    assert [updates, steps, seconds] == [2, 80.0, 8.0]


def test_the_early_loss_is_of_means_over_the_window() -> None:
    """Would break if one lucky record counted as progress."""
    level, updates, *_ = early(SHORT, WHOLE, window=2)
    assert (level, updates) == (7.0, 2)


def test_the_lowest_validation_loss_of_both_is_looked_for_at_ends_of_epochs() -> None:
    """Would break if updates were taken for epochs."""
    found = lowest(SHORT, WHOLE)
    assert found == pytest.approx((3.0, 8, 40.0, 4.0, 4, 160.0, 16.0))
