"""Mistake 8: rules of frequency, or of usefulness, fitted on all data, test records included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks.mistakes.figures import Figure, Scores, accuracies
from benchmarks.mistakes.real import folder_of, has_public_data
from seqprep.transforms.usefulness import chi_squared

Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.float32]
Rule = Callable[[Counts, npt.NDArray[np.int64]], Bools]
"""Which words stay, from counts of some records and their labels."""
USEFUL, DRAWS = 200, 5


def reviews() -> tuple[Counts, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How often each word stands in each film review `(R, V)`, labels and official folds."""
    texts, labels, folds = [], [], []
    for label, name in enumerate(("neg", "pos")):
        for path in sorted((folder_of("movie_reviews") / name).glob("cv*.txt")):
            texts.append(Counter(re.findall(r"\w+", path.read_text(encoding="latin-1").lower())))
            labels.append(label)
            folds.append(int(path.name[2]))
    held = Counter(word for text in texts for word in text)
    place = {word: n for n, word in enumerate(word for word in sorted(held) if held[word] > 1)}
    counts = np.zeros((len(texts), len(place)), np.float32)
    for row, text in enumerate(texts):
        for word, count in text.items():
            if word in place:
                counts[row, place[word]] = count
    return counts, np.array(labels), np.array(folds)


def by_frequency(counts: Counts, labels: npt.NDArray[np.int64]) -> Bools:
    """Without the 50 most frequent words and those in fewer than 4 records."""
    kept: Bools = (counts > 0).sum(0) >= 4
    kept[np.argsort(counts.sum(0))[-50:]] = False
    return kept


def by_usefulness(counts: Counts, labels: npt.NDArray[np.int64]) -> Bools:
    """The words that tell most about the label."""
    held = np.stack([(counts[labels == code] > 0).sum(0) for code in (0, 1)], axis=1)
    kept = np.zeros(counts.shape[1], bool)
    kept[np.argsort(chi_squared(held, np.bincount(labels)))[-USEFUL:]] = True
    return kept


def naive_bayes(counts: Counts, labels: npt.NDArray[np.int64], asked: Counts) -> Bools:
    """Which of the asked records are of class 1, by multinomial naive Bayes."""
    sums = np.stack([counts[labels == code].sum(0) for code in (0, 1)]) + 1
    weights = np.log(sums / sums.sum(1, keepdims=True))
    prior = np.log(np.bincount(labels) / len(labels))
    found: Bools = np.diff(asked @ weights.T + prior, axis=1)[:, 0] > 0
    return found


def both_ways(
    rule: Rule,
    counts: Counts,
    labels: npt.NDArray[np.int64],
    folds: npt.NDArray[np.int64],
) -> tuple[Scores, Scores]:
    """Right answers of each record where its fold is held out, the rule fitted on all or not."""
    right: tuple[Scores, Scores] = (np.zeros(len(labels)), np.zeros(len(labels)))
    everywhere = rule(counts, labels)
    for fold in range(10):
        train, test = folds != fold, folds == fold
        for scores, kept in zip(
            right, (everywhere, rule(counts[train], labels[train])), strict=True
        ):
            found = naive_bayes(counts[train][:, kept], labels[train], counts[test][:, kept])
            scores[test] = found == (labels[test] == 1)
    return right


def measure() -> list[Figure]:
    """Three rules on film reviews in ten folds, by naive Bayes; the first on labels of chance."""
    if not has_public_data():
        return []
    counts, labels, folds = reviews()
    drawn = [np.random.default_rng(draw).permutation(labels) for draw in range(DRAWS)]
    cases = [
        (f"the {USEFUL} most useful words, labels permuted", by_usefulness, drawn),
        (f"the {USEFUL} most useful words", by_usefulness, [labels]),
        ("rules of frequency (drop 50, at least 4 records)", by_frequency, [labels]),
    ]
    found = []
    for what, rule, given in cases:
        pairs = [both_ways(rule, counts, truth, folds) for truth in given]
        wrong, right = (np.stack(scores) for scores in zip(*pairs, strict=True))
        found.append(accuracies(f"accuracy, movie reviews, {what}", wrong, right))
    return found
