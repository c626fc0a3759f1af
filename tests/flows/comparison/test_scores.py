"""Scores of strategies over records and seeds, and what can be told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.comparison.scores import check_task, record_scores, score
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
    assert (ids, found.tolist()) == (["a", "b"], [-16.0, -9.0])
    assert score("rmse", found[None], place=0).shown == pytest.approx(12.5**0.5)


def test_steps_of_a_record_are_averaged(tmp_path: Path) -> None:
    """Would break if a long record counted for more than a short one."""
    path = tmp_path / "predictions.parquet"
    answers = {"id": ["a", "b"], "prediction": [["x", "y"], ["x"]], "truth": [["x", "x"], ["x"]]}
    pq.write_table(pa.table(answers), path)
    assert record_scores(path, "label_steps")[1].tolist() == [0.5, 1.0]


def test_tasks_without_a_score_a_record_are_refused() -> None:
    """Would break if a comparison ran for half an hour and then failed."""
    with pytest.raises(ConfigError, match="does not do task 'translate'"):
        check_task("translate", study="compare")
