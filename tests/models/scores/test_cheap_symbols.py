"""Cheap estimators of the next symbol: they answer for the same symbols as a model does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.scores.baselines import score_all
from models.scores.cheap_symbols import Bigram, Unigram
from seqprep.batches import BatchSettings, BatchSource
from seqprep.schema import EOS
from tests.synthetic import VOCAB, example_table, facts_of_task

WINDOWS = {
    "tokens": [[4, 5, 6, 7], [7, 4, 5], [6]],
    "id": ["a", "a", "b"],
    "window": [0, 1, 0],
}
WHOLE = {"tokens": [[4, 5, 6, 7, 4, 5], [6]], "id": ["a", "b"]}


def source_of(data: dict[str, list[object]]) -> BatchSource:
    facts = facts_of_task("next", data, window_stride=3 if "window" in data else 0)
    return BatchSource.of_examples(example_table(data, facts), facts, settings=BatchSettings())


def test_windows_are_counted_as_the_record_that_they_are() -> None:
    """Counted by windows, ends would be twice as likely and the overlap would weigh twice."""
    for estimator in (Unigram(VOCAB, foretold=True), Bigram(VOCAB)):
        for examples in source_of(WINDOWS).as_read():
            estimator.add(examples)
        assert estimator.counts.tolist() == [0, 0, 0, 2, 2, 2, 2, 1]
        assert estimator.counts[EOS] == len(set(WINDOWS["id"]))


def test_windows_are_scored_beside_the_model_on_the_same_symbols() -> None:
    """A baseline of more symbols than the model has would stand beside another score."""
    cut, whole = (score_all({"train": source_of(d)}, ["train"])["train"] for d in (WINDOWS, WHOLE))
    assert cut["majority"]["steps"] == whole["majority"]["steps"] == 9
    assert cut["bigram"]["steps"] == 9
    assert cut["majority"]["perplexity"] == pytest.approx(whole["majority"]["perplexity"])
    shares = np.array([2, 2, 2, 2, 1]) / 9
    assert cut["majority"]["perplexity"] < 1.5 * math.exp(-(shares * np.log(shares)).sum())


def test_of_views_the_whole_record_is_scored() -> None:
    """A model is scored on it alone: a baseline of its pieces, too, would stand beside another."""
    views = {"tokens": [[4, 5, 6], [5, 6], [6]], "id": ["a", "a", "b"], "view": [0, 1, 0]}
    whole = {"tokens": [[4, 5, 6], [6]], "id": ["a", "b"]}
    found = [score_all({"train": source_of(d)}, ["train"])["train"] for d in (views, whole)]
    assert found[0] == found[1] and found[0]["majority"]["steps"] == 6
