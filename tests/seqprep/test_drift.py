"""Drift: what is measured, what is chance, and when a refit is advised."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from seqprep.errors import ConfigError
from seqprep.length_counts import LengthCounts
from seqprep.options.drift import Drift
from seqprep.preparation.drift import Since, advice, divergence, length_distance, measure
from seqprep.preparation.scaling import Moments, Scaler


def counts_of(lengths: Sequence[int] | np.ndarray) -> LengthCounts:
    return LengthCounts.of(lengths, np.zeros(len(lengths), int))


def joined(
    lengths: Sequence[int] | np.ndarray,
    *,
    fitted: Sequence[int] | np.ndarray,
    tokens: Sequence[int] = (0, 0, 0),
) -> Since:
    start = Since.nothing(counts_of(fitted), num_tokens=len(tokens) - 1)
    return start.plus(
        lengths=counts_of(lengths),
        tokens=np.asarray(tokens),
        moments=None,
        rows=len(lengths),
        over=0,
        step_codes=(),
    )


def test_what_joined_is_kept_and_read_again() -> None:
    """An append would compare with other lengths than those of the fit."""
    since = joined([3, 5, 5], fitted=[1, 2], tokens=[4, 0, 1])
    body = json.loads(since.to_bytes())
    old = {
        **body,
        **{
            name: [body[name]["values"], body[name]["counts"]]
            for name in ("fitted_lengths", "lengths")
        },
    }
    for stored in (since.to_bytes(), json.dumps(old).encode()):  # versions before kept two lists
        again = Since.from_bytes(stored)
        assert again.fitted_lengths.values.tolist() == [1, 2]
        assert again.lengths.counts.tolist() == [[1, 0, 0], [2, 0, 0]]
        assert again.to_bytes() == since.to_bytes()


def test_distances_equal_those_of_scipy() -> None:
    """A number that people compare with the literature would be another one."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.integers(1, 30, 50), rng.integers(5, 40, 30)
        expected = stats.ks_2samp(first, second).statistic
        assert length_distance(counts_of(first), counts_of(second)) == pytest.approx(expected)
        p, q = rng.integers(0, 9, 12) + (np.arange(12) < 2), rng.integers(0, 9, 12) + 1
        assert divergence(p, q) == pytest.approx(jensenshannon(p, q, base=2) ** 2)


def test_rows_like_those_of_the_fit_advise_nothing() -> None:
    """Every small append would cry wolf: few records differ by chance."""
    rng = np.random.default_rng(1)
    p = 1 / np.arange(1, 400)
    p /= p.sum()
    fitted = rng.multinomial(40_000, p)
    cried = 0
    for _ in range(200):
        since = joined(
            rng.poisson(100, 8),
            fitted=rng.poisson(100, 300),
            tokens=np.append(rng.multinomial(800, p), 0).tolist(),
        )
        found = measure(since, counts=fitted, scaler=None, channels=())
        cried += bool(advice(found, Drift(tokens=0, lengths=0)))
    assert cried <= 6  # a limit of 0 leaves only the guard against chance


@pytest.mark.parametrize(
    ("since", "message"),
    [
        (joined([10] * 60, fitted=[10] * 60, tokens=[5, 5, 90]), "90.0% .* never seen, limit 5.0%"),
        (joined([50] * 60, fitted=[10] * 60, tokens=[50, 50, 0]), "lengths moved by 1.00"),
        (joined([10] * 60, fitted=[10] * 60, tokens=[1000, 0, 0]), "mix of tokens moved by 0.31"),
    ],
)
def test_what_moved_is_named(since: Since, message: str) -> None:
    """A person would be told to fit anew without a reason to weigh."""
    found = measure(since, counts=np.array([500, 500]), scaler=None, channels=())
    assert re.search(message, "; ".join(advice(found, Drift())))


def test_level_and_spread_of_each_channel_are_told() -> None:
    """A loose electrode, or another gain, would go unnoticed."""
    rng = np.random.default_rng(2)
    values = rng.normal([0, 5], [1, 4], (5000, 2))
    since = Since.nothing(counts_of([10]), num_tokens=0).plus(
        lengths=counts_of([5000]),
        tokens=None,
        moments=Moments.of(values),
        rows=1,
        over=0,
        step_codes=(),
    )
    scaler = Scaler(mean=(0.0, 3.0), std=(1.0, 2.0))
    found = measure(since, counts=None, scaler=scaler, channels=("a", "b"))
    assert found["amplitude"]["b"]["shift"] == pytest.approx(1, abs=0.1)
    assert found["amplitude"]["b"]["ratio"] == pytest.approx(2, abs=0.1)
    assert [text[:9] for text in advice(found, Drift(lengths=1))] == ["channel b"]
    assert advice(found, Drift(lengths=1, shift=2, spread=3)) == []
    found["amplitude"] = {"c": {"shift": 0.0, "ratio": 0.2}}  # a channel that lost its signal
    assert [text[:9] for text in advice(found, Drift(lengths=1))] == ["channel c"]


def test_state_is_what_was_written() -> None:
    """The next append would start from other numbers."""
    since = joined([4, 5, 5], fitted=[1, 2], tokens=[3, 0, 1]).plus(
        lengths=counts_of([7]),
        tokens=None,
        moments=Moments.of(np.ones((3, 2))),
        rows=2,
        over=1,
        step_codes=(1, 0),
    )
    again = Since.from_bytes(since.to_bytes())
    assert again.to_bytes() == since.to_bytes()
    assert (again.rows, again.over, again.step_codes) == (5, 1, (0, 1))
    assert again.tokens.tolist() == [3, 0, 1]


def test_limits_that_mean_nothing_are_refused() -> None:
    """A typing error would switch the warning off."""
    with pytest.raises(ConfigError, match=r"prepare.drift.spread must be a number >= 1, got 0.5"):
        Drift(spread=0.5)
    with pytest.raises(ConfigError, match=r"prepare.drift.unseen must be a number >= 0, got -1"):
        Drift(unseen=-1)


def test_the_advice_names_the_worst_of_many_channels() -> None:
    """A spectrum with hundreds of channels would give a message of many pages."""
    found = {
        "unseen_share": 0,
        "over_limit_share": 0,
        "amplitude": {
            f"Fp1 {n} Hz": {"shift": n / 10, "ratio": 9.0 if n == 2 else 1.0} for n in range(20)
        },
    }
    told = advice(found, Drift(shift=0.5, spread=1.5))
    assert [text.partition(" moved")[0] for text in told[:3]] == [
        "channel Fp1 2 Hz",
        "channel Fp1 19 Hz",
        "channel Fp1 18 Hz",
    ]
    assert told[3:] == ["12 more of 20 channels are beyond these limits"]
    found["amplitude"] = {"a": {"shift": 0.6, "ratio": 1.0}, "b": {"shift": 0.1, "ratio": 1.0}}
    assert advice(found, Drift()) == [
        "channel a moved by 0.60 deviations, limit 0.50, and spreads 1.00 times as far, limit 1.50"
    ]
