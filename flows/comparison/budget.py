"""How long each training of a comparison may be, so that the whole fits what a person allows.

Every strategy gets the same: seconds on one process (default), steps read, or updates. Which of
them, and what it comes to, is printed with the predicted time before anything is trained. Seconds
are turned into updates by a few measured ones, so that a training is the same whenever it runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from flows.comparison.trials import Pace
from seqprep.errors import ConfigError

Equal = Literal["seconds", "steps", "updates"]
"""What all strategies get the same of."""
UNITS = {"seconds": "seconds on one process", "steps": "steps", "updates": "updates"}
"""In a person's words."""
SEARCH_SHARE = 0.25
"""Of the updates, in the search (CONTRACT 30)."""
FINALISTS, SEEDS = 8, 3
MOST_EPOCHS = 60
"""More passes over the rows than this teach nothing new, whatever time is left."""
LEAST_UPDATES = 20
PACE_UPDATES = 8
RESERVE = 0.9
"""Share of the time that is planned; trainings beside each other are slower than the measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will be trained.

    Args:
        equal: what strategies get the same of. amount: of it, a full training.
        updates: of a full training, by strategy.
        settings: trainings of the search, a strategy. finalists: in full. seeds: of each.
        seconds: that all of it is expected to take.
    """

    equal: Equal
    amount: float
    updates: Mapping[str, int]
    settings: int
    finalists: int
    seeds: int
    seconds: float


def make_plan(
    paces: Mapping[str, Pace],
    *,
    equal: Equal,
    seconds: float,
    spent_s: float,
    settings: int,
    finalists: int,
    seeds: int,
    workers: int,
    of: str = "strategies",
) -> Plan:
    """The largest equal amount whose trainings fit the time.

    Args:
        paces: of each strategy.
        equal: what they get the same of.
        seconds: that all of it may take.
        spent_s: of these, what is gone already.
        settings: trainings of the search, a strategy.
        finalists: strategies that are trained in full.
        seeds: of each of them.
        workers: trainings at once.
        of: what is compared, which is also the option that names fewer.

    Raises:
        ConfigError: if the time is too short for the fewest updates, naming what is enough.
    """

    def cost(amount: float) -> float:
        updates = _updates(paces, equal, amount)
        search = sum(
            settings * _training_s(pace, _searched(updates[name])) for name, pace in paces.items()
        )
        full = sorted(_training_s(pace, updates[name]) for name, pace in paces.items())
        return spent_s + (search + seeds * sum(full[-finalists:])) / workers

    least, most = 0.0, _ample(paces, equal)
    if cost(least) > RESERVE * seconds:
        enough = cost(least) / RESERVE / 60
        raise ConfigError(
            f"--minutes {seconds / 60:.3g} is too short for {len(paces)} {of} and {seeds} "
            f"seeds: even {LEAST_UPDATES} updates of each need {math.ceil(enough)}; allow more, or "
            f"name fewer with --{of}"
        )
    for _ in range(60):
        middle = (least + most) / 2
        least, most = (middle, most) if cost(middle) <= RESERVE * seconds else (least, middle)
    return Plan(
        equal=equal,
        amount=least,
        updates=_updates(paces, equal, least),
        settings=settings,
        finalists=min(finalists, len(paces)),
        seeds=seeds,
        seconds=cost(least),
    )


def _searched(updates: int) -> int:
    return max(LEAST_UPDATES, round(updates * SEARCH_SHARE))


def search_updates(plan: Plan, strategy: str) -> int:
    """Updates of a training of the search."""
    return _searched(plan.updates[strategy])


def _updates(paces: Mapping[str, Pace], equal: Equal, amount: float) -> dict[str, int]:
    """Updates of a full training that come to the same amount for every strategy."""
    found = {}
    for name, pace in paces.items():
        each = {"seconds": pace.update_s, "steps": pace.update_steps, "updates": 1.0}[equal]
        if equal == "seconds":
            each += pace.judge_s / max(1.0, pace.epoch_updates)
        most = max(LEAST_UPDATES, round(MOST_EPOCHS * pace.epoch_updates))
        found[name] = min(most, max(LEAST_UPDATES, round(amount / each)))
    return found


def _training_s(pace: Pace, updates: int) -> float:
    epochs = math.ceil(updates / max(1.0, pace.epoch_updates))
    return pace.around_s + updates * pace.update_s + epochs * pace.judge_s


def _ample(paces: Mapping[str, Pace], equal: Equal) -> float:
    """An amount beyond which nothing grows any more."""
    amounts = []
    for pace in paces.values():
        updates = max(LEAST_UPDATES, MOST_EPOCHS * pace.epoch_updates)
        each = {"seconds": pace.update_s + pace.judge_s, "steps": pace.update_steps, "updates": 1.0}
        amounts.append(updates * each[equal])
    return max(amounts) * 1.1
