"""Cheap estimators of the next symbol and of reconstructions, in NumPy only.

Each answers with the loss of every step, as a model of these tasks does: nats of the symbol and
whether it was the likeliest, or a squared error in standard deviations of the training rows.

Legend: R rows, N steps, V ids, F channels.
"""

from __future__ import annotations

import numpy as np

from models.answers.outputs import Array
from seqprep.examples import Examples
from seqprep.ragged import Ragged, keep
from seqprep.schema import BOS, IGNORED_LABEL, PAD


class Unigram:
    """How frequent each symbol is, whatever stands before it.

    Args:
        vocab_size: V. foretold: symbols are the targets of steps, not the steps.
    """

    def __init__(self, vocab_size: int, *, foretold: bool) -> None:
        self.counts = np.zeros(vocab_size, np.int64)
        self.foretold = foretold

    def add(self, examples: Examples) -> None:
        """Count symbols."""
        symbols = self._symbols(examples).values
        self.counts += np.bincount(symbols, minlength=len(self.counts))

    def answers(self, examples: Examples) -> Ragged:
        """Nats by the smoothed share of each symbol."""
        symbols = self._symbols(examples)
        right = symbols.values == self.counts.argmax()
        losses = np.stack([-np.log(self.shares())[symbols.values], right], axis=1)
        return Ragged(losses, symbols.offsets)

    def shares(self) -> Array:
        """`(V,)` probabilities; every id that can occur counts once more than it was seen."""
        counts = self.counts + 1.0
        counts[[PAD, BOS] if self.foretold else [PAD]] = 1e-300  # never occur
        shares: Array = counts / counts.sum()
        return shares

    def _symbols(self, examples: Examples) -> Ragged:
        if self.foretold:
            return _foretold(examples)[1]
        return Ragged(examples.inputs.values.astype(np.int64), examples.inputs.offsets)


class Bigram(Unigram):
    """How often each symbol followed the one before it, backing off to how frequent it is.

    Held as the pairs that occur, so large vocabularies cost no table of all pairs.

    Args:
        vocab_size: V.

    Source: method C of Witten & Bell 1991, doi:10.1109/18.87000.
    """

    def __init__(self, vocab_size: int) -> None:
        super().__init__(vocab_size, foretold=True)
        self.pairs: Array = np.zeros(0, np.int64)
        self.pair_counts: Array = np.zeros(0, np.int64)

    def add(self, examples: Examples) -> None:
        """Count symbols and pairs."""
        super().add(examples)
        pairs, counts = np.unique(self._pairs(examples).values, return_counts=True)
        every, place = np.unique(np.concatenate([self.pairs, pairs]), return_inverse=True)
        self.pair_counts = np.bincount(
            place, weights=np.concatenate([self.pair_counts, counts]), minlength=len(every)
        ).astype(np.int64)
        self.pairs = every

    def answers(self, examples: Examples) -> Ragged:
        """Nats by the share of the pair among those that begin alike."""
        size, rows = len(self.counts), self._pairs(examples)
        before, symbol = rows.values // size, rows.values % size
        first = self.pairs // size
        seen = np.bincount(first, weights=self.pair_counts, minlength=size)
        kinds = np.bincount(first, minlength=size)
        place = np.minimum(np.searchsorted(self.pairs, rows.values), len(self.pairs) - 1)
        count = np.where(self.pairs[place] == rows.values, self.pair_counts[place], 0)
        total, kind, share = seen[before], kinds[before], self.shares()[symbol]
        p = np.where(total > 0, (count + kind * share) / np.maximum(total + kind, 1), share)
        right = symbol == self._likeliest()[before]
        return Ragged(np.stack([-np.log(p), right], axis=1), rows.offsets)

    def _likeliest(self) -> Array:
        """`(V,)` what followed each id most often; the commonest symbol where nothing did."""
        size = len(self.counts)
        likeliest = np.full(size, self.counts.argmax())
        order = np.argsort(self.pair_counts, kind="stable")
        likeliest[self.pairs[order] // size] = self.pairs[order] % size
        return likeliest

    def _pairs(self, examples: Examples) -> Ragged:
        before, after = _foretold(examples)
        return Ragged(before.values * len(self.counts) + after.values, before.offsets)


def _foretold(examples: Examples) -> tuple[Ragged, Ragged]:
    """The steps that foretell a symbol, and these symbols, as int64."""
    assert examples.targets is not None, "rows that were not read as a model reads them"
    marks = examples.targets.values != IGNORED_LABEL
    before, after = (keep(rows, marks) for rows in (examples.inputs, examples.targets))
    return (
        Ragged(before.values.astype(np.int64), before.offsets),
        Ragged(after.values.astype(np.int64), after.offsets),
    )


class Constant:
    """Every step is the mean of the training rows.

    Args:
        channels: F.
    """

    def __init__(self, channels: int) -> None:
        self.count, self.sum, self.square = 0, np.zeros(channels), np.zeros(channels)

    def add(self, examples: Examples) -> None:
        """Sum moments."""
        values = examples.inputs.values.astype(np.float64)
        self.count += len(values)
        self.sum, self.square = self.sum + values.sum(0), self.square + (values**2).sum(0)

    def answers(self, examples: Examples) -> Ragged:
        """Squared errors in standard deviations, the mean over channels."""
        inputs = examples.inputs
        mean = self.sum / self.count
        variance = self.square / self.count - mean**2
        variance = np.where(variance > 0, variance, 1.0)
        errors = (inputs.values - self._guess(inputs, mean)) ** 2 / variance
        return Ragged(errors.mean(1, keepdims=True), inputs.offsets)

    def _guess(self, inputs: Ragged, mean: Array) -> Array:
        return mean


class RecordMean(Constant):
    """Every step is the mean of its own record: a code of one number a channel."""

    def _guess(self, inputs: Ragged, mean: Array) -> Array:
        values = inputs.values.astype(np.float64)
        sums = np.add.reduceat(values, inputs.offsets[:-1])
        return np.repeat(sums / inputs.lengths[:, None], inputs.lengths, axis=0)
