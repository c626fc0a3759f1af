"""How long trainings may be, so that a comparison fits its time."""

from __future__ import annotations

import pytest

from flows.comparison.budget import (
    LEAST_UPDATES,
    MOST_EPOCHS,
    Plan,
    make_plan,
    search_updates,
)
from flows.comparison.trials import Pace
from seqprep.errors import ConfigError

SLOW = Pace(update_s=1.0, around_s=4.0, judge_s=2.0, update_steps=4000, epoch_updates=50)
QUICK = Pace(update_s=0.1, around_s=4.0, judge_s=0.2, update_steps=1000, epoch_updates=50)


def plan_of(paces: dict[str, Pace], **changes: object) -> Plan:
    asked = {
        "equal": "seconds",
        "seconds": 1800.0,
        "spent_s": 10.0,
        "settings": 2,
        "finalists": 8,
        "seeds": 3,
        "workers": 2,
    }
    return make_plan(paces, **{**asked, **changes})  # type: ignore[arg-type]


def test_the_plan_fits_the_time() -> None:
    """Would break if a comparison of half an hour took two."""
    plan = plan_of({f"way-{n}": SLOW for n in range(10)})
    assert plan.seconds <= 1800
    assert plan.seconds >= 0.8 * 1800  # and makes use of it


def test_equal_seconds_give_a_quick_strategy_more_updates() -> None:
    """Would break if a cheap strategy were held to the updates of a dear one."""
    plan = plan_of({"slow": SLOW, "quick": QUICK}, seconds=600.0)
    assert plan.updates["quick"] == pytest.approx(10 * plan.updates["slow"], rel=0.1)


def test_equal_updates_are_equal() -> None:
    """Would break if another measure than the one that was asked for decided."""
    plan = plan_of({"slow": SLOW, "quick": QUICK}, equal="updates", seconds=600.0)
    assert plan.updates["quick"] == plan.updates["slow"]


def test_equal_steps_give_short_batches_more_updates() -> None:
    """Would break if steps were not what was counted."""
    plan = plan_of({"slow": SLOW, "quick": QUICK}, equal="steps", seconds=600.0)
    assert plan.updates["quick"] == pytest.approx(4 * plan.updates["slow"], rel=0.05)


def test_no_training_passes_over_its_rows_for_ever() -> None:
    """Would break if a small dataset were read thousands of times because there was time."""
    plan = plan_of({"quick": QUICK}, seconds=1e6)
    assert plan.updates["quick"] == MOST_EPOCHS * 50


def test_too_little_time_is_refused_with_what_is_enough() -> None:
    """Would break if a comparison began that cannot end in time."""
    paces = {f"way-{n}": SLOW for n in range(10)}
    with pytest.raises(ConfigError, match="too short for 10 strategies") as caught:
        plan_of(paces, seconds=60.0)
    enough = float(str(caught.value).split("each need ")[1].split(";")[0])
    assert plan_of(paces, seconds=60 * enough).updates["way-0"] >= LEAST_UPDATES


def test_the_search_takes_a_quarter_of_the_updates() -> None:
    """Would break if the search cost as much as what it is to save."""
    plan = plan_of({"slow": SLOW, "quick": QUICK})
    assert search_updates(plan, "quick") == round(plan.updates["quick"] / 4)
