"""Bundle + examples -> one answer a record."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import torch

from models.answers.beside import FLOATS, IDS, Beside
from models.answers.objectives import objective_for
from models.answers.outputs import Array, Outputs, pool, run
from models.answers.vocabulary import Vocabulary
from models.bundle import Bundle
from models.device import precision_of, set_precision
from models.options.model import Model
from seqprep.batches import BatchSettings, BatchSource
from seqprep.ragged import Ragged
from seqprep.schema import Task
from seqprep.snapshot import Facts

ANSWER_TYPES: dict[Task, pa.DataType] = {
    "classify": pa.string(),
    "label_steps": pa.list_(pa.string()),
    "regress": pa.float64(),
    "regress_steps": FLOATS,
    "translate": pa.string(),
    "next": pa.string(),
    "reconstruct": pa.string(),
}
"""Type of the column `prediction`, by task; steps of values are row-major, steps x channels."""
LOSSES: dict[Task, str] = {"next": "perplexity", "reconstruct": "reconstruction_error"}
"""What tasks without labels tell of each record: e to the mean nats of a symbol, or the mean loss
of a step (nats of a token; squared error in standard deviations of the training rows)."""


def answer_fields(facts: Facts, config: Model, *, attention: bool = False) -> list[pa.Field]:
    """The columns of answers beside `id`, as `predict_examples` gives them."""
    fields = [
        pa.field("prediction", _answer_type(facts)),
        pa.field("probabilities", FLOATS),
        pa.field("windows", pa.int32()),
    ]
    if facts.task in LOSSES:
        fields += [pa.field(LOSSES[facts.task], pa.float64()), pa.field("steps", pa.int32())]
    if facts.task == "next" and config.continuation:
        fields.append(pa.field("continuation", pa.string()))
    if facts.task == "translate" and config.beam > 1:
        fields += [pa.field("beams", pa.list_(pa.string())), pa.field("beam_scores", FLOATS)]
    if attention:
        fields.append(pa.field("attention", FLOATS))
        if facts.task == "translate":
            fields.append(pa.field("attention_shape", IDS))
    return fields


def _answer_type(facts: Facts) -> pa.DataType:
    if facts.task == "reconstruct" and facts.vocab_size is None:
        return FLOATS
    return ANSWER_TYPES[facts.task]


def predict_examples(
    bundle: Bundle,
    examples: pa.Table,
    *,
    device: torch.device | None = None,
    attention: bool = False,
) -> pa.Table:
    """Answers of a bundle for prepared rows.

    Args:
        bundle: a trained model.
        examples: rows with the schema of `examples`; labels and targets are not needed. Windows
            and views of a record share its id and are pooled.
        device: to run on; default the CPU.
        attention: also give attention weights.

    Returns:
        One row a record, in the order of first occurrence: `id` and the columns of `answer_fields`.
        `prediction` is a label, a number, a text, or a list for steps; the likeliest next symbol;
        the reconstruction. `probabilities` are in label order, row-major for steps, or of the next
        symbol in the order of ids, where these are at most MOST_SHOWN; null where there are none.
        `windows`: how many examples were pooled. What cannot be averaged is that of the first view:
        what follows and the continuation of its last window; losses, attention and reconstruction
        of its windows one after the other. `attention` holds a weight for each step of
        the core, or symbols x steps, row-major, as `attention_shape` says.

    Raises:
        SeqprepError: if attention is wanted and the model has none, or views of a record cannot be
            pooled.
    """
    facts = bundle.facts
    vocabulary = Vocabulary.of(facts, bundle.fitted, bundle.pipeline)
    objective = objective_for(facts.task, moments=bundle.moments)
    beside = Beside(facts=facts, config=bundle.config, objective=objective, attention=attention)
    fields = answer_fields(facts, bundle.config, attention=attention)
    if not len(examples):
        return pa.schema([pa.field("id", pa.string()), *fields]).empty_table()
    targets = [
        name for name in ("label", "targets", "target_tokens") if name in examples.column_names
    ]
    settings = BatchSettings(batch_tokens=bundle.batch_tokens)
    source = BatchSource.of_examples(examples.drop_columns(targets), facts, settings=settings)
    device = device or torch.device("cpu")
    set_precision(bundle.model, precision_of(bundle.precision, device))
    found = run(bundle.model.to(device), source, objective, device=device, beside=beside)
    table = answer_table(pool(found), vocabulary)
    return table.select(["id", *(field.name for field in fields)])


def answer_table(outputs: Outputs, vocabulary: Vocabulary, *, with_truth: bool = False) -> pa.Table:
    """Answers as a person reads them.

    Args:
        outputs: pooled to records.
        vocabulary: names of codes.
        with_truth: add a column `truth`.

    Returns:
        The table that `predict_examples` describes.
    """
    columns = {"id": outputs.ids}
    if vocabulary.task in LOSSES:
        columns |= _losses(outputs, vocabulary)
    else:
        predictions = _readable(outputs.answers, vocabulary, codes=False)
        columns["prediction"] = pa.array(predictions, ANSWER_TYPES[vocabulary.task])
        classes = vocabulary.task in ("classify", "label_steps")
        columns["probabilities"] = (
            _lists(outputs.answers) if classes else pa.nulls(len(predictions), FLOATS)
        )
    columns["windows"] = pa.array(outputs.windows, pa.int32())
    if "beams" in outputs.columns:
        beams = outputs.columns["beams"].to_pylist()
        texts = [[vocabulary.text(beam) for beam in row] for row in beams]
        columns["beams"] = pa.array(texts, pa.list_(pa.string()))
    for name in ("beam_scores", "attention", "attention_shape"):
        if name in outputs.columns:
            columns[name] = outputs.columns[name]
    if with_truth and outputs.truth is not None and vocabulary.task not in LOSSES:
        truth = _readable(outputs.truth, vocabulary, codes=True)
        columns["truth"] = pa.array(truth, ANSWER_TYPES[vocabulary.task])
    return pa.table(columns)


def _losses(outputs: Outputs, vocabulary: Vocabulary) -> dict[str, pa.Array]:
    """The loss of each record, and what was asked for beside it."""
    assert isinstance(outputs.answers, Ragged)
    task, found, lengths = vocabulary.task, outputs.columns, outputs.answers.lengths
    mean = np.add.reduceat(outputs.answers.values[:, 0], outputs.answers.offsets[:-1]) / lengths
    columns = {
        LOSSES[task]: pa.array(np.exp(mean) if task == "next" else mean, pa.float64()),
        "steps": pa.array(lengths, pa.int32()),
        "prediction": pa.nulls(len(outputs), ANSWER_TYPES[task]),
        "probabilities": found.get("next_probabilities", pa.nulls(len(outputs), FLOATS)),
    }
    if "next" in found:
        words = [vocabulary.next_word(code) for code in found["next"].to_pylist()]
        columns["prediction"] = pa.array(words, pa.string())
    for name, column in (("continuation", "continuation"), ("reconstruction", "prediction")):
        if name in found and pa.types.is_integer(found[name].type.value_type):
            columns[column] = pa.array(map(vocabulary.text, found[name].to_pylist()), pa.string())
        elif name in found:
            columns[column] = found[name]
    return columns


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
