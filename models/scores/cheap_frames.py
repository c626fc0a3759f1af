"""A cheap estimator of a class from DNA: the longest open reading frame and its codons.

Use it where proteins may tell the class. Tokens must spell the bases: see `Spelling`.

Source: Wang et al. 2013, doi:10.1093/nar/gkt006 (frame length, coverage and hexamers in a logistic
regression)
Legend: R rows, N tokens, V ids, C classes, D different codes of a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from models.answers.outputs import Array
from models.scores import open_frames
from models.scores.kept_rows import KeptRows, Rows
from models.scores.logistic import Floats, Logistic
from models.scores.open_frames import CODONS, UNKNOWN
from seqprep.examples import Examples
from seqprep.ragged import Ints, Ragged, to_offsets
from seqprep.schema import num_reserved
from seqprep.snapshot import Facts

_CONTIGUOUS = ("truncate", "windows", "subsequences", "shift", "reverse_complement")
"""Steps of a recipe that leave spans of a record as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spelling:
    """How ids spell bases.

    Args:
        letters: `(k, V)` bases of each id, as numbers of `open_frames`. stride: of the k-mers.
        either_strand: whether the recipe turns rows round, which says that strands are not known.
    """

    letters: npt.NDArray[np.uint8]
    stride: int
    either_strand: bool = False

    @classmethod
    def of(cls, facts: Facts, fitted: bytes, pipeline: Mapping[str, Any] | None) -> Self | None:
        """From fitted state and the pipeline; None where tokens do not give the bases again.

        They do where they are k-mers without gaps between them, of one strand, and where no step
        takes some out. Canonical k-mers do not tell which strand was read.
        """
        recipe = (pipeline or {}).get("prepare") or {}
        tokens = recipe.get("tokens") or {}
        stride, k = tokens.get("stride", 1), tokens.get("k", 1)
        vocabulary = json.loads(fitted).get("vocabulary") or ()
        reserved = num_reserved(facts.task)
        if (
            pipeline is None
            or facts.domain != "dna"
            or facts.vocab_size != reserved + len(vocabulary)
            or any(len(token) != k for token in vocabulary)
            or tokens.get("canonical")
            or stride > k
        ):
            return None
        steps = [item for step in recipe.get("steps") or () for item in step.items()]
        for name, options in steps:  # those drawn when batches are made change no stored row
            if name not in _CONTIGUOUS and (options or {}).get("when") != "train":
                return None
        letters = np.full((k, facts.vocab_size), UNKNOWN, np.uint8)
        for place in range(k):
            letters[place, reserved:] = [_BASES.get(token[place], UNKNOWN) for token in vocabulary]
        either = any(name == "reverse_complement" for name, _ in steps)
        return cls(letters=letters, stride=stride, either_strand=either)

    def bases(self, tokens: Ragged) -> Ragged:
        """The bases of each row; what no token tells is unknown.

        >>> letters = np.array([[4, 4, 0, 1], [4, 4, 1, 2]], np.uint8)  # AC and CG
        >>> rows = Ragged(np.array([2, 3, 1]), np.array([0, 3]))
        >>> Spelling(letters=letters, stride=1).bases(rows).values.tolist()
        [0, 1, 2, 4]
        """
        counts, k = tokens.lengths, len(self.letters)
        offsets = to_offsets(np.where(counts > 0, (counts - 1) * self.stride + k, 0))
        first = np.repeat(offsets[:-1] - self.stride * tokens.offsets[:-1], counts)
        first += self.stride * np.arange(len(tokens.values))
        bases = np.full(int(offsets[-1]), UNKNOWN, np.uint8)
        for place, letters in enumerate(self.letters):
            wanted = np.flatnonzero(bases[first + place] == UNKNOWN)
            bases[first[wanted] + place] = letters[tokens.values[wanted]]
        return Ragged(bases, offsets)


_BASES = {base: number for number, base in enumerate("ACGT")}


