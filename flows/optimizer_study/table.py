"""The table of the study: a row a variant, of what its trainings of all seeds left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from flows.comparison.course import held_out
from flows.comparison.scores import Score
from flows.comparison.trials import Outcome
from flows.optimizer_study.curves import (
    SETTLED,
    Curve,
    largest_jump,
    read_curve,
    smoothed,
    spikes,
)
from flows.optimizer_study.variants import Variant


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A variant with its trainings, one a seed.

    Args:
        variant: what was trained. outcomes, curves: of each seed.
        test: the held-out score over seeds and records.
        stopped: trainings that did not come to their end.
    """

    variant: Variant
    outcomes: tuple[Outcome, ...]
    curves: tuple[Curve, ...]
    test: Score
    stopped: int = 0


def trained(
    variant: Variant, outcomes: Sequence[Outcome], *, task: str, place: int, stopped: int = 0
) -> Trained:
    """Read what the trainings of a variant left.

    Args:
        variant: what was trained.
        outcomes: of its trainings.
        task: what was learnt.
        place: number of the variant: its seeds are drawn by themselves.
        stopped: trainings of it that did not come to their end.
    """
    return Trained(
        variant=variant,
        outcomes=tuple(outcomes),
        curves=tuple(read_curve(Path(outcome.folder)) for outcome in outcomes),
        test=held_out("test", outcomes, task=task, place=place),
        stopped=stopped,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A variant's line; figures are means over the seeds where nothing else is said.

    Args:
        variant: its name. optimizer, clip, schedule: see Variant. seeds: that were trained.
        stopped: seeds whose training did not come to its end.
        updates: of each training. final_loss: of training, over the last `window` updates.
        validation_loss: the lowest of any epoch.
        test, low, high: score on the test records, with its 95 % interval over seeds and records.
        jump: the largest rise of the loss between two updates, of any seed; at: the update.
        late_jump, late_at: the same after the first tenth of the updates.
        spikes: see curves.spikes. clipped_share: of the updates.
        steps: that were read. train_seconds: of one training on one process.
        segments: numbers of segments that were trained with.
    """

    variant: str
    optimizer: str
    clip: str
    schedule: str
    seeds: int
    updates: int
    final_loss: float
    validation_loss: float
    test: float
    low: float
    high: float
    jump: float
    at: int
    late_jump: float
    late_at: int
    spikes: float
    clipped_share: float
    steps: float
    train_seconds: float
    segments: tuple[int, ...]
    stopped: int = 0


def row_of(one: Trained, *, window: int) -> Row:
    """The line of a variant.

    Args:
        one: the variant.
        window: updates that a loss is averaged over.
    """
    curves, (low, high) = one.curves, one.test.interval
    jump, at = max(largest_jump(curve.losses) for curve in curves)
    settled = round(SETTLED * len(curves[0].losses))
    late_jump, late_at = max(largest_jump(curve.losses, after=settled) for curve in curves)
    longest = max(curves, key=lambda curve: len(curve.segments))
    return Row(
        variant=one.variant.name,
        optimizer=one.variant.optimizer,
        clip=one.variant.clip,
        schedule=one.variant.schedule,
        seeds=len(curves),
        updates=len(curves[0].losses),
        final_loss=fmean(float(smoothed(c.losses, window=window)[-1]) for c in curves),
        validation_loss=fmean(float(np.nanmin(curve.held_out)) for curve in curves),
        test=one.test.shown,
        low=low,
        high=high,
        jump=jump,
        at=at,
        late_jump=late_jump,
        late_at=late_at,
        spikes=fmean(spikes(curve.losses, window=window) for curve in curves),
        clipped_share=fmean(curve.clipped_share for curve in curves),
        steps=fmean(float(curve.steps[-1]) for curve in curves),
        train_seconds=fmean(outcome.train_seconds for outcome in one.outcomes),
        segments=longest.segments,
        stopped=one.stopped,
    )
