"""Mistake 9: windows of one subject, or neighbouring steps, on both sides of a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks.mistakes.figures import Figure, Scores, accuracies
from benchmarks.mistakes.learn import Rows, Training, correct, fit, ours
from benchmarks.mistakes.real import examples_of, folder_of, has_public_data

BANDS = "{delta: [1, 4], theta: [4, 8], alpha: [8, 13], beta: [13, 30], gamma: [30, 45]}"
STEPS = (
    "prepare.steps=[{windows: {length: 1024, stride: 512}}, "
    f"{{band_power: {{bands: {BANDS}, window_s: 1.0, stride_s: 0.125}}}}]"
)
TRAINING = Training(epochs=6, lr=0.003, seeds=3)


def model() -> nn.Module:
    """Of 25 steps of 4 channels x 5 bands."""
    return ours(channels=20, outputs=3, bidirectional=True, pooling=("mean", "max"), dropout=0.4)


def by_fold(rows: Rows, folds: npt.NDArray[np.int64]) -> Scores:
    """Right answers of every window where its fold is held out, by seed, `(S, R)`."""
    found = np.zeros((TRAINING.seeds, len(rows)))
    for seed in range(TRAINING.seeds):
        for fold in np.unique(folds):
            torch.manual_seed(seed)
            train = rows.take(np.flatnonzero(folds != fold).tolist())
            test = np.flatnonzero(folds == fold)
            fitted = fit(model(), train, TRAINING, seed=seed)
            found[seed, test] = correct(fitted, rows.take(test.tolist()))
    return found


def subjects() -> Figure:
    """Scores of windows of four people: dealt out at random, and one person left out in turn."""
    found = examples_of("muse_subject", STEPS)
    splits = list(found.rows)
    rows = Rows(
        inputs=[row for split in splits for row in found.rows[split].inputs],
        labels=torch.cat([found.rows[split].labels for split in splits]),
    )
    people = number([name.partition("subject")[2][0] for s in splits for name in found.ids[s]])
    dealt = np.random.default_rng(0).integers(0, people.max() + 1, len(rows))
    what = "accuracy, mental state of four people, windows dealt out or a person left out"
    return accuracies(what, by_fold(rows, dealt), by_fold(rows, people))


def number(names: Sequence[str]) -> npt.NDArray[np.int64]:
    """A number for each different name."""
    return np.unique(np.array(names), return_inverse=True)[1]


def neighbours() -> Figure:
    """Scores of the nearest neighbour on one recording: steps dealt out, and in order."""
    (path,) = folder_of("eye_state").glob("*.arff")
    lines = path.read_text().partition("@DATA")[2].split()
    table = np.array([line.split(",") for line in lines], np.float32)
    table = table[np.abs(table[:, :-1] - np.median(table[:, :-1], axis=0)).max(1) < 1000]
    steps = len(table)
    order, size, gap = np.random.default_rng(0).permutation(steps), steps // 5, 256
    dealt = nearest(table[order[size:]], table[order[:size]])
    in_order = nearest(table[: steps - size - gap], table[steps - size :])
    what = (
        "accuracy, eyes open or shut at each step, nearest neighbour, steps dealt out or in order"
    )
    return accuracies(what, dealt[None], in_order[None])


def nearest(train: npt.NDArray[np.float32], test: npt.NDArray[np.float32]) -> Scores:
    """Whether the nearest training step has the label, which stands in the last column."""
    known, asked = train[:, :-1], test[:, :-1]
    mean = known.mean(0)
    known, asked = known - mean, asked - mean
    distance = (known**2).sum(1) - 2 * asked @ known.T
    found: Scores = (train[distance.argmin(1), -1] == test[:, -1]).astype(np.float64)
    return found


def measure() -> list[Figure]:
    """Both, where the public data is at hand."""
    return [subjects(), neighbours()] if has_public_data() else []
