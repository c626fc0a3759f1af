"""How long trainings of each length may be, so that a study fits its time."""

from __future__ import annotations

import pytest

from flows.comparison.pace import Pace
from flows.length_study.budget import Plan, make_plan
from seqprep.errors import ConfigError


def pace(update_s: float, epoch_updates: float = 20.0) -> Pace:
    return Pace(
        update_s=update_s, around_s=4.0, judge_s=0.5, update_steps=1.0, epoch_updates=epoch_updates
    )


PACES = {"16": pace(0.01), "256": pace(0.1), "4096": pace(1.0)}


def plan_of(seconds: float, paces: dict[str, Pace] = PACES) -> Plan:
    return make_plan(paces, rows=32, seconds=seconds, spent_s=10.0, seeds=3, workers=2)


def test_the_plan_fits_the_time_and_makes_use_of_it() -> None:
    """Would break if a study of ten minutes took an hour, or one."""
    assert 0.8 * 600 <= plan_of(600).seconds <= 600


def test_every_length_gets_the_same_updates() -> None:
    """Would break if short records were read more often than long ones."""
    assert len(set(plan_of(600).updates.values())) == 1


def test_pieces_are_read_as_often_as_whole_records() -> None:
    """Would break if a recording in pieces were read in part, or a hundred times."""
    pieces = {"16": pace(0.01, 20), "256": pace(0.1, 2), "4096": pace(1.0, 1)}
    updates = plan_of(600, pieces).updates
    assert updates["16"] == pytest.approx(20 * updates["4096"], rel=0.05)
    assert updates["256"] == pytest.approx(2 * updates["4096"], rel=0.05)


def test_no_record_is_read_for_ever() -> None:
    """Would break if a small dataset were read thousands of times because there was time."""
    assert plan_of(1e6).passes == pytest.approx(60)


def test_too_little_time_is_refused_with_what_is_enough() -> None:
    """Would break if a study began that cannot end in time."""
    with pytest.raises(ConfigError, match="too short for 3 lengths and 3 seeds") as caught:
        plan_of(30)
    enough = float(str(caught.value).split("records need ")[1].split(";")[0])
    assert min(plan_of(60 * enough).updates.values()) >= 20
