"""Mistake 7: "the most recent n steps" taken from the head."""

from __future__ import annotations

import numpy as np
from torch import nn

from benchmarks.mistakes.figures import Figure, accuracies
from benchmarks.mistakes.learn import Rows, Training, ours, scores
from benchmarks.mistakes.real import examples_of, has_public_data
from benchmarks.mistakes.tasks import VOCAB, telling_end
from models.options.model import Conv, Front

KEPT = 200


def wrong(rows: Rows, kept: int) -> Rows:
    """The oldest steps: `x[:n]`."""
    return Rows(inputs=[row[:kept] for row in rows.inputs], labels=rows.labels)


def right(rows: Rows, kept: int) -> Rows:
    """The most recent: `x[-n:]`, `truncate: {length: n, keep: tail}`."""
    return Rows(inputs=[row[-kept:] for row in rows.inputs], labels=rows.labels)


def made() -> Figure:
    """Scores where the class is told at the end."""
    train, test = (
        telling_end(rows, seed=seed, lengths=np.full(rows, 400))
        for rows, seed in ((300, 1), (300, 2))
    )
    found = [
        scores(lambda: ours(vocab=VOCAB), cut(train, 40), cut(test, 40), Training(epochs=5))
        for cut in (wrong, right)
    ]
    return accuracies("accuracy, 40 of 400 steps kept, the class told in the last five", *found)


def reviews() -> Figure:
    """Scores of film reviews without their most frequent and rarest words."""
    steps = "prepare.steps=[{summarize: {drop_top: 50, min_records: 4}}]"
    found = examples_of("movie_reviews", steps)

    def model() -> nn.Module:
        return ours(
            vocab=found.vocab,
            embedding=64,
            hidden=32,
            bidirectional=True,
            pooling=("mean", "max"),
            front=Front(conv=(Conv(channels=64, kernel=3, stride=2),)),
            dropout=0.5,
            input_dropout=0.4,
        )

    training = Training(epochs=4, lr=0.003)
    both = [
        scores(model, cut(found.rows["train"], KEPT), cut(found.rows["test"], KEPT), training)
        for cut in (wrong, right)
    ]
    return accuracies(f"accuracy, movie reviews, {KEPT} words of each kept", *both)


def measure() -> list[Figure]:
    """On made records, and on film reviews where they are at hand."""
    return [made(), reviews()] if has_public_data() else [made()]
