"""Scores of strategies over records and seeds, and what can be told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.comparison import scores
from flows.comparison.scores import check_task, record_scores, score, wilson
from models.scores.metrics import classify_scores
from seqprep.errors import ConfigError


def drawn(share: float, *, seeds: int = 3, records: int = 400, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((seeds, records)) < share).astype(float)


def test_a_strategy_is_not_distinguishable_from_itself() -> None:
    """Would break if equal answers came out as a winner and a loser."""
    scores = drawn(0.8)
    assert not score("accuracy", scores, place=0).is_distinguishable(
        score("accuracy", scores, place=1)
    )


def test_a_much_better_strategy_is_distinguishable() -> None:
    """Would break if the interval of a difference were far too wide."""
    better = score("accuracy", drawn(0.9, seed=1), place=0)
    worse = score("accuracy", drawn(0.6, seed=2), place=1)
    assert better.is_distinguishable(worse) and worse.is_distinguishable(better)


def test_draws_are_the_same_however_many_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break if an interval hung on the memory that it is computed in."""
    right = drawn(0.8)
    whole = score("accuracy", right, place=0)
    monkeypatch.setattr(scores, "CELLS", 7 * right.shape[1])
    assert np.array_equal(score("accuracy", right, place=0).draws, whole.draws)


def test_a_handful_of_records_tells_nothing_apart() -> None:
    """Would break if one recording that is split by time made a winner: its interval is a point."""
    one, other = (score("accuracy", np.full((3, 5), s), place=n) for n, s in enumerate((0.9, 0.2)))
    assert not one.is_distinguishable(other)
    one, other = (score("accuracy", np.full((3, 6), s), place=n) for n, s in enumerate((0.9, 0.2)))
    assert one.is_distinguishable(other)


def test_what_all_records_share_cancels_out_of_a_difference() -> None:
    """Would break if strategies were drawn with other records: a pair is then never told apart."""
    hard = np.random.default_rng(3).random(400) < 0.5
    worse = np.tile(hard, (3, 1)).astype(float)
    better = worse.copy()
    better[:, np.flatnonzero(~hard)[:16]] = 1.0  # 4 % of the records more, in each seed
    one, other = (score("accuracy", s, place=n) for n, s in enumerate((better, worse)))
    assert one.interval[0] < other.interval[1]  # alone, their intervals overlap
    assert one.is_distinguishable(other)


def test_seeds_that_differ_widen_the_interval() -> None:
    """Would break if three lucky and unlucky seeds counted as one sure score."""
    same = np.tile(drawn(0.8, seeds=1), (3, 1))
    apart = same.copy()
    apart[0], apart[2] = drawn(0.95, seeds=1, seed=5), drawn(0.65, seeds=1, seed=6)
    widths = [np.ptp(score("accuracy", each, place=0).interval) for each in (same, apart)]
    assert widths[1] > 2 * widths[0]


def test_an_interval_holds_the_true_share_as_often_as_it_says() -> None:
    """Would break if 95 % were a decoration: over 200 samples of 300 records."""
    held = 0
    for seed in range(200):
        low, high = score("accuracy", drawn(0.8, seeds=1, records=300, seed=seed), place=0).interval
        held += low <= 0.8 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_errors_of_numbers_are_shown_as_root_mean_square(tmp_path: Path) -> None:
    """Would break if a smaller error ranked lower, or was shown squared."""
    path = tmp_path / "predictions.parquet"
    pq.write_table(
        pa.table({"id": ["b", "a"], "prediction": [1.0, 5.0], "truth": [4.0, 1.0]}), path
    )
    ids, found = record_scores(path, "regress")
    assert (ids, found.tolist()) == (["a", "b"], [[-16.0, 1.0], [-9.0, 1.0]])
    assert score("rmse", found[None], place=0).shown == pytest.approx(12.5**0.5)


