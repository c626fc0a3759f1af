"""The sentences at the top of the page follow from the numbers, whichever way those fall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flows.comparison.scores import Score, score
from flows.comparison.table import Cheap
from flows.optimizer_study import findings
from flows.optimizer_study.speed import Pair
from flows.optimizer_study.table import Row

PLAIN = Row(
    variant="adam",
    optimizer="adam",
    clip="none",
    schedule="none",
    seeds=3,
    updates=600,
    final_loss=0.1,
    validation_loss=0.2,
    test=0.3,
    low=0.2,
    high=0.4,
    jump=2.5,
    at=7,
    late_jump=2.0,
    late_at=70,
    spikes=4.0,
    clipped_share=0.0,
    steps=1e6,
    train_seconds=60.0,
    segments=(),
)
CLIPPED = replace(
    PLAIN, variant="adam + clip 1", clip="1", late_jump=0.5, spikes=3.0, clipped_share=0.2
)
QUICK = Pair(
    optimizer="adam",
    clip="none",
    schedule="10-1",
    of="early training",
    loss=0.5,
    updates=20.0,
    steps=1e4,
    seconds=2.0,
    whole_updates=10.0,
    whole_steps=1e5,
    whole_seconds=8.0,
)


def test_clipping_holds_where_late_jumps_are_halved() -> None:
    """Would break if the verdict were written before the numbers, or by the first updates."""
    told = findings.clipping([PLAIN, CLIPPED], optimizer="adam")
    assert told == (
        "**Clipping removes the spikes of adam: holds.** Whole rows, clip 1: after the first 10% "
        "of the updates the largest jump of the loss between two goes from 2 to 0.5, spikes from "
        "4 to 3, 20% of the updates are clipped."
    )


def test_clipping_holds_in_part_or_not_where_jumps_are_left() -> None:
    """Would break if a little smaller were called removed, or one schedule spoke for all."""
    left = replace(CLIPPED, late_jump=1.5)
    assert "does not hold" in str(findings.clipping([PLAIN, left], optimizer="adam"))
    schedule = {"schedule": "10-1", "variant": "adam + 10-1"}
    rows = [PLAIN, CLIPPED, replace(PLAIN, **schedule), replace(left, **schedule)]
    assert "holds in part" in str(findings.clipping(rows, optimizer="adam"))
    calm = replace(PLAIN, spikes=0.0)
    assert "none here" in str(findings.clipping([calm, CLIPPED], optimizer="adam"))
    assert findings.clipping([PLAIN], optimizer="adam") is None


def test_a_training_that_diverged_is_a_spike_without_bounds() -> None:
    """Would break if the calm seeds alone spoke for an optimiser that diverges."""
    calm = replace(PLAIN, spikes=0.0, stopped=1, seeds=2)
    assert "of adam: holds.**" in str(findings.clipping([calm, CLIPPED], optimizer="adam"))
    told = str(findings.stopped([calm, CLIPPED], ["adam", "adam + clip 1", "sgd"], seeds=3))
    assert "**Trainings that did not come to their end:** adam 1 of 3, sgd 3 of 3." in told
    assert findings.stopped([PLAIN, CLIPPED], ["adam", "adam + clip 1"], seeds=3) is None
    lucky = replace(CLIPPED, validation_loss=0.01, stopped=2, seeds=1)
    scores = [errors(0.3, place=0), errors(0.3, place=1)]
    assert "loss has adam**" in findings.best([PLAIN, lucky], scores, None)


def test_a_schedule_is_held_against_the_same_clipping() -> None:
    """Would break if a scheduled variant's jumps were measured by those of whole rows."""
    schedule = {"schedule": "10-1", "variant": "adam + 10-1"}
    rows = [PLAIN, CLIPPED, replace(PLAIN, **schedule, late_jump=0.4)]
    rows.append(replace(CLIPPED, **schedule, late_jump=0.3))
    told = str(findings.clipping(rows, optimizer="adam"))
    assert "10-1, clip 1: after the first 10% of the updates the largest jump" in told
    assert "goes from 0.4 to 0.3" in told


def test_the_speed_up_counts_pairs_in_seconds_and_in_updates() -> None:
    """Would break if fewer steps an update were sold as fewer updates."""
    late = replace(QUICK, of="lowest validation", seconds=16.0)
    slow = replace(QUICK, clip="1", seconds=16.0, updates=5.0)
    assert findings.speed([QUICK, slow, late]) == (
        "**The schedule's early speed-up: holds in part.** To an early training loss that both "
        "reach, 1 of 2 are faster with a schedule in seconds (x 0.5 to x 4), 1 in updates; to the "
        "lowest validation loss that both reach, 0 of 1 are faster in seconds."
    )
    assert "speed-up: holds.**" in str(findings.speed([QUICK]))
    assert "speed-up: does not hold.**" in str(findings.speed([slow]))
    assert findings.speed([]) is None


def errors(size: float, *, place: int, records: int = 40) -> Score:
    """Of three seeds, about `size` a record."""
    drawn = np.random.default_rng(place).normal(size, size / 10, (3, records))
    return score("rmse", -np.square(drawn), place=place)


def test_the_best_is_chosen_on_validation_and_doubted_on_test() -> None:
    """Would break if the test records chose, or a tie were called a win."""
    sgd = replace(PLAIN, variant="sgd", optimizer="sgd", validation_loss=0.9, test=0.1)
    scores = [errors(0.3, place=0), errors(0.3, place=1), errors(0.9, place=2)]
    mean = Cheap(name="mean", score=0.8, interval=None, test=0.7, test_interval=None)
    told = findings.best([replace(PLAIN, validation_loss=0.1), CLIPPED, sgd], scores, mean)
    assert told == (
        "**The lowest validation loss has adam** (the best of each optimiser: adam 0.1, sgd 0.9): "
        "test rmse 0.3 (0.2 to 0.4), where always answering the mean gives 0.7; there it is not "
        "distinguishable from adam + clip 1."
    )
    alone = findings.best([PLAIN, sgd], [scores[0], scores[2]], None)
    assert alone.endswith("(0.2 to 0.4); there it is distinguishable from all others.")
    few = [errors(size, place=place, records=3) for place, size in enumerate((0.3, 0.9))]
    assert "3 test records are too few" in findings.best([PLAIN, sgd], few, None)


def test_a_schedule_that_was_cut_short_is_said_so() -> None:
    """Would break if `100-10-1` were compared that never left 100 segments."""
    cut = replace(PLAIN, schedule="100-10-1", segments=(100, 10))
    told = str(findings.unfinished([PLAIN, cut], patience=20))
    assert "100-10-1 got to 10" in told and "600 updates" in told and "20 epochs" in told
    assert findings.unfinished([replace(cut, segments=(100, 10, 1))], patience=20) is None
