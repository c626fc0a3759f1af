"""How long each training of a comparison may be, so that the whole fits what a person allows.

Every strategy gets the same: seconds on one process (default), steps read, or updates. Which of
them, and what it comes to, is printed with the predicted time before anything is trained. Seconds
are turned into updates by a few measured ones, so that a training is the same whenever it runs.
Where the time is too short for all strategies, the dearest are left out, and named; where it is too
short to measure all, one of each family is measured before a second one of any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from flows.comparison.applied import OWN
from flows.comparison.pace import Pace
from seqprep.errors import ConfigError

Equal = Literal["seconds", "steps", "updates"]
"""What all strategies get the same of."""
UNITS = {"seconds": "seconds on one process", "steps": "steps", "updates": "updates"}
"""In a person's words."""
SEARCH_SHARE = 0.25
"""Of the updates, in the search (CONTRACT 30)."""
FINALISTS, SEEDS = 8, 3
KEPT = ("full", OWN)
"""Strategies that are trained in full, whatever the search says: the others are held against
them."""
MOST_EPOCHS = 60
"""More passes over the rows than this teach nothing new, whatever time is left."""
LEAST_UPDATES = 20
PACE_UPDATES = 8
PREPARED_SHARE, MEASURED_SHARE = 0.2, 0.4
"""Of the time, by which rows must be prepared, and paces measured."""
RESERVE = 0.9
"""Share of the time that is planned; the rest is for what takes longer than it was measured."""
FEWEST = 2
"""Strategies without which there is nothing to compare."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will be trained.

    Args:
        equal: what strategies get the same of. amount: of it, a full training.
        updates: of a full training, by strategy.
        settings: trainings of the search, a strategy. finalists: in full. seeds: of each.
        seconds: that all of it is expected to take.
        search_s, full_s: of a training of the search, and of one in full, by strategy.
        seed_s: of one seed of all finalists, for which the search leaves time.
        left_out: strategies for which the time is too short. enough_s: that would do for all of
            them and all seeds, with as much for each; None where it did.
        floored: strategies that get more than the others, since fewer updates teach nothing, with
            the seconds of their updates.
    """

    equal: Equal
    amount: float
    updates: Mapping[str, int]
    settings: int
    finalists: int
    seeds: int
    seconds: float
    search_s: Mapping[str, float]
    full_s: Mapping[str, float]
    seed_s: float = 0.0
    left_out: tuple[str, ...] = ()
    enough_s: float | None = None
    floored: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What a plan has to keep to.

    Args:
        equal: what strategies get the same of.
        settings: trainings of the search, a strategy. finalists: in full. seeds: of each.
        workers: trainings at once.
    """

    equal: Equal
    settings: int
    finalists: int
    seeds: int
    workers: int

    def cost_s(self, paces: Mapping[str, Pace], amount: float) -> float:
        """Seconds that search and full trainings take at most, with so much for each."""
        updates = _updates(paces, self.equal, amount)
        search = [_searching_s(pace, updates[name]) for name, pace in paces.items()]
        search_s = side_by_side(search, self.settings, self.workers)
        return search_s + self.full_s(paces, amount, seeds=self.seeds)

    def full_s(self, paces: Mapping[str, Pace], amount: float, *, seeds: int) -> float:
        """Seconds that full trainings with so many seeds take at most."""
        updates = _updates(paces, self.equal, amount)
        full = sorted(training_s(pace, updates[name]) for name, pace in paces.items())
        return side_by_side(full[-self.finalists - len(KEPT) :], seeds, self.workers)


def make_plan(paces: Mapping[str, Pace], terms: Terms, *, seconds: float, spent_s: float) -> Plan:
    """The largest equal amount whose trainings fit the time.

    Args:
        paces: of each strategy; where not all fit, the dearest are left out.
        terms: that it keeps to; where not even two strategies fit, with fewer seeds.
        seconds: that all of it may take.
        spent_s: of these, what is gone already.

    Raises:
        ConfigError: if the time is too short for two strategies, naming what is enough.
    """
    room_s = RESERVE * seconds - spent_s
    asked, chosen = terms, _affordable(paces, terms, room_s=room_s)
    while terms.seeds > 1 and terms.cost_s(chosen, 0.0) > room_s:
        terms = replace(terms, seeds=terms.seeds - 1)
        chosen = _affordable(paces, terms, room_s=room_s)
    needed_s = terms.cost_s(chosen, 0.0)
    if needed_s > room_s:
        enough = math.ceil((spent_s + needed_s) / RESERVE / 60)
        raise ConfigError(
            f"--minutes {seconds / 60:.3g} is too short: even {LEAST_UPDATES} updates of "
            f"{' and '.join(chosen)} with one seed need {enough}; allow more"
        )
    least, most = 0.0, _ample(chosen, terms.equal)
    for _ in range(60):
        middle = (least + most) / 2
        least, most = (middle, most) if terms.cost_s(chosen, middle) <= room_s else (least, middle)
    updates = _updates(chosen, terms.equal, least)
    fits = len(chosen) == len(paces) and terms.seeds == asked.seeds
    return Plan(
        equal=terms.equal,
        amount=least,
        updates=updates,
        settings=terms.settings,
        finalists=min(terms.finalists, len(chosen)),
        seeds=terms.seeds,
        seconds=spent_s + terms.cost_s(chosen, least),
        search_s={name: _searching_s(p, updates[name]) for name, p in chosen.items()},
        full_s={name: training_s(p, updates[name]) for name, p in chosen.items()},
        seed_s=terms.full_s(chosen, least, seeds=1),
        left_out=tuple(name for name in paces if name not in chosen),
        enough_s=None if fits else (spent_s + asked.cost_s(paces, least)) / RESERVE,
        floored=_floored(chosen, terms.equal, least),
    )


def _affordable(paces: Mapping[str, Pace], terms: Terms, *, room_s: float) -> dict[str, Pace]:
    """The strategies whose least trainings fit the time: the dearest go first, never the kept."""
    chosen = dict(paces)
    dearest = sorted(
        (name for name in paces if name not in KEPT),
        key=lambda name: training_s(paces[name], LEAST_UPDATES),
    )
    while len(chosen) > FEWEST and dearest and terms.cost_s(chosen, 0.0) > room_s:
        del chosen[dearest.pop()]
    return chosen


def in_turn(families: Mapping[str, str]) -> list[str]:
    """Strategies in the order in which they are tried: one of each family before a second of any.

    Args:
        families: of strategies, in the order of the table.

    >>> in_turn({"head": "truncate", "tail": "truncate", "windows": "windows"})
    ['head', 'windows', 'tail']
    """
    places: dict[str, tuple[int, int]] = {}
    seen: dict[str, int] = {}
    for place, (name, family) in enumerate(families.items()):
        places[name] = seen.get(family, 0), place
        seen[family] = seen.get(family, 0) + 1
    return sorted(places, key=lambda name: places[name])


def side_by_side(each_s: Sequence[float], times: int, workers: int) -> float:
    """Seconds that trainings take at most, so many at once, each several times (Graham 1969)."""
    longest = max(each_s, default=0.0)
    return times * sum(each_s) / workers + longest * (1 - 1 / workers)


def _searched(updates: int) -> int:
    return max(LEAST_UPDATES, round(updates * SEARCH_SHARE))


def search_updates(plan: Plan, strategy: str) -> int:
    """Updates of a training of the search."""
    return _searched(plan.updates[strategy])


def _updates(paces: Mapping[str, Pace], equal: Equal, amount: float) -> dict[str, int]:
    """Updates of a full training that come to the same amount for every strategy."""
    found = {}
    for name, pace in paces.items():
        most = max(LEAST_UPDATES, round(MOST_EPOCHS * pace.epoch_updates))
        found[name] = min(most, max(LEAST_UPDATES, round(amount / _each(pace, equal))))
    return found


def _each(pace: Pace, equal: Equal) -> float:
    """What an update of a strategy takes of that which all get the same of."""
    if equal == "seconds":
        return pace.update_s + pace.judge_s / max(1.0, pace.epoch_updates)
    return pace.update_steps if equal == "steps" else float(pace.trainings)


def _floored(paces: Mapping[str, Pace], equal: Equal, amount: float) -> dict[str, float]:
    """Seconds of the updates of strategies for which the amount is less than the least updates."""
    return {
        name: LEAST_UPDATES * _each(pace, "seconds")
        for name, pace in paces.items()
        if round(amount / _each(pace, equal)) < LEAST_UPDATES
    }


def training_s(pace: Pace, updates: int) -> float:
    """Seconds of one training, with its start, validations and end."""
    epochs = math.ceil(updates / max(1.0, pace.epoch_updates))
    return pace.around_s + updates * pace.update_s + epochs * pace.judge_s


def _searching_s(pace: Pace, updates: int) -> float:
    """Seconds of a training of the search, beside a full one of so many updates."""
    return training_s(pace, _searched(updates)) - pace.test_s


def _ample(paces: Mapping[str, Pace], equal: Equal) -> float:
    """An amount beyond which nothing grows any more."""
    amounts = []
    for pace in paces.values():
        updates = max(LEAST_UPDATES, MOST_EPOCHS * pace.epoch_updates)
        amounts.append(updates * _each(pace, equal))
    return max(amounts) * 1.1
