"""What answers become without single tokens: rows scored again with a token's steps removed.

Use it to ask which tokens a trained model leans on. Only rows that hold a token are run again, so a
hundred rare tokens cost about as much as one pass. The model has never seen rows with holes: what
it leans on may be what it could have done without, had it been trained so.

Steps are removed as a rule at the end of the recipe would: the rest closes up, targets go with
their steps, and a row left without steps becomes one OOV step. Not for stored values, which have no
tokens.

Legend: N examples, R records, K tokens, P pairs of an example and a token that it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from models.answers.objectives import objective_for
from models.answers.outputs import Array, Outputs, run
from models.bundle import Bundle
from models.device import precision_of, set_precision
from seqprep import ragged
from seqprep.batches import BatchSettings, BatchSource
from seqprep.ragged import Ints, Ragged
from seqprep.schema import IGNORED_LABEL, OOV, Split, Task
from seqprep.snapshot import Snapshot, read_shard

Floats = npt.NDArray[np.float64]

SCORES: dict[Task, str] = {
    "classify": "probability of the right class",
    "label_steps": "probability of the right class of a step",
    "regress": "negative absolute error",
    "regress_steps": "negative absolute error of a step",
    "translate": "share of right symbols",
    "next": "mean log-probability of a symbol",
    "reconstruct": "negative loss of a rebuilt step",
}
"""The score of a record, by task. Smoother than accuracy, which one token seldom changes."""
BLOCK_STEPS = 2**21
"""Steps of changed rows that are held at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Masked:
    """Scores of R records with all tokens, and what they become without each of K.

    Args:
        scores: `(R,)` with all tokens.
        token: `(P,)` which of the K; record: `(P,)` a record that holds it; without: `(P,)` its
            score then. Records that lack a token keep their score.
    """

    scores: Floats
    token: Ints
    record: Ints
    without: Floats


def mask_tokens(
    bundle: Bundle,
    snapshot: Snapshot,
    split: Split,
    ids: Sequence[int],
    *,
    device: torch.device,
    progress: Callable[[str, int, int], None] | None = None,
) -> Masked:
    """Score the records of a split, with all tokens and without each of some.

    Args:
        bundle: a trained model.
        snapshot: of the examples that it was trained on.
        split: whose records are scored.
        ids: K token ids.
        device: to run on.
        progress: called as (what, done, total).
    """
    set_precision(bundle.model.to(device), precision_of(bundle.precision, device))
    parts: list[Masked] = []
    first, shards = 0, snapshot.of(split)
    for number, shard in enumerate(shards):
        parts.append(_mask_shard(bundle, read_shard(snapshot, shard), ids, device=device))
        parts[-1] = replace(parts[-1], record=parts[-1].record + first)
        first += len(parts[-1].scores)
        if progress is not None:
            progress("shards", number + 1, len(shards))
    names = ("scores", "token", "record", "without")
    return Masked(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def _mask_shard(
    bundle: Bundle, table: pa.Table, ids: Sequence[int], *, device: torch.device
) -> Masked:
    """The same for the rows of one shard, which holds all rows of its records."""
    task = bundle.facts.task
    record = table["id"].combine_chunks().dictionary_encode().indices.to_numpy()
    records = int(record.max(initial=-1)) + 1
    sums = example_sums(bundle, table, device=device)
    whole = _by(record, sums, records)
    cells, changes = [np.zeros(0, np.int64)], [np.zeros((2, 0))]
    for rows, which in _holders(table, ids):
        changed = without_token(table, rows, np.asarray(ids, np.int64)[which])
        cells.append(which * records + record[rows])
        changes.append(example_sums(bundle, changed, device=device) - sums[:, rows])
    found, place = np.unique(np.concatenate(cells), return_inverse=True)
    change = _by(place, np.concatenate(changes, axis=1), len(found))
    at = found % max(records, 1)
    return Masked(
        scores=_score(task, whole),
        token=found // max(records, 1),
        record=at,
        without=_score(task, whole[:, at] + change),
    )


def _by(place: Array, numbers: Floats, total: int) -> Floats:
    """Sums `(2, total)` of numbers `(2, n)` by their place `(n,)`."""
    return np.stack([np.bincount(place, weights=row, minlength=total) for row in numbers])


def _holders(table: pa.Table, ids: Sequence[int]) -> Iterator[tuple[Ints, Ints]]:
    """Rows that hold a token, and which of the K it is, about BLOCK_STEPS steps at a time."""
    rows = token_rows(table)
    which = np.full(int(max([*ids, rows.values.max(initial=0)])) + 1, -1, dtype=np.int64)
    which[np.asarray(ids, np.int64)] = np.arange(len(ids))
    found = which[rows.values]
    row = np.repeat(np.arange(len(rows)), rows.lengths)
    pairs = np.unique(found[found >= 0] * max(len(rows), 1) + row[found >= 0])
    token, row = pairs // max(len(rows), 1), pairs % max(len(rows), 1)
    block = np.cumsum(rows.lengths[row]) // BLOCK_STEPS
    for edges in np.split(np.arange(len(row)), np.flatnonzero(np.diff(block)) + 1):
        if len(edges):
            yield row[edges], token[edges]


def without_token(table: pa.Table, rows: Ints, ids: Ints) -> pa.Table:
    """Some rows of examples, each without the steps of one token.

    Args:
        table: rows of examples with `tokens`.
        rows: `(P,)` which of them; a row may be named more than once.
        ids: `(P,)` the token that each loses.
    """
    tokens = ragged.take(token_rows(table), rows)
    keep = tokens.values != np.repeat(ids, tokens.lengths)
    left = ragged.fill_empty(ragged.keep(tokens, keep), OOV)
    columns = {"tokens": left, "length": left.lengths}
    result = table.take(pa.array(rows))
    if "targets" in table.column_names:
        targets = ragged.take(_lists(table["targets"]), rows)
        columns["targets"] = ragged.fill_empty(ragged.keep(targets, keep), IGNORED_LABEL)
    for name, column in columns.items():
        field = result.schema.field(name)
        array = _list_array(column) if isinstance(column, Ragged) else pa.array(column)
        result = result.set_column(
            result.schema.get_field_index(name), field, array.cast(field.type)
        )
    return result


def token_rows(table: pa.Table) -> Ragged:
    """The token ids of examples."""
    return _lists(table["tokens"])


def _lists(column: pa.ChunkedArray) -> Ragged:
    lists = column.combine_chunks()
    offsets = lists.offsets.to_numpy().astype(np.int64)
    values = lists.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
    return Ragged(values, offsets - offsets[0])


def _list_array(rows: Ragged) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(rows.offsets.astype(np.int32)), pa.array(rows.values))


