"""Mistake 13: two sinusoids that are given the same frequency."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.mistakes.figures import Figure, accuracies, plain
from benchmarks.mistakes.learn import Rows, Training, ours, scores
from seqprep.domains.prices import BIAS, PERIODS, TURN

STEPS, BLOCK = 1000, 10
SAME = (PERIODS[0], PERIODS[0])


def series(
    rng: np.random.Generator, periods: tuple[int, int], steps: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Prices of the reference task with such periods, and the angle in their middle."""
    angle = rng.uniform(0, 2 * np.pi) + np.cumsum(TURN * rng.uniform(-1, 1, steps))
    first, second = (np.sin(2 * np.pi / period * np.arange(steps)) for period in periods)
    noise = rng.normal(0, 0.01, steps)
    waves = np.abs(np.cos(angle)) * first + np.abs(np.sin(angle)) * second
    return np.round(BIAS + waves + noise, 2), float(angle[steps // 2])


def modes(rows: int, *, seed: int, periods: tuple[int, int]) -> Rows:
    """Which mode is the stronger one, from the prices of 1,000 steps in means of 10."""
    rng, inputs, labels = np.random.default_rng(seed), [], []
    for _ in range(rows):
        prices, angle = series(rng, periods, STEPS)
        means = (prices - BIAS).reshape(-1, BLOCK).mean(1, keepdims=True)
        inputs.append(torch.from_numpy(means.astype(np.float32)))
        labels.append(int(abs(np.cos(angle)) < abs(np.sin(angle))))
    return Rows(inputs=inputs, labels=torch.tensor(labels))


def second_peak(periods: tuple[int, int]) -> float:
    """Power near the second strongest period over that near the strongest, over 20,000 steps."""
    prices, _ = series(np.random.default_rng(0), periods, 20_000)
    power = np.abs(np.fft.rfft(prices - prices.mean())) ** 2
    strongest = []
    for _ in range(2):
        peak = int(power.argmax())
        near = slice(max(0, peak // 2), peak * 2)
        strongest.append(float(power[near].sum()))
        power[near] = 0
    return strongest[1] / strongest[0]


def measure() -> list[Figure]:
    """Whether the stronger mode can be told, and how strong the second peak of the spectrum is."""
    found = []
    for periods in (SAME, PERIODS):
        train, test = (modes(rows, seed=s, periods=periods) for rows, s in ((300, 1), (300, 2)))
        found.append(scores(lambda: ours(channels=1), train, test, Training(epochs=15)))
    return [
        accuracies("accuracy, which mode is the stronger one in 1,000 steps", *found),
        plain(
            "power of the second peak of the spectrum over that of the first, 20,000 steps",
            second_peak(SAME),
            second_peak(PERIODS),
        ),
    ]
