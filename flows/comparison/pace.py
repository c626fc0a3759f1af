"""How fast a strategy trains, which decides how long its training may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How fast a strategy trains, from a few updates.

    Args:
        update_s: seconds an update. around_s: of start, scores and end. judge_s: of a validation.
        test_s: those of `around_s` that go to test scores and baselines, which a search leaves out.
        update_steps: real steps an update.
        epoch_updates: updates of an epoch, about.
        trainings: one after the other, each with as many updates.
    """

    update_s: float
    around_s: float
    judge_s: float
    update_steps: float
    epoch_updates: float
    test_s: float = 0.0
    trainings: int = 1