def example_sums(bundle: Bundle, table: pa.Table, *, device: torch.device) -> Floats:
    """What the score of a record is made of, `(2, N)`: a sum and its weight for each example."""
    settings = BatchSettings(batch_tokens=bundle.batch_tokens)
    source = BatchSource.of_examples(table, bundle.facts, settings=settings)
    objective = objective_for(bundle.facts.task, moments=bundle.moments)
    found = run(bundle.model, source, objective, device=device)
    sums, weights = _MEASURES[bundle.facts.task](found)
    return np.stack([sums, weights]).astype(np.float64)


def _chances(found: Outputs) -> tuple[Array, Array]:
    answers, truth = _dense(found)
    return answers[np.arange(len(truth)), truth], np.ones(len(truth))


def _errors(found: Outputs) -> tuple[Array, Array]:
    answers, truth = _dense(found)
    return answers[:, 0] - truth, np.ones(len(truth))


def _step_chances(found: Outputs) -> tuple[Array, Array]:
    answers, truth = _steps(found)
    real = truth.values != IGNORED_LABEL
    chance = answers.values[np.arange(len(real)), np.where(real, truth.values, 0)]
    return _row_sums(chance * real, truth), _row_sums(real, truth)


def _step_errors(found: Outputs) -> tuple[Array, Array]:
    answers, truth = _steps(found)
    missed = np.abs(answers.values - truth.values.reshape(answers.values.shape))
    return -_row_sums(missed.mean(axis=1), truth), truth.lengths


def _symbols(found: Outputs) -> tuple[Array, Array]:
    answers, truth = _steps(found)
    both = np.minimum(answers.lengths, truth.lengths)
    row = np.repeat(np.arange(len(truth)), both)
    place = ragged.ranges(np.zeros_like(both), both)
    same = answers.values[answers.offsets[row] + place] == truth.values[truth.offsets[row] + place]
    right = np.bincount(row[same], minlength=len(truth))
    return right, np.maximum(answers.lengths, truth.lengths)


def _losses(found: Outputs) -> tuple[Array, Array]:
    assert isinstance(found.answers, Ragged)
    rows = found.answers
    return -_row_sums(rows.values[:, 0], rows), rows.lengths


def _dense(found: Outputs) -> tuple[Array, Array]:
    assert not isinstance(found.answers, Ragged) and not isinstance(found.truth, Ragged)
    assert found.truth is not None, "scores need the truth"
    return found.answers, found.truth


def _steps(found: Outputs) -> tuple[Ragged, Ragged]:
    assert isinstance(found.answers, Ragged) and isinstance(found.truth, Ragged)
    return found.answers, found.truth


def _row_sums(numbers: Array, rows: Ragged) -> Array:
    row = np.repeat(np.arange(len(rows)), rows.lengths)
    return np.bincount(row, weights=numbers, minlength=len(rows))


_MEASURES: dict[Task, Callable[[Outputs], tuple[Array, Array]]] = {
    "classify": _chances,
    "label_steps": _step_chances,
    "regress": _errors,
    "regress_steps": _step_errors,
    "translate": _symbols,
    "next": _losses,
    "reconstruct": _losses,
}


def _score(task: Task, sums: Floats) -> Floats:
    """Scores of records from the sums and weights of their examples; 0 where nothing weighs."""
    mean = np.divide(sums[0], sums[1], out=np.zeros(sums.shape[1]), where=sums[1] > 0)
    return -np.abs(mean) if task == "regress" else mean
