"""How many updates each training of the study gets: equally many, so that all fit the time.

A schedule of segments is cheap while they are short, and as dear as whole rows at its end; when it
goes on depends on the loss. Its cost is foretold from above: short segments only as long as it must
wait, then whole rows.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.comparison.budget import LEAST_UPDATES, RESERVE, side_by_side, training_s
from flows.comparison.pace import Pace
from flows.optimizer_study.variants import NONE, Variant
from seqprep.errors import ConfigError

MOST_UPDATES = 10**6


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will be trained.

    Args:
        updates: of each training. trainings: in all.
        seconds: that all of it is expected to take, at most.
        window: updates that a loss is averaged over before losses are compared: a pass over the
            rows as whole sequences, or a quarter of the updates.
    """

    updates: int
    trainings: int
    seconds: float
    window: int


def make_plan(
    paces: Mapping[str, Pace],
    variants: Sequence[Variant],
    *,
    patience: int,
    seeds: int,
    workers: int,
    seconds: float,
    spent_s: float,
    full: int | None,
) -> Plan:
    """The most updates, of two digits, with which all trainings fit the time.

    Args:
        paces: of each schedule, `none` among them.
        variants: that are trained.
        patience: epochs that a schedule waits.
        seeds: of each variant.
        workers: trainings at once.
        seconds: that all of it may take.
        spent_s: of these, what is gone already.
        full: updates that a person wants, whatever they take; None: those that fit.

    Raises:
        ConfigError: if the time is too short for the fewest updates, naming what is enough.
    """

    def cost(updates: int) -> float:
        each = [variant_s(paces, variant, updates, patience=patience) for variant in variants]
        return spent_s + side_by_side(each, seeds, workers)

    room = RESERVE * seconds
    if full is None and cost(LEAST_UPDATES) > room:
        raise ConfigError(
            f"--minutes {seconds / 60:.3g} is too short for {len(variants)} variants and {seeds} "
            f"seeds: even {LEAST_UPDATES} updates of each need "
            f"{math.ceil(cost(LEAST_UPDATES) / RESERVE / 60)}; allow more, or name fewer with "
            "--optimizers, --clips, --schedules or --seeds"
        )
    fitting = bisect_right(range(1, MOST_UPDATES + 1), room, key=cost)
    updates = max(LEAST_UPDATES, two_digits(fitting)) if full is None else full
    return Plan(
        updates=updates,
        trainings=len(variants) * seeds,
        seconds=cost(updates),
        window=max(1, min(round(paces[NONE].epoch_updates), updates // 4)),
    )


def variant_s(paces: Mapping[str, Pace], variant: Variant, updates: int, *, patience: int) -> float:
    """Seconds of one training, at most.

    Args:
        paces: of each schedule, `none` among them.
        variant: what is trained.
        updates: of it.
        patience: epochs that a schedule waits; `auto` may go on at once.
    """
    whole, own = paces[NONE], paces[variant.schedule]
    if variant.schedule in (NONE, "auto"):
        return training_s(whole, updates)
    short = min(updates, round((patience + 1) * own.epoch_updates))
    later_s = whole.update_s + whole.judge_s / max(1.0, whole.epoch_updates)
    return training_s(own, short) + (updates - short) * later_s


def two_digits(count: int) -> int:
    """A count rounded down to two digits, for people to remember.

    >>> two_digits(1347), two_digits(87)
    (1300, 87)
    """
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return count // unit * unit
