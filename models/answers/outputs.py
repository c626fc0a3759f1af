"""Run a model over a split and gather one answer a record.

Windows and stored views of a record are pooled by the mean of their probabilities or values.
Where the next symbol is learnt, or a reconstruction, the answers of a record are the losses of all
its steps, its windows one after the other: a perplexity needs no more. Of views the first tells
them, since losses of other views are those of other sequences. Answers come back in the order in
which records first occur, whatever the batches were.

Legend: N examples, R records, C classes, K target channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from models.answers.beside import Columns, MakeColumns, join_rows, pool_columns
from models.answers.objectives import Objective
from models.layers.search import Found
from models.options.model_fits import OF_RECORDS
from models.shape import TensorBatch, to_tensors
from seqprep import ragged
from seqprep.batches import Batch, BatchSource
from seqprep.errors import SeqprepError
from seqprep.ragged import Ragged
from seqprep.schema import IGNORED_LABEL, Task

Array = np.ndarray[Any, np.dtype[Any]]
Steps = Ragged
"""Answers or truths of each step (or symbol), row after row."""
OWN_TRUTH: tuple[Task, ...] = ("next", "reconstruct")
"""Tasks whose truth is the input itself, and whose answers are losses of steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """Answers of examples, or of records once pooled.

    Args:
        ids: of each row. windows: how many examples were pooled into it.
        first_steps: `(N,)` the step of its record at which each row begins; None: all at the first.
        views: `(N,)` the view of its record that each row is; None: all the same.
        answers: `(N, C)` probabilities, `(N, 1)` values, or Steps of probabilities, values, ids, or
            of losses `(steps, 1)`, for symbols also whether they are the likeliest `(steps, 2)`.
        truth: `(N,)` labels, or Steps; None where the rows carry none.
        loss: mean over rows, real steps or symbols; None without truth.
        columns: what else prediction gives, by name.
        joined: whether a record has the answers of all its windows, not their mean.
    """

    ids: pa.Array
    windows: Array
    answers: Array | Steps
    truth: Array | Steps | None
    loss: float | None
    first_steps: Array | None = None
    views: Array | None = None
    columns: Columns = field(default_factory=dict)
    joined: bool = False

    def __len__(self) -> int:
        return len(self.ids)


@torch.no_grad()
def run(
    model: nn.Module,
    source: BatchSource,
    objective: Objective,
    *,
    device: torch.device,
    beside: MakeColumns | None = None,
    between: Callable[[], None] | None = None,
) -> Outputs:
    """Answers of every example of a source, dropout off.

    Args:
        model: left in the mode it was in.
        source: of one split, or of rows to predict.
        objective: the plain one of the task.
        device: of the model.
        beside: makes what prediction gives beside the answers.
        between: called after each batch; what it raises ends the run.

    Returns:
        One row an example, in stored order.
    """
    was_training, task = model.training, source.facts.task
    columns: list[Columns] = []
    model.eval()
    rows: list[Array] = []
    ids: list[pa.Array] = []
    answers: list[Array | Steps] = []
    truths: list[Array | Steps | None] = []
    total, count = 0.0, 0
    for batch in source.batches(source.plan_evaluation()):
        tensors = to_tensors(batch, device)
        if task in OWN_TRUTH or _has_truth(tensors):
            outputs = model(tensors)
            loss, weight = objective.loss(outputs, tensors)
            total, count = total + float(loss), count + int(weight)
        elif task != "translate":
            outputs = model(tensors)
        rows.append(batch.rows)
        ids.append(batch.ids)
        truths.append(_truth_rows(batch, task))
        if task == "translate":
            produced = _search(model, tensors)
            answers.append(ragged.from_lists([beams[0] for beams in produced.symbols]))
        elif task in OWN_TRUTH:
            produced = outputs
            losses = objective.by_step(outputs, tensors)
            answers.append(_unpad(losses.cpu().numpy(), _scored(batch, task)))
        else:
            produced = outputs
            answers.append(_rows_of(objective.answers(outputs).cpu().numpy(), batch, task))
        if beside is not None:
            columns.append(beside(model, tensors, batch.ids, produced))
        if between is not None:
            between()
    model.train(was_training)
    order = np.argsort(np.concatenate(rows), kind="stable")
    has_truth = bool(count) and all(truth is not None for truth in truths)
    return Outputs(
        ids=pa.concat_arrays(ids).take(pa.array(order)),
        windows=np.ones(len(order), np.int32),
        first_steps=source.first_steps,
        views=source.views,
        joined=task in OWN_TRUTH,
        answers=_join(answers, order),
        truth=_join([truth for truth in truths if truth is not None], order) if has_truth else None,
        loss=total / count if has_truth else None,
        columns=_ordered(columns, order),
    )


def _ordered(parts: list[Columns], order: Array) -> Columns:
    """Columns of all batches, put back into stored order."""
    names = parts[0] if parts else ()
    return {
        name: pa.concat_arrays([part[name] for part in parts]).take(pa.array(order))
        for name in names
    }


def _has_truth(tensors: TensorBatch) -> bool:
    return any(t is not None for t in (tensors.labels, tensors.targets, tensors.target_tokens))


def _rows_of(dense: Array, batch: Batch, task: Task) -> Array | Steps:
    """Answers of the real rows or steps of a padded array."""
    if task in OF_RECORDS:
        return dense
    return _unpad(dense, _real(dense, batch.lengths))


def _real(dense: Array, lengths: Array) -> Array:
    """Which steps of padded rows are real, `(B, T)`."""
    real: Array = np.arange(dense.shape[1]) < lengths[:, None]
    return real


