"""Cheap estimators, in NumPy only: what a model must beat to be worth its time.

Each is fitted by `add`, some training rows at a time, and then answers as a model does.

Legend: R rows, C classes, V codes (tokens or n-grams), F channels.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from models.answers.outputs import Array
from seqprep import ragged
from seqprep.examples import Examples
from seqprep.ragged import Ragged
from seqprep.schema import IGNORED_LABEL

SMALL_VOCABULARY = 300
"""Ids up to which order tells more than presence: bases, short k-mers, characters."""
MOST_GRAMS = 2**17
LENGTH_BINS = 20


class Baseline(Protocol):
    """Fitted on training rows, a window of shards at a time."""

    def add(self, examples: Examples) -> None:
        """Count training rows."""
        ...

    def answers(self, examples: Examples) -> Array | Ragged:
        """As a model's answers: probabilities, values or steps."""
        ...


def _labels(examples: Examples) -> Array:
    assert examples.labels is not None
    return examples.labels


def _posterior(log_p: Array) -> Array:
    """Probabilities `(R, C)` from their unnormalised logarithms."""
    p = np.exp(log_p - log_p.max(1, keepdims=True))
    normalised: Array = p / p.sum(1, keepdims=True)
    return normalised


def moments(inputs: Ragged) -> tuple[Array, Array]:
    """The mean and the variance of each channel over a row's steps, both `(R, F)`."""
    values, starts = inputs.values.astype(np.float64), inputs.offsets[:-1]
    lengths = inputs.lengths[:, None]
    mean = np.add.reduceat(values, starts) / lengths
    values -= np.repeat(mean, inputs.lengths, axis=0)
    return mean, np.add.reduceat(values**2, starts) / lengths


class Majority:
    """The share of each class, whatever the row."""

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros(classes)

    def add(self, examples: Examples) -> None:
        """Count classes."""
        self.counts += np.bincount(_labels(examples), minlength=len(self.counts))

    def answers(self, examples: Examples) -> Array:
        """The same probabilities for every row."""
        shares: Array = np.tile(self.counts / self.counts.sum(), (len(examples), 1))
        return shares


