"""Fit the cheap estimators on training rows and score them beside the model.

Majority; the record's length alone; naive Bayes on a bag of tokens (words by presence, small
vocabularies by n-grams of ids); logistic regression on the longest open reading frame of DNA whose
tokens spell it; Gaussian naive Bayes on each channel's log standard deviation; logistic regression
on band powers of signals, or on means and deviations of other values; for numbers the mean and a
linear fit; for steps what their own values or token tell; for symbols the most frequent one, and
the one beside the source token at the same relative place; for the next symbol how frequent it is,
and how often it followed the one before; for reconstructions the most frequent token, the mean of
the training rows, and that of the record itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from models.answers import outputs
from models.scores import metrics
from models.scores.cheap import (
    SMALL_VOCABULARY,
    Baseline,
    Deviation,
    Length,
    Majority,
    Mean,
    NaiveBayes,
    StepMajority,
    SymbolMajority,
)
from models.scores.cheap_frames import OpenFrame, Spelling
from models.scores.cheap_signals import signal_regression
from models.scores.cheap_symbols import Bigram, Constant, RecordMean, Unigram
from models.scores.cheap_targets import MOST_CELLS, Linear, StepNaiveBayes, SymbolTable
from seqprep import ragged
from seqprep.batches import BatchSource
from seqprep.examples import Examples
from seqprep.ragged import Ragged
from seqprep.schema import Split
from seqprep.snapshot import Facts

SLICE_CELLS = 2**22
"""Tokens or values counted at once; grams take some hundred bytes each."""


def score_all(
    sources: dict[Split, BatchSource],
    splits: Sequence[Split],
    *,
    fitted: bytes = b"{}",
    pipeline: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, metrics.Scores]]:
    """Fit every baseline that fits the task on training rows, and score it.

    Args:
        sources: of each split.
        splits: to score.
        fitted: state of the preparation.
        pipeline: as a person wrote it; with the fitted state it tells what the steps of rows are.

    Returns:
        Figures by split and baseline.
    """
    baselines = baselines_for(sources["train"].facts, fitted=fitted, pipeline=pipeline)
    for examples in _plain_rows(sources["train"]):
        for baseline in baselines.values():
            baseline.add(examples)
    found: dict[str, dict[str, metrics.Scores]] = {}
    for split in splits:
        if len(sources[split]):
            found[split] = {
                name: metrics.score(sources[split].facts.task, answered)
                for name, answered in _outputs(baselines, sources[split]).items()
            }
    return found


def baselines_for(
    facts: Facts, *, fitted: bytes = b"{}", pipeline: Mapping[str, Any] | None = None
) -> dict[str, Baseline]:
    """The baselines that a task and its inputs allow, by name."""
    classes, found = len(facts.labels), dict[str, Baseline]()
    if facts.task == "classify":
        found = _of_classes(facts, fitted, pipeline)
    elif facts.task == "label_steps":
        by_step = StepNaiveBayes(classes, facts.vocab_size, len(facts.channels))
        found = {"majority": StepMajority(classes), "naive_bayes": by_step}
    elif facts.task in ("regress", "regress_steps"):
        found = {"mean": Mean()}
        if facts.task == "regress" or (facts.vocab_size or 0) <= SMALL_VOCABULARY:
            found["linear"] = Linear(facts.vocab_size, by_step=facts.task == "regress_steps")
    elif facts.task == "translate":
        found = {"majority": SymbolMajority()}
        sizes = (facts.vocab_size or 0, facts.target_vocab_size or 0)
        if 0 < sizes[0] * sizes[1] <= MOST_CELLS:
            found["table"] = SymbolTable(*sizes)
    elif facts.task == "next":
        size = facts.vocab_size or 0
        found = {"majority": Unigram(size, foretold=True), "bigram": Bigram(size)}
    elif facts.vocab_size is not None:
        found = {"majority": Unigram(facts.vocab_size, foretold=False)}
    else:
        channels = len(facts.channels)
        found = {"mean": Constant(channels), "record_mean": RecordMean(channels)}
    return found


def _of_classes(
    facts: Facts, fitted: bytes, pipeline: Mapping[str, Any] | None
) -> dict[str, Baseline]:
    """The baselines of whole records with a class."""
    classes = len(facts.labels)
    found: dict[str, Baseline] = {"majority": Majority(classes), "length": Length(classes)}
    if facts.vocab_size is None:
        found["standard_deviation"] = Deviation(classes, len(facts.channels))
        name, regression = signal_regression(facts, pipeline)
        found[name] = regression
        return found
    found["naive_bayes"] = NaiveBayes(classes, facts.vocab_size)
    spelling = Spelling.of(facts, fitted, pipeline)
    if spelling is not None:
        found["open_frame"] = OpenFrame(classes, spelling)
    return found


def _slices(source: BatchSource) -> Iterator[Examples]:
    """All rows in stored order, few enough at a time that grams of them fit the memory."""
    for examples in source.as_read():
        width = int(np.prod(examples.inputs.values.shape[1:]))
        part = examples.inputs.offsets[:-1] * width // SLICE_CELLS
        for rows in np.split(np.arange(len(examples)), np.flatnonzero(np.diff(part)) + 1):
            if len(rows):
                yield examples if len(rows) == len(examples) else examples.take(rows)


def _plain_rows(source: BatchSource) -> Iterator[Examples]:
    """Training rows as they are, without augmented views if there is a plain one."""
    for examples in _slices(source):
        plain = np.flatnonzero(examples.views == 0)
        yield examples if len(plain) in (0, len(examples)) else examples.take(plain)


def _outputs(baselines: dict[str, Baseline], source: BatchSource) -> dict[str, outputs.Outputs]:
    """Pooled answers of every baseline beside the truth, in one reading of the rows."""
    ids: list[pa.Array] = []
    truth: list[Any] = []
    answers: dict[str, list[Any]] = {name: [] for name in baselines}
    for examples in _slices(source):
        ids.append(examples.ids)
        carried = (examples.labels, examples.targets, examples.target_tokens, examples.inputs)
        truth.append(next(item for item in carried if item is not None))
        for name, baseline in baselines.items():
            answers[name].append(baseline.answers(examples))
    every = outputs.Outputs(
        ids=pa.concat_arrays(ids),
        windows=np.ones(len(source), np.int32),
        answers=np.zeros(0),
        truth=_joined(truth),
        loss=None,
        first_steps=source.first_steps,
        views=source.views,
        joined=source.facts.task in outputs.OWN_TRUTH,
    )
    return {
        name: outputs.pool(replace(every, answers=_joined(parts)))
        for name, parts in answers.items()
    }


def _joined(parts: list[Any]) -> Any:
    return ragged.concat(parts) if isinstance(parts[0], Ragged) else np.concatenate(parts)
