"""Bundle + examples -> one answer a record."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from models.bundle import Bundle
from models.device import precision_of, set_precision
from models.objectives import objective_for
from models.outputs import Array, Outputs, pool, run
from seqprep.batches import BatchSettings, BatchSource
from seqprep.ragged import Ragged
from seqprep.schema import NUM_RESERVED_TARGET, Task
from seqprep.snapshot import Facts

logger = logging.getLogger(__name__)

ANSWER_TYPES: dict[Task, pa.DataType] = {
    "classify": pa.string(),
    "label_steps": pa.list_(pa.string()),
    "regress": pa.float64(),
    "regress_steps": pa.list_(pa.float32()),
    "translate": pa.string(),
}
"""Type of the column `prediction`, by task; regressed steps are row-major steps x channels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """How codes become what a person reads.

    Args:
        task: what was learnt. labels: class names in code order.
        symbols: target tokens, from id NUM_RESERVED_TARGET on. joiner: between them.
    """

    task: Task
    labels: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    joiner: str = ""

    @classmethod
    def of(cls, facts: Facts, fitted: bytes, pipeline: Mapping[str, Any] | None) -> Vocabulary:
        """From a bundle's facts, fitted state and pipeline."""
        symbols = (
            json.loads(fitted).get("target_vocabulary") or () if facts.task == "translate" else ()
        )
        unit = ((pipeline or {}).get("prepare") or {}).get("target_tokens") or {}
        joiner = " " if unit.get("unit") == "word" else ""
        return cls(task=facts.task, labels=facts.labels, symbols=tuple(symbols), joiner=joiner)

    def text(self, codes: Array) -> str:
        """Target ids as text; ids that are no token show as their number in brackets."""
        places = (codes - NUM_RESERVED_TARGET).tolist()
        known = range(len(self.symbols))
        return self.joiner.join(
            self.symbols[place] if place in known else f"<{place + NUM_RESERVED_TARGET}>"
            for place in places
        )


def predict_examples(
    bundle: Bundle, examples: pa.Table, *, device: torch.device | None = None
) -> pa.Table:
    """Answers of a bundle for prepared rows.

    Args:
        bundle: a trained model.
        examples: rows with the schema of `examples`; labels and targets are not needed. Windows
            and views of a record share its id and are pooled.
        device: to run on; default the CPU.

    Returns:
        One row a record, in the order of first occurrence: `id`, `prediction` (a label, a number, a
        text, or a list for steps), `probabilities` (list<float32> in label order, row-major for
        steps; null where there are none), `windows` (how many examples were pooled).
    """
    facts = bundle.facts
    vocabulary = Vocabulary.of(facts, bundle.fitted, bundle.pipeline)
    targets = [
        name for name in ("label", "targets", "target_tokens") if name in examples.column_names
    ]
    if not len(examples):
        return _table(vocabulary, pa.array([], pa.string()), [], None, np.zeros(0, np.int32))
    settings = BatchSettings(batch_tokens=bundle.batch_tokens)
    source = BatchSource.of_examples(examples.drop_columns(targets), facts, settings=settings)
    device = device or torch.device("cpu")
    set_precision(bundle.model, precision_of(bundle.precision, device))
    objective = objective_for(facts.task, moments=bundle.moments)
    found = run(bundle.model.to(device), source, objective, device=device)
    return answer_table(pool(found), vocabulary)


def answer_table(outputs: Outputs, vocabulary: Vocabulary, *, with_truth: bool = False) -> pa.Table:
    """Answers as a person reads them.

    Args:
        outputs: pooled to records.
        vocabulary: names of codes.
        with_truth: add a column `truth`.

    Returns:
        The table that `predict_examples` describes.
    """
    answers, task = outputs.answers, vocabulary.task
    predictions = _readable(answers, vocabulary, codes=False)
    probabilities = None
    if task in ("classify", "label_steps"):
        probabilities = _lists(answers)
    table = _table(vocabulary, outputs.ids, predictions, probabilities, outputs.windows)
    if with_truth and outputs.truth is not None:
        truth = pa.array(_readable(outputs.truth, vocabulary, codes=True), ANSWER_TYPES[task])
        table = table.append_column("truth", truth)
    return table


def _readable(values: Array | Ragged, vocabulary: Vocabulary, *, codes: bool) -> list[Any]:
    """Labels, numbers or texts of answers, or of truths (`codes`)."""
    names = (*vocabulary.labels, None)  # -1, a step without a label, shows as null
    if not isinstance(values, Ragged):
        if vocabulary.task == "regress":
            return values.reshape(-1).tolist()
        return [names[code] for code in (values if codes else values.argmax(1)).tolist()]
    rows = np.split(values.values, values.offsets[1:-1])
    if vocabulary.task == "translate":
        return [vocabulary.text(row) for row in rows]
    if vocabulary.task == "regress_steps":
        return [row.ravel().tolist() for row in rows]
    return [[names[c] for c in (row if codes else row.argmax(1)).tolist()] for row in rows]


def _lists(values: Array | Ragged) -> pa.Array:
    """Rows of probabilities as list<float32>."""
    if isinstance(values, Ragged):
        flat, edges = values.values, values.offsets * values.values.shape[1]
    else:
        flat, edges = values, np.arange(len(values) + 1) * values.shape[1]
    content = pa.array(flat.reshape(-1).astype(np.float32))
    return pa.ListArray.from_arrays(pa.array(edges.astype(np.int32)), content)


def _table(
    vocabulary: Vocabulary,
    ids: pa.Array,
    predictions: list[Any],
    probabilities: pa.Array | None,
    windows: Array,
) -> pa.Table:
    kind = pa.list_(pa.float32())
    if probabilities is None:
        probabilities = pa.nulls(len(predictions), kind)
    return pa.table(
        {
            "id": ids,
            "prediction": pa.array(predictions, ANSWER_TYPES[vocabulary.task]),
            "probabilities": probabilities.cast(kind),
            "windows": pa.array(windows, pa.int32()),
        }
    )