class Length:
    """The record's length alone: class shares within quantile bins of the training lengths."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.lengths: list[Array] = []
        self.labels: list[Array] = []

    def add(self, examples: Examples) -> None:
        """Collect lengths and classes."""
        self.lengths.append(examples.record_lengths)
        self.labels.append(_labels(examples))

    def answers(self, examples: Examples) -> Array:
        """Shares of the classes among training rows of about the same length."""
        lengths, labels = np.concatenate(self.lengths), np.concatenate(self.labels)
        bins = int(np.clip(len(lengths) // 10, 1, LENGTH_BINS))
        edges = np.unique(np.quantile(lengths, np.arange(1, bins) / bins))
        counts = np.zeros((len(edges) + 1, self.classes))
        np.add.at(counts, (np.searchsorted(edges, lengths, side="right"), labels), 1)
        counts += (np.bincount(labels, minlength=self.classes) + 1e-3) / len(labels)
        chosen = counts[np.searchsorted(edges, examples.record_lengths, side="right")]
        shares: Array = chosen / chosen.sum(1, keepdims=True)
        return shares


class NaiveBayes:
    """Multinomial naive Bayes: words by presence, or n-grams of ids of a small vocabulary.

    Args:
        classes: how many.
        vocab_size: of the tokens.
    """

    def __init__(self, classes: int, vocab_size: int) -> None:
        self.vocab_size, self.presence = vocab_size, vocab_size > SMALL_VOCABULARY
        orders = [n for n in (1, 2, 3, 4) if vocab_size**n <= MOST_GRAMS]
        self.order = 1 if self.presence else orders[-1]
        self.codes = vocab_size**self.order
        self.counts = np.zeros((classes, self.codes))
        self.rows = np.zeros(classes)

    def add(self, examples: Examples) -> None:
        """Count codes by class."""
        row, code = self._bag(examples)
        labels = _labels(examples)
        flat = labels[row].astype(np.int64) * self.codes + code
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)
        self.rows += np.bincount(labels, minlength=len(self.rows))

    def answers(self, examples: Examples) -> Array:
        """Posterior probabilities, every class smoothed by one."""
        row, code = self._bag(examples)
        log_p = np.log(self.counts + 1) - np.log((self.counts + 1).sum(1, keepdims=True))
        prior = np.log(self.rows + 1e-9)
        sums = [np.bincount(row, weights=p[code], minlength=len(examples)) for p in log_p]
        return _posterior(np.stack(sums, axis=1) + prior)

    def _bag(self, examples: Examples) -> tuple[Array, Array]:
        """Rows and codes of all grams; of different tokens only, by presence."""
        inputs = examples.inputs
        tokens = inputs.values.astype(np.int64)
        lengths = np.maximum(inputs.lengths - self.order + 1, 0)
        start = ragged.ranges(inputs.offsets[:-1], lengths)
        code = np.zeros(len(start), np.int64)
        for place in range(self.order):
            code = code * self.vocab_size + tokens[start + place]
        row = np.repeat(np.arange(len(inputs)), lengths)
        if not self.presence:
            return row, code
        both = np.unique(row * self.codes + code)
        return both // self.codes, both % self.codes


class Deviation:
    """Gaussian naive Bayes on the logarithm of each channel's standard deviation.

    Args:
        classes: how many.
        channels: of the signals.
    """

    def __init__(self, classes: int, channels: int) -> None:
        self.count = np.zeros((classes, 1))
        self.sum, self.square = np.zeros((classes, channels)), np.zeros((classes, channels))

    def add(self, examples: Examples) -> None:
        """Sum moments by class."""
        features, labels = self._features(examples), _labels(examples)
        np.add.at(self.count, labels, 1)
        np.add.at(self.sum, labels, features)
        np.add.at(self.square, labels, features**2)

    def answers(self, examples: Examples) -> Array:
        """Posterior probabilities; a class without rows gets none."""
        count = np.maximum(self.count, 1)
        mean = self.sum / count
        variance = np.maximum(self.square / count - mean**2, 0) + 1e-4
        distance = (self._features(examples)[:, None] - mean) ** 2 / variance + np.log(variance)
        return _posterior(np.log(self.count[:, 0] + 1e-12) - distance.sum(-1) / 2)

    def _features(self, examples: Examples) -> Array:
        features: Array = np.log(moments(examples.inputs)[1] + 1e-12) / 2
        return features


class StepMajority(Majority):
    """The share of each class over labelled steps, whatever the step."""

    def add(self, examples: Examples) -> None:
        """Count classes of steps."""
        assert examples.targets is not None
        codes = examples.targets.values
        self.counts += np.bincount(codes[codes != IGNORED_LABEL], minlength=len(self.counts))

    def answers(self, examples: Examples) -> Ragged:  # type: ignore[override]
        """The same probabilities for every step."""
        assert examples.targets is not None
        shares = self.counts / max(1.0, self.counts.sum())
        return Ragged(np.tile(shares, (len(examples.targets.values), 1)), examples.targets.offsets)


class Mean:
    """The mean of the training targets."""

    def __init__(self) -> None:
        self.count, self.sum = 0, np.zeros(1)

    def add(self, examples: Examples) -> None:
        """Sum targets."""
        values = self._values(examples)
        self.count, self.sum = self.count + len(values), self.sum + values.sum(0)

    def answers(self, examples: Examples) -> Array | Ragged:
        """The same value for every row or step."""
        values = np.tile(self.sum / self.count, (len(self._values(examples)), 1))
        return values if examples.targets is None else Ragged(values, examples.targets.offsets)

    def _values(self, examples: Examples) -> Array:
        values = examples.labels if examples.targets is None else examples.targets.values
        assert values is not None
        flat: Array = values.astype(np.float64)
        return flat.reshape(len(values), -1)


class SymbolMajority:
    """The most frequent target symbol, as often as the target is long."""

    def __init__(self) -> None:
        self.counts: Array = np.zeros(0, np.int64)

    def add(self, examples: Examples) -> None:
        """Count symbols."""
        assert examples.target_tokens is not None
        counts = np.bincount(examples.target_tokens.values, minlength=len(self.counts))
        counts[: len(self.counts)] += self.counts
        self.counts = counts

    def answers(self, examples: Examples) -> Ragged:
        """The symbol, at every place."""
        assert examples.target_tokens is not None
        truth = examples.target_tokens
        return Ragged(np.full(len(truth.values), self.counts.argmax()), truth.offsets)