class OpenFrame:
    """Logistic regression on the longest open reading frame of a row.

    Its features: the length of the longest frame and of the longest stretch without a stop codon
    (which a cut record may have without its start), each as a logarithm and as its share of the
    row; and for each class the mean log-odds of the frame's codons and of its pairs of codons. The
    odds come from the frames of training rows; a training row's own codons do not count for it, or
    rare pairs would seem to tell more than they do.

    Args:
        classes: how many.
        spelling: how tokens spell bases.
    """

    def __init__(self, classes: int, spelling: Spelling) -> None:
        self.classes, self.spelling = classes, spelling
        self.kept = KeptRows()
        self._fitted: tuple[Logistic, list[Floats]] | None = None

    def add(self, examples: Examples) -> None:
        """Keep the frames of training rows."""
        assert examples.labels is not None
        self._fitted = None
        numbers, codons = self._measure(examples)
        self.kept.add(Rows(labels=examples.labels, numbers=numbers, symbols=codons))

    def answers(self, examples: Examples) -> Array:
        """Chances of the classes."""
        if self._fitted is None:
            self._fitted = self._fit(self.kept.rows())
        model, tables = self._fitted
        numbers, codons = self._measure(examples)
        odds = [_odds(bag, table) for bag, table in zip(_bags(codons), tables, strict=True)]
        return model.answers(np.hstack([numbers, *odds]))

    def _fit(self, rows: Rows) -> tuple[Logistic, list[Floats]]:
        """The regression, and the counts `(C, codes)` of codons and of their pairs."""
        assert rows.symbols is not None
        tables, odds = [], []
        for bag in _bags(rows.symbols):
            place = rows.labels[bag.row].astype(np.int64) * bag.codes + bag.code
            counts = np.bincount(place, weights=bag.times, minlength=self.classes * bag.codes)
            tables.append(counts.reshape(self.classes, bag.codes).astype(np.float64))
            odds.append(_odds(bag, tables[-1], labels=rows.labels))
        features = np.hstack([rows.numbers, *odds])
        return Logistic.fit(features, rows.labels, classes=self.classes), tables

    def _measure(self, examples: Examples) -> tuple[Floats, Ragged]:
        """Lengths and shares `(R, 4)`, and the codons of each row's longest frame."""
        bases = self.spelling.bases(examples.inputs)
        found = open_frames.longest_frames(bases)
        if self.spelling.either_strand:
            found = found.longer(open_frames.longest_frames(open_frames.other_strand(bases)))
        long = np.stack([found.codons.lengths, found.runs], axis=1).astype(np.float64)
        share = 3 * long / np.maximum(bases.lengths, 1)[:, None]
        return np.hstack([np.log1p(long), share]), found.codons


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bag:
    """What occurs in rows, whatever the order.

    Args:
        row: `(D,)`. code: `(D,)` below `codes`. times: `(D,)` that it occurs there.
        rows: R. codes: how many there could be.
    """

    row: Ints
    code: Ints
    times: Ints
    rows: int
    codes: int


def _bags(codons: Ragged) -> Iterator[_Bag]:
    """Known codons of rows, then known pairs of successive ones."""
    values = codons.values.astype(np.int64)
    row = np.repeat(np.arange(len(codons)), codons.lengths)
    known = values < CODONS
    yield _bag(row[known], values[known], len(codons), CODONS)
    both = known[:-1] & known[1:] & (row[:-1] == row[1:])
    pairs = values[:-1] * CODONS + values[1:]
    yield _bag(row[:-1][both], pairs[both], len(codons), CODONS**2)


def _bag(row: Ints, code: Ints, rows: int, codes: int) -> _Bag:
    found, times = np.unique(row * codes + code, return_counts=True)
    return _Bag(row=found // codes, code=found % codes, times=times, rows=rows, codes=codes)


def _odds(bag: _Bag, counts: Floats, labels: Array | None = None) -> Floats:
    """Mean log-odds `(R, C)` of each class against the mean of all, by counts `(C, codes)`.

    Args:
        bag: of the rows.
        counts: of training rows, smoothed by one here.
        labels: `(R,)` of rows that are in the counts, which are left out of them.
    """
    totals = np.bincount(bag.row, weights=bag.times, minlength=bag.rows)
    odds = np.zeros((bag.rows, len(counts)))
    for label, seen in enumerate(counts):
        mine = np.zeros(bag.rows) if labels is None else (labels == label).astype(np.float64)
        some = seen[bag.code] + 1 - bag.times * mine[bag.row]
        every = seen.sum() + bag.codes - totals * mine
        log_p = np.log(some) - np.log(every)[bag.row]
        odds[:, label] = np.bincount(bag.row, weights=bag.times * log_p, minlength=bag.rows)
    mean: Floats = (odds - odds.mean(1, keepdims=True)) / np.maximum(totals, 1)[:, None]
    return mean
