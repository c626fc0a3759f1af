"""How soon a schedule of segments reaches a loss that whole rows reach, too, and how soon they do.

Two losses are asked for: early, the lowest training loss that both have within the first quarter
of their updates; and the lowest validation loss that both ever have. Seconds are of learning alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from flows.optimizer_study.curves import Curve, Floats, smoothed
from flows.optimizer_study.table import Trained
from flows.optimizer_study.variants import Variant

EARLY = 0.25
"""Share of the updates."""
Asked = Literal["early training", "lowest validation"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A variant with a schedule beside the same without; figures are means over the seeds.

    Args:
        optimizer, clip, schedule: see Variant. of: which loss.
        loss: that both reach. updates, steps, seconds: until then, with the schedule.
        whole_updates, whole_steps, whole_seconds: without it.
    """

    optimizer: str
    clip: str
    schedule: str
    of: Asked
    loss: float
    updates: float
    steps: float
    seconds: float
    whole_updates: float
    whole_steps: float
    whole_seconds: float

    @property
    def variant(self) -> str:
        """Its name with the schedule."""
        return Variant(optimizer=self.optimizer, clip=self.clip, schedule=self.schedule).name

    @property
    def speed_up(self) -> float:
        """How many times as fast the schedule is there, in seconds."""
        return self.whole_seconds / self.seconds


def pairs_of(all_: Sequence[Trained], *, window: int) -> list[Pair]:
    """Every variant with a schedule beside the same without, by both losses.

    Args:
        all_: the variants.
        window: updates that a training loss is averaged over.
    """
    whole = {
        (one.variant.optimizer, one.variant.clip): one
        for one in all_
        if not one.variant.is_scheduled
    }
    found = []
    for one in all_:
        other = whole.get((one.variant.optimizer, one.variant.clip))
        if one.variant.is_scheduled and other is not None:
            found += _pairs(one, other, window=window)
    return found


def _pairs(one: Trained, whole: Trained, *, window: int) -> list[Pair]:
    mine, others = _by_seed(one), _by_seed(whole)
    both = [(mine[seed], others[seed]) for seed in mine if seed in others]
    asked: tuple[tuple[Asked, list[tuple[float, ...]]], ...] = (
        ("early training", [early(*pair, window=window) for pair in both]),
        ("lowest validation", [lowest(*pair) for pair in both]),
    )
    variant = one.variant
    return [
        Pair(
            optimizer=variant.optimizer,
            clip=variant.clip,
            schedule=variant.schedule,
            of=of,
            **dict(zip(_FIGURES, np.mean(found, axis=0).tolist(), strict=True)),
        )
        for of, found in asked
        if found
    ]


def _by_seed(one: Trained) -> dict[int, Curve]:
    return {o.seed: curve for o, curve in zip(one.outcomes, one.curves, strict=True)}


_FIGURES = (
    *("loss", "updates", "steps", "seconds"),
    *("whole_updates", "whole_steps", "whole_seconds"),
)


def early(one: Curve, other: Curve, *, window: int) -> tuple[float, ...]:
    """The lowest training loss that both have early; updates, steps, seconds of each until then.

    Args:
        one: a training.
        other: another one.
        window: updates that a loss is averaged over.
    """
    first, second = (smoothed(curve.losses, window=window) for curve in (one, other))
    least = max(window, round(EARLY * len(first)))
    level = common_level(first[:least], second[:least])
    return level, *_until(one, first, level=level), *_until(other, second, level=level)


def lowest(one: Curve, other: Curve) -> tuple[float, ...]:
    """The lowest validation loss that both have; updates, steps, seconds of each until then."""
    level = common_level(one.held_out, other.held_out)
    found = (_until(c, c.held_out, level=level, updates=c.epochs) for c in (one, other))
    return level, *next(found), *next(found)


def _until(
    curve: Curve, losses: Floats, *, level: float, updates: Floats | None = None
) -> tuple[float, ...]:
    """Updates, steps and seconds until a loss is reached; `updates`: at which the losses stand."""
    place = first_at(losses, level)
    update = place + 1 if updates is None else int(updates[place])
    return update, float(curve.steps[update - 1]), float(curve.seconds[update - 1])


def first_at(values: Floats, level: float) -> int:
    """Place of the first value at or below a level that is reached.

    >>> first_at(np.array([3.0, 1.0, 2.0]), 2.0)
    1
    """
    below = values <= level
    assert below.any(), level
    return int(below.argmax())


def common_level(one: Floats, other: Floats) -> float:
    """The lowest level that both reach.

    >>> common_level(np.array([3.0, 1.0, 2.0]), np.array([4.0, 2.5]))
    2.5
    """
    return float(max(np.nanmin(one), np.nanmin(other)))