def _scored(batch: Batch, task: Task) -> Array:
    """Which steps of a task with a truth of its own are scored, `(B, T)`."""
    if task != "next":
        return _real(batch.inputs, batch.lengths)
    scored: Array = np.asarray(batch.targets) != IGNORED_LABEL
    return scored


def _unpad(dense: Array, real_BT: Array) -> Steps:
    return Ragged(dense[real_BT], ragged.to_offsets(real_BT.sum(axis=1)))


def _search(model: nn.Module, tensors: TensorBatch) -> Found:
    search: Callable[[TensorBatch], Found] = model.search  # type: ignore[assignment]
    return search(tensors)


def _truth_rows(batch: Batch, task: Task) -> Array | Steps | None:
    if task in OWN_TRUTH:
        own = batch.inputs if task == "reconstruct" else batch.targets
        assert own is not None
        return _unpad(own, _scored(batch, task))
    if batch.targets is not None:
        return _unpad(batch.targets, _real(batch.targets, batch.lengths))
    if batch.target_tokens is not None and batch.target_lengths is not None:
        symbols = batch.target_tokens
        return _unpad(symbols, _real(symbols, batch.target_lengths))
    return batch.labels


def _join(parts: list[Any], order: Array) -> Array | Steps:
    """Rows of all batches, put back into stored order."""
    if not isinstance(parts[0], Ragged):
        joined: Array = np.concatenate(parts)[order]
        return joined
    values = np.concatenate([part.values for part in parts])
    offsets = ragged.to_offsets(np.concatenate([part.lengths for part in parts]))
    return ragged.take(Ragged(values, offsets), order)


def pool(outputs: Outputs) -> Outputs:
    """One row a record: the mean of its examples' answers, step by step where windows overlap.

    Raises:
        SeqprepError: if several examples of a record answer for the same steps but are not windows.
    """
    encoded = outputs.ids.dictionary_encode()
    code = encoded.indices.to_numpy()
    records = len(encoded.dictionary)
    if records == len(outputs):
        return outputs
    windows = np.bincount(code, minlength=records)
    first = np.unique(code, return_index=True)[1]
    told, edges = _told(outputs, code, records)
    answers: Array | Steps
    truth: Array | Steps | None
    if outputs.joined:
        assert isinstance(outputs.answers, Ragged)
        answers = join_rows(outputs.answers, told, edges)
        truth = outputs.truth
        truth = join_rows(truth, told, edges) if isinstance(truth, Ragged) else None
    elif isinstance(outputs.answers, Ragged):
        _check_windows(outputs, code, records)
        answers, truth = _pool_steps(outputs, code, records)
    else:
        sums = np.zeros((records, outputs.answers.shape[1]))
        np.add.at(sums, code, outputs.answers)
        answers = sums / windows[:, None]
        assert not isinstance(outputs.truth, Ragged)
        truth = None if outputs.truth is None else outputs.truth[first]
    return Outputs(
        ids=encoded.dictionary,
        windows=windows.astype(np.int32),
        answers=answers,
        truth=truth,
        loss=outputs.loss,
        columns=pool_columns(outputs.columns, told, edges),
    )


def _told(outputs: Outputs, code: Array, records: int) -> tuple[Array, Array]:
    """The windows of each record's first view in their order, record after record.

    Returns:
        Their rows, and `(records + 1,)` where those of each record begin.
    """
    none = np.zeros(len(code), np.int64)
    views = none if outputs.views is None else outputs.views
    steps = none if outputs.first_steps is None else outputs.first_steps
    first = np.full(records, np.iinfo(np.int64).max)
    np.minimum.at(first, code, views)
    told = np.flatnonzero(views == first[code])
    told = told[np.lexsort((steps[told], code[told]))]
    return told, ragged.to_offsets(np.bincount(code[told], minlength=records))


def _check_windows(outputs: Outputs, code: Array, records: int) -> None:
    """Refuse answers of steps, or of symbols, that are not those of windows."""
    views, steps = outputs.views, outputs.first_steps
    first = np.unique(code, return_index=True)[1]
    if steps is not None and steps.any() and (views is None or (views == views[first][code]).all()):
        return
    raise SeqprepError(
        f"{len(outputs)} examples of {records} records: answers for each step or symbol can be "
        "pooled over windows, not over views: they cannot be pooled; predict without views "
        "(predict.views: 0)"
    )


def _pool_steps(outputs: Outputs, code: Array, records: int) -> tuple[Steps, Steps | None]:
    """Answers and truths of whole records from those of their windows."""
    assert isinstance(outputs.answers, Ragged)
    sizes = outputs.answers.lengths
    assert outputs.first_steps is not None
    lengths = np.zeros(records, np.int64)
    np.maximum.at(lengths, code, outputs.first_steps + sizes)
    offsets = ragged.to_offsets(lengths)
    place = ragged.ranges(offsets[code] + outputs.first_steps, sizes)
    sums = np.zeros((int(offsets[-1]), *outputs.answers.values.shape[1:]))
    np.add.at(sums, place, outputs.answers.values)
    counts = np.bincount(place, minlength=len(sums)).reshape(-1, *[1] * (sums.ndim - 1))
    answers = Ragged(sums / np.maximum(counts, 1), offsets)
    if not isinstance(outputs.truth, Ragged):
        return answers, None
    truth = np.zeros((len(sums), *outputs.truth.values.shape[1:]), outputs.truth.values.dtype)
    truth[place] = outputs.truth.values
    return answers, Ragged(truth, offsets)
