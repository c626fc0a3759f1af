"""How long each training of a length study may be, so that the whole fits what a person allows.

Every length gets the same passes over the records, in updates of the same number of rows. Of one
answer a record that is the same number of updates at every length; of pieces a short length has
more of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from flows.comparison.budget import LEAST_UPDATES, MOST_EPOCHS, RESERVE, training_s
from flows.comparison.pace import Pace
from seqprep.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will be trained.

    Args:
        rows: of an update. passes: over the training records. updates: of a training, by length.
        each_s: seconds of a training, by length.
        seeds: of each length. seconds: that all of it is expected to take.
    """

    rows: int
    passes: float
    updates: Mapping[str, int]
    each_s: Mapping[str, float]
    seeds: int
    seconds: float


def make_plan(
    paces: Mapping[str, Pace],
    *,
    rows: int,
    seconds: float,
    spent_s: float,
    seeds: int,
    workers: int,
) -> Plan:
    """The most passes whose trainings fit the time.

    Args:
        paces: of each length, by name.
        rows: of an update.
        seconds: that all of it may take.
        spent_s: of these, what is gone already.
        seeds: of each length.
        workers: trainings at once.

    Raises:
        ConfigError: if the time is too short for the fewest updates, naming what is enough.
    """

    def updates(passes: float) -> dict[str, int]:
        return {n: math.ceil(passes * pace.epoch_updates - 1e-9) for n, pace in paces.items()}

    def each_s(passes: float) -> dict[str, float]:
        return {n: training_s(paces[n], asked) for n, asked in updates(passes).items()}

    def cost(passes: float) -> float:
        each = each_s(passes).values()
        rest = max(each) * (1 - 1 / workers)  # the last one may run alone
        return spent_s + seeds * sum(each) / workers + rest

    least = LEAST_UPDATES / min(pace.epoch_updates for pace in paces.values())
    most = max(float(MOST_EPOCHS), least)
    if cost(least) > RESERVE * seconds:
        enough = math.ceil(cost(least) / RESERVE / 60)
        raise ConfigError(
            f"--minutes {seconds / 60:.3g} is too short for {len(paces)} lengths and {seeds} "
            f"seeds: even {LEAST_UPDATES} updates of whole records need {enough}; allow more, or "
            "name fewer or shorter lengths with --rungs"
        )
    for _ in range(60):
        middle = (least + most) / 2
        least, most = (middle, most) if cost(middle) <= RESERVE * seconds else (least, middle)
    return Plan(
        rows=rows,
        passes=least,
        updates=updates(least),
        each_s=each_s(least),
        seeds=seeds,
        seconds=cost(least),
    )
