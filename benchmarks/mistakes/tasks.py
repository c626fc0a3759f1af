"""Small tasks made from a seed, on which a mistake shows."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.mistakes.learn import Rows

VOCAB = 8
"""Ids 2 to 5 say nothing, 6 and 7 tell the class; 0 is padding, 1 unknown."""


def spread_lengths(rng: np.random.Generator, rows: int, *, shortest: int = 4, longest: int = 200):
    """Lengths `(rows,)` between the two, as many short as long on a scale of ratios."""
    return np.exp(rng.uniform(np.log(shortest), np.log(longest), rows)).astype(np.int64)


def telling_tokens(rows: int, *, seed: int, lengths: np.ndarray | None = None) -> Rows:
    """Every eighth token or so, anywhere in the record, is its class's own."""
    rng = np.random.default_rng(seed)
    lengths = spread_lengths(rng, rows) if lengths is None else lengths
    labels = rng.integers(0, 2, rows)
    inputs = []
    for length, label in zip(lengths, labels, strict=True):
        tokens = rng.integers(2, 6, length)
        tokens[rng.integers(0, length, max(1, length // 8))] = 6 + label
        inputs.append(torch.from_numpy(tokens))
    return Rows(inputs=inputs, labels=torch.from_numpy(labels))


def telling_end(
    rows: int, *, seed: int, within: int = 5, lengths: np.ndarray | None = None
) -> Rows:
    """Both telling tokens stand anywhere; that in the last few steps is the class."""
    rng = np.random.default_rng(seed)
    lengths = spread_lengths(rng, rows) if lengths is None else lengths
    labels = rng.integers(0, 2, rows)
    inputs = []
    for length, label in zip(lengths, labels, strict=True):
        tokens = rng.integers(2, 8, length)
        tokens[-within:] = rng.integers(2, 6, min(within, length))
        tokens[length - 1 - rng.integers(0, within)] = 6 + label
        inputs.append(torch.from_numpy(tokens))
    return Rows(inputs=inputs, labels=torch.from_numpy(labels))


def telling_start(rows: int, *, seed: int, steps: int) -> Rows:
    """One of the first five steps tells the class, the others say nothing."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, rows)
    tokens = rng.integers(2, 6, (rows, steps))
    tokens[np.arange(rows), rng.integers(0, 5, rows)] = 6 + labels
    return Rows(inputs=list(torch.from_numpy(tokens)), labels=torch.from_numpy(labels))
