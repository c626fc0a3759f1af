"""Scores over the predictions of several runs together, as for the folds of one dataset."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.answers.outputs import Array, Outputs
from models.options.model_fits import OF_STEPS
from models.predict import LOSSES
from models.scores import metrics
from seqprep import ragged
from seqprep.ragged import Ragged
from seqprep.schema import IGNORED_LABEL, Task


def pooled_scores(files: Sequence[Path]) -> metrics.Scores:
    """Figures over all rows of several files of predictions, all of one task.

    Args:
        files: `predictions-<split>.parquet` of each run.

    Returns:
        Figures by name, as for one run; for translate records and exact match only. `majority` is
        the share of rows whose class is the most frequent one of their own run's training rows.
    """
    tables = [pq.read_table(file, partitioning=None) for file in files]
    about: list[dict[str, Any]] = [json.loads(t.schema.metadata[b"about"]) for t in tables]
    task = about[0]["task"]
    if task == "translate":
        same = [
            answer == truth
            for table in tables
            for answer, truth in zip(
                table["prediction"].to_pylist(), table["truth"].to_pylist(), strict=True
            )
        ]
        return {"records": len(same), "exact_match": float(np.mean(same))}
    if task in LOSSES:
        return _losses(tables, task)
    labels = sorted({label for facts in about for label in facts["labels"]})
    pairs = list(zip(tables, about, strict=True))
    answers = [_answers(table, facts, labels) for table, facts in pairs]
    truths = [_truth(table, facts, labels) for table, facts in pairs]
    by_step = task in OF_STEPS
    every = Outputs(
        ids=pa.concat_arrays([table["id"].combine_chunks() for table in tables]),
        windows=np.ones(sum(map(len, tables)), np.int32),
        answers=_whole(answers) if by_step else np.concatenate(answers),
        truth=_whole(truths) if by_step else np.concatenate(truths),
        loss=None,
    )
    found = metrics.score(task, every)
    if labels:
        found["majority"] = _majority(truths, about, labels)
    return found


def _losses(tables: list[pa.Table], task: Task) -> metrics.Scores:
    """Perplexity or reconstruction error over all steps of all records."""
    every = pa.concat_tables(tables)
    steps, value = every["steps"].to_numpy(), every[LOSSES[task]].to_numpy()
    mean = float(np.average(np.log(value) if task == "next" else value, weights=steps))
    shown = math.exp(mean) if task == "next" else mean
    return {"records": len(every), "steps": int(steps.sum()), LOSSES[task]: shown}


def _whole(parts: list[Array]) -> Ragged:
    return ragged.concat([Ragged(part, ragged.to_offsets([len(part)])) for part in parts])


def _answers(table: pa.Table, facts: dict[str, Any], labels: list[str]) -> Array:
    """Probabilities `(rows, C)` in the order of `labels`, or values `(rows, K)`."""
    if not facts["labels"]:
        return _values(table["prediction"], facts["channels"])
    probabilities = _values(table["probabilities"], len(facts["labels"]))
    placed = np.zeros((len(probabilities), len(labels)))
    placed[:, [labels.index(label) for label in facts["labels"]]] = probabilities
    return placed


def _truth(table: pa.Table, facts: dict[str, Any], labels: list[str]) -> Array:
    if not facts["labels"]:
        return _values(table["truth"], facts["channels"])
    truth = table["truth"].combine_chunks()
    truth = truth.flatten() if pa.types.is_list(truth.type) else truth
    codes = pc.index_in(truth, value_set=pa.array(labels))
    found: Array = codes.fill_null(IGNORED_LABEL).to_numpy(zero_copy_only=False)
    return found


def _values(column: pa.ChunkedArray, width: int) -> Array:
    array = column.combine_chunks()
    array = array.flatten() if pa.types.is_list(array.type) else array
    flat: Array = array.to_numpy(zero_copy_only=False).astype(np.float64)
    return flat.reshape(-1, width)


def _majority(truths: list[Array], about: list[dict[str, Any]], labels: list[str]) -> float:
    hits = [
        (truth == labels.index(facts["majority"]))[truth != IGNORED_LABEL]
        for truth, facts in zip(truths, about, strict=True)
    ]
    return float(np.concatenate(hits).mean())
