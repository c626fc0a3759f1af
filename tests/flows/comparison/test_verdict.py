"""What is recommended, and what is doubted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from flows.comparison.course import Entry, Standing
from flows.comparison.scores import score
from flows.comparison.table import Cheap
from flows.comparison.trials import Outcome
from flows.comparison.verdict import best_of, is_recommended, told
from flows.pipeline_file import build

SPEC = build({"dataset": "d", "source": {"domain": "text", "path": "/none"}})


def outcome(name: str, train_seconds: float) -> Outcome:
    return Outcome(
        strategy=name,
        setting="",
        seed=0,
        folder="",
        updates=1,
        epochs=1,
        parameters=1,
        train_seconds=train_seconds,
        wall_seconds=train_seconds,
        predict_seconds=1.0,
        memory_bytes=1,
    )


def standing(
    name: str, right: float, *, place: int, test: float = 0.5, seconds: float = 10.0, seeds: int = 3
) -> Standing:
    """A strategy with so many of 200 validation records right, by the same order in each seed."""

    def answers(share: float) -> np.ndarray:
        return np.tile((np.arange(200) < 200 * share).astype(float), (seeds, 1))

    return Standing(
        entry=Entry(name=name, family="", told=f"does {name}", spec=SPEC, prepared={}),
        outcomes=(outcome(name, seconds),) * seeds,
        setting="",
        spec=SPEC,
        validation=score("accuracy", answers(right), place=place),
        test=score("accuracy", answers(test), place=place),
        is_final=True,
    )


def cheap(name: str, score: float) -> Cheap:
    return Cheap(name=name, score=score, interval=None, test=None, test_interval=None)


def test_validation_decides_and_test_only_stands_beside() -> None:
    """Would break if the choice were made on test rows: its score would then promise too much."""
    standings = [
        standing("full", 0.6, place=0, test=0.9),
        standing("windows", 0.8, place=1, test=0.55),
    ]
    assert best_of(standings).entry.name == "windows"
    text = told(standings, [cheap("naive_bayes", 0.6), cheap("majority", 0.5)])
    assert text.startswith("Use **windows** (does windows): it has the best validation accuracy")
    assert "0.800" in text and "whole records give 0.600" in text and "over 3 seeds" in text
    assert "distinguishable from the other one" in text and "0.9" not in text.replace("95", "")
    assert "naive_bayes" not in text


def test_one_lucky_seed_is_not_judged_beside_three_of_the_others() -> None:
    """Would break if the dearest way won because time was left for one seed of it."""
    standings = [
        standing("exact", 0.9, place=0, seeds=1),
        standing("windows", 0.8, place=1),
        standing("full", 0.6, place=2),
    ]
    assert best_of(standings).entry.name == "windows"
    text = told(standings, [cheap("majority", 0.5)])
    assert "distinguishable from the other one" in text
    assert text.endswith("of exact fewer seeds came to their end, too few to judge by.")


def test_of_equal_scores_the_quicker_way_is_recommended() -> None:
    """Would break if the order of the table decided."""
    standings = [
        standing("full", 0.8, place=0, seconds=40.0),
        standing("windows", 0.8, place=1, seconds=10.0),
    ]
    assert best_of(standings).entry.name == "windows"


def test_a_handful_of_records_recommends_nothing() -> None:
    """Would break if the interval of one record, a point, were taken for certainty."""
    few = replace(standing("full", 0.9, place=0).validation, records=1)
    best = replace(standing("full", 0.9, place=0), validation=few)
    assert not is_recommended(best, [cheap("majority", 0.5)])
    assert "No way is clearly better than majority" in told([best], [cheap("majority", 0.5)])


def test_one_seed_each_is_a_doubt() -> None:
    """Would break if the luck of one training were called a better way."""
    standings = [
        standing("windows", 0.9, place=1, seeds=1),
        standing("full", 0.6, place=0, seeds=1),
    ]
    text = told(standings, [cheap("majority", 0.5)])
    assert "Use **windows**" in text and "One seed cannot tell luck of a training" in text
    assert "is distinguishable" not in text


def test_what_cannot_be_told_apart_is_named_with_the_quicker_way() -> None:
    """Would break if chance made a winner, or a way that learns by luck were advised for speed."""
    luck = np.repeat([[0.2], [0.5], [0.8]], 200, axis=1)
    lucky = standing("split", 0.5, place=3, seconds=1.0)
    lucky = replace(lucky, validation=score("accuracy", luck, place=3))
    standings = [
        standing("windows", 0.8, place=0),
        standing("full", 0.8, place=1),
        standing("attention", 0.795, place=2, seconds=2.0),
        lucky,
    ]
    text = told(standings, [cheap("naive_bayes", 0.85), cheap("majority", 0.5)])
    assert "It is not distinguishable from full, attention, split at this size (200" in text
    assert "attention trains 5.0 times as fast" in text
    assert "not clearly better than the cheap baseline naive_bayes (0.850)" in text


def test_ways_that_had_no_time_to_learn_are_part_of_the_doubt() -> None:
    """Would break if who gave little time read that whole records tell nothing."""
    standings = [
        standing("hashing", 0.85, place=0),
        standing("full", 0.5, place=1),
        standing("windows", 0.49, place=2),
    ]
    text = told(standings, [cheap("majority", 0.5)])
    assert text.endswith(
        "; 2 of the 3 ways had learnt nothing yet, and may where --minutes allows more."
    )
    assert "learnt nothing" not in told(standings, [cheap("majority", 0.4)])
    assert "learnt nothing" not in told(standings, [cheap("naive_bayes", 0.9)])


def test_nothing_is_recommended_that_is_no_better_than_majority() -> None:
    """Would break if permuted labels gave a recommendation."""
    standings = [standing("windows", 0.52, place=0), standing("full", 0.52, place=1)]
    least = [cheap("majority", 0.5)]
    assert not is_recommended(best_of(standings), least)
    assert is_recommended(standing("full", 0.8, place=2), least)
    text = told(standings, least)
    assert text.startswith(
        "**No way is clearly better than majority**, which gives 0.500: windows has"
    )
    assert "not distinguishable from full" in text
