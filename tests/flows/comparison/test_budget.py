"""How long trainings may be, so that a comparison fits its time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flows.comparison.budget import (
    LEAST_UPDATES,
    MOST_EPOCHS,
    Equal,
    Plan,
    Terms,
    make_plan,
    search_updates,
    training_s,
)
from flows.comparison.pace import Pace
from seqprep.errors import ConfigError

SLOW = Pace(update_s=1.0, around_s=4.0, judge_s=2.0, update_steps=4000, epoch_updates=50)
QUICK = Pace(update_s=0.1, around_s=4.0, judge_s=0.2, update_steps=1000, epoch_updates=50)


def plan_of(
    paces: dict[str, Pace],
    *,
    seconds: float = 1800.0,
    equal: Equal = "seconds",
    seeds: int = 3,
) -> Plan:
    terms = Terms(equal=equal, settings=2, finalists=8, seeds=seeds, workers=2)
    return make_plan(paces, terms, seconds=seconds, spent_s=10.0)


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
    plan = plan_of({"full": QUICK, "quick": QUICK}, seconds=1e6)
    assert plan.updates["quick"] == MOST_EPOCHS * 50


def test_what_does_not_fit_is_left_out_the_dearest_first_and_what_is_enough_is_said() -> None:
    """Would break if what cannot end in time began with everything, or with nothing."""
    paces = {"full": SLOW, **{f"way-{n}": QUICK if n % 2 else SLOW for n in range(10)}}
    plan = plan_of(paces, seconds=360.0)
    assert plan.seconds <= 360
    assert set(plan.left_out) < {f"way-{n}" for n in range(0, 10, 2)} and plan.left_out
    assert "full" in plan.updates and set(plan.updates) | set(plan.left_out) == set(paces)
    assert plan.enough_s is not None
    enough = plan_of(paces, seconds=plan.enough_s + 1)
    assert not enough.left_out and enough.enough_s is None
    assert enough.amount >= 0.98 * plan.amount  # more time never gives a way less


def test_a_way_that_gets_more_than_the_others_is_said() -> None:
    """Would break if the least updates of a dear way passed for the same seconds."""
    dear = replace(SLOW, update_s=5.0)
    plan = plan_of({"full": dear, **{f"way-{n}": QUICK for n in range(6)}}, seconds=900.0)
    assert plan.amount < LEAST_UPDATES * 5.0
    assert plan.floored == {"full": pytest.approx(LEAST_UPDATES * (5.0 + 2.0 / 50))}
    assert plan.updates["full"] == LEAST_UPDATES
    assert not plan_of({"full": QUICK, "quick": QUICK}).floored


def test_two_trainings_in_a_row_share_the_updates_of_one() -> None:
    """Would break if an autoencoder before a way were free where updates are what is equal."""
    paces = {"full": SLOW, "codes": replace(SLOW, trainings=2)}
    plan = plan_of(paces, equal="updates")
    assert plan.updates["codes"] == pytest.approx(plan.updates["full"] / 2, abs=1)


def test_too_little_time_for_two_strategies_is_refused_with_what_is_enough() -> None:
    """Would break if a comparison of nothing with nothing began."""
    paces = {f"way-{n}": SLOW for n in range(10)}
    with pytest.raises(ConfigError, match=r"--minutes 1 is too short: even 20 updates") as caught:
        plan_of(paces, seconds=60.0)
    enough = float(str(caught.value).split("seed need ")[1].split(";")[0])
    plan = plan_of(paces, seconds=60 * enough)
    assert len(plan.updates) == 2 and plan.seeds < 3
    assert plan_of(paces, seconds=plan.enough_s or 0.0).seeds == 3


def test_trainings_side_by_side_never_outlast_their_prediction() -> None:
    """Would break if the last long training began when all was to have ended: list scheduling."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        updates = int(rng.integers(20, 200))
        paces = {f"way-{n}": replace(SLOW, update_s=float(rng.uniform(0.05, 2))) for n in range(6)}
        terms = Terms(equal="updates", settings=2, finalists=8, seeds=3, workers=2)
        rounds = [(2, max(20, round(updates * 0.25))), (3, updates)]
        took_s = sum(
            listed([training_s(pace, count) for pace in paces.values()] * times)
            for times, count in rounds
        )
        assert took_s <= terms.cost_s(paces, float(updates)) + 1e-6


def listed(each_s: list[float], *, workers: int = 2) -> float:
    """Seconds that trainings take in their order, each begun where a place is free."""
    places = [0.0] * workers
    for one_s in each_s:
        places[places.index(min(places))] += one_s
    return max(places)


def test_the_search_is_not_given_the_seconds_of_test_scores() -> None:
    """Would break if a search were planned as long as if it scored test rows and baselines."""
    plain = plan_of({"slow": SLOW, "quick": QUICK}, equal="updates", seconds=600.0)
    scored = {"slow": replace(SLOW, test_s=3.0), "quick": replace(QUICK, test_s=3.0)}
    longer = plan_of(scored, equal="updates", seconds=600.0)
    assert longer.amount > plain.amount
    assert longer.search_s["slow"] == pytest.approx(
        training_s(SLOW, search_updates(longer, "slow")) - 3.0
    )
    assert longer.full_s["slow"] == training_s(SLOW, longer.updates["slow"])


def test_the_search_takes_a_quarter_of_the_updates() -> None:
    """Would break if the search cost as much as what it is to save."""
    plan = plan_of({"slow": SLOW, "quick": QUICK})
    assert search_updates(plan, "quick") == round(plan.updates["quick"] / 4)