def test_labelled_steps_have_the_f1_of_the_report(tmp_path: Path) -> None:
    """Would break if steps were scored otherwise than in a model's report, or unlabelled ones were.

    Of x 3 hits, 4 answers, 4 truths; of y 1, 2, 2; z is answered once and never true.
    """
    path = tmp_path / "predictions.parquet"
    answers = {
        "id": ["a", "b"],
        "prediction": [["x", "y", "x", "x"], ["y", "z", "x", "x"]],
        "truth": [["x", "x", "y", "x"], ["y", "x", None, "x"]],
    }
    pq.write_table(pa.table(answers), path)
    _, parts = record_scores(path, "label_steps")
    hits = {"x": (3, 4, 5), "y": (1, 2, 2), "z": (0, 1, 0)}
    wanted = np.mean([2 * hit / (said + real) for hit, said, real in hits.values()])
    assert score("macro_f1", [parts], place=0).shown == pytest.approx(wanted)
    truth = np.array([0, 0, 1, 0, 1, 0, 0])
    given = np.eye(3)[[0, 1, 0, 0, 1, 2, 0]]
    report = classify_scores(given, truth, majority=None)
    assert report["macro_f1"] == pytest.approx(score("macro_f1", [parts], place=0).shown)


def test_an_interval_holds_the_true_mean_of_seeds_as_often_as_it_says() -> None:
    """Would break if three seeds were drawn again, which hold it in 75 of 100 cases."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        means = rng.normal(0.5, 0.05, size=3)
        low, high = score("accuracy", np.tile(means[:, None], (1, 10)), place=0).interval
        held += low <= 0.5 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_two_ways_that_are_alike_are_seldom_told_apart() -> None:
    """Would break if luck of the seeds made one of two equal ways the better one."""
    rng, told = np.random.default_rng(0), 0
    for _ in range(200):
        one, other = (
            score("accuracy", np.tile(means[:, None], (1, 10)), place=place)
            for place, means in enumerate(rng.normal(0.5, 0.05, size=(2, 3)))
        )
        told += one.is_distinguishable(other)
    assert told <= 0.05 * 200


def test_one_seed_tells_nothing_apart() -> None:
    """Would break if the luck of a single training counted as skill."""
    good, bad = (score("accuracy", drawn(p, seeds=1), place=n) for n, p in enumerate((0.9, 0.5)))
    assert not good.is_distinguishable(bad)


def test_bounds_of_a_share_are_shares() -> None:
    """Would break if rounding, or the tails of Student's t, gave more than every record."""
    for records in range(1, 400):
        assert wilson(1.0, records)[1] == 1.0
        assert wilson(0.0, records)[0] == 0.0
    apart = np.repeat([[0.3], [0.6], [1.0]], 10, axis=1)
    assert score("accuracy", apart, place=0).interval == (0.0, 1.0)


def test_the_bootstrap_has_the_variance_that_can_be_worked_out() -> None:
    """Would break if records or seeds were drawn wrongly, or one of them not at all.

    Seeds alike: the variance is p (1 - p) / R. Records alike: that of the seeds' means over S,
    times that of Student's t with S - 1 degrees of freedom, (S - 1) / (S - 3).
    """
    scores = np.tile((np.arange(200) < 150).astype(float), (3, 1))
    draws = score("accuracy", scores, place=0).draws
    assert np.var(draws) == pytest.approx(0.75 * 0.25 / 200, rel=0.1)
    assert draws.mean() == pytest.approx(0.75, abs=0.003)
    means = np.linspace(0.2, 0.8, 11)
    draws = score("accuracy", np.tile(means[:, None], (1, 200)), place=0).draws
    assert np.var(draws) == pytest.approx(means.var(ddof=1) / 11 * 10 / 8, rel=0.1)


def test_tasks_without_a_score_a_record_are_refused() -> None:
    """Would break if a comparison ran for half an hour and then failed."""
    with pytest.raises(ConfigError, match="does not do task 'translate'"):
        check_task("translate", study="compare")
