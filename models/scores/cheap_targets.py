"""Cheap estimators of values, of steps and of symbols, in NumPy only.

Legend: R rows or steps, P features, K target channels, C classes, V ids of tokens, S target ids.
"""

from __future__ import annotations

import numpy as np

from models.answers.outputs import Array
from models.scores.cheap import SMALL_VOCABULARY
from seqprep import ragged
from seqprep.examples import Examples
from seqprep.ragged import Ragged
from seqprep.schema import IGNORED_LABEL

MOST_CELLS = 2**23
"""Cells of a table of counts; a larger one would cost more than the model that it judges."""
RIDGE = 1e-6


class StepNaiveBayes:
    """The class of a step from its own token or values alone, as if steps knew nothing of others.

    Tokens by their counts, smoothed by one; values by a Gaussian for each class and channel.

    Args:
        classes: how many.
        vocab_size: ids of tokens; None where inputs are values.
        channels: of values.
    """

    def __init__(self, classes: int, vocab_size: int | None, channels: int) -> None:
        self.vocab_size = vocab_size
        self.count = np.zeros((classes, 1))
        self.tokens = np.zeros((classes, vocab_size or 0))
        self.sum, self.square = np.zeros((classes, channels)), np.zeros((classes, channels))

    def add(self, examples: Examples) -> None:
        """Count labelled steps."""
        assert examples.targets is not None
        labels, inputs = examples.targets.values, examples.inputs.values
        real = labels != IGNORED_LABEL
        labels, inputs = labels[real].astype(np.int64), inputs[real]
        self.count += np.bincount(labels, minlength=len(self.count))[:, None]
        if self.vocab_size is not None:
            np.add.at(self.tokens, (labels, inputs.astype(np.int64)), 1)
            return
        for code in range(len(self.count)):
            values = inputs[labels == code].astype(np.float64)
            self.sum[code] += values.sum(0)
            self.square[code] += (values**2).sum(0)

    def answers(self, examples: Examples) -> Ragged:
        """Posterior probabilities of every step."""
        inputs = examples.inputs
        if self.vocab_size is not None:
            smoothed = self.tokens + 1
            table = np.log(smoothed / smoothed.sum(1, keepdims=True)).T
            evidence = table[inputs.values.astype(np.int64)]
        else:
            count = np.maximum(self.count, 1)
            mean = self.sum / count
            variance = np.maximum(self.square / count - mean**2, 0) + 1e-6
            values = inputs.values.astype(np.float64)
            parts = [
                -(((values - m) ** 2) / v + np.log(v)).sum(1) / 2
                for m, v in zip(mean, variance, strict=True)
            ]
            evidence = np.stack(parts, axis=1)
        log_p = evidence + np.log(self.count[:, 0] + 1e-12)
        p = np.exp(log_p - log_p.max(1, keepdims=True))
        return Ragged(p / p.sum(1, keepdims=True), inputs.offsets)


class Linear:
    """Least squares with a little ridge.

    A record's value from its length, and the mean and standard deviation of each channel or the
    share of each token of a small vocabulary; a step's values from its own values or token.

    Args:
        vocab_size: ids of tokens; None where inputs are values.
        by_step: whether targets belong to steps.
    """

    def __init__(self, vocab_size: int | None, *, by_step: bool) -> None:
        self.vocab_size, self.by_step = vocab_size, by_step
        self.count = 0
        self.sum: Array = np.zeros(0)
        self.products: Array = np.zeros((0, 0))
        self.inputs = 0

    def add(self, examples: Examples) -> None:
        """Sum features, targets and their products."""
        features = self._features(examples)
        truth = examples.labels if examples.targets is None else examples.targets.values
        assert truth is not None
        both = np.column_stack([features, truth.astype(np.float64).reshape(len(truth), -1)])
        if not self.count:
            self.inputs = features.shape[1]
            self.sum, self.products = np.zeros(both.shape[1]), np.zeros((both.shape[1],) * 2)
        self.count += len(both)
        self.sum = self.sum + both.sum(0)
        self.products = self.products + both.T @ both

    def answers(self, examples: Examples) -> Array | Ragged:
        """Values `(R, K)`, or of steps."""
        mean = self.sum / self.count
        covariance = self.products / self.count - np.outer(mean, mean)
        P = self.inputs
        scale = np.maximum(np.diag(covariance)[:P], 1e-12)
        weights = np.linalg.solve(
            covariance[:P, :P] + np.diag(RIDGE * scale + 1e-12), covariance[:P, P:]
        )
        values: Array = (self._features(examples) - mean[:P]) @ weights + mean[P:]
        return Ragged(values, examples.inputs.offsets) if self.by_step else values

    def _features(self, examples: Examples) -> Array:
        inputs = examples.inputs
        values: Array
        if self.vocab_size is None:
            values = inputs.values.astype(np.float64)
        elif self.vocab_size <= SMALL_VOCABULARY:
            values = np.eye(self.vocab_size)[inputs.values.astype(np.int64)]
        else:
            values = np.zeros((len(inputs.values), 0))
        if self.by_step:
            return values
        starts, lengths = inputs.offsets[:-1], inputs.lengths[:, None]
        mean = np.add.reduceat(values, starts) / lengths
        square = np.add.reduceat(values**2, starts) / lengths
        spread = np.sqrt(np.maximum(square - mean**2, 0))
        long = examples.record_lengths.astype(np.float64)[:, None]
        return np.hstack([long, np.log(np.maximum(long, 1)), mean, spread])


class SymbolTable:
    """For each place of the target the symbol seen most often beside the source token there.

    Source and target are laid over each other by relative place, their order inside it ignored.

    Args:
        vocab_size: ids of source tokens. target_vocab_size: ids of target tokens.
    """

    def __init__(self, vocab_size: int, target_vocab_size: int) -> None:
        self.counts = np.zeros((vocab_size, target_vocab_size), np.int64)

    def add(self, examples: Examples) -> None:
        """Count pairs."""
        assert examples.target_tokens is not None
        pair = (self._sources(examples), examples.target_tokens.values.astype(np.int64))
        np.add.at(self.counts, pair, 1)

    def answers(self, examples: Examples) -> Ragged:
        """A symbol at every place of the target; the commonest one for a token never seen."""
        assert examples.target_tokens is not None
        best = self.counts.argmax(1)
        best[self.counts.sum(1) == 0] = self.counts.sum(0).argmax()
        return Ragged(best[self._sources(examples)], examples.target_tokens.offsets)

    def _sources(self, examples: Examples) -> Array:
        """The source token at the relative place of each target symbol."""
        assert examples.target_tokens is not None
        inputs, targets = examples.inputs, examples.target_tokens
        row = np.repeat(np.arange(len(targets)), targets.lengths)
        place = ragged.ranges(np.zeros(len(targets), np.int64), targets.lengths)
        there = (2 * place + 1) * inputs.lengths[row] // (2 * targets.lengths[row])
        tokens: Array = inputs.values[inputs.offsets[row] + there].astype(np.int64)
        return tokens
