"""What prediction gives beside its answers: attention, beams, continuations, reconstructions.

Each is a column of lists, in the order of the rows of a batch. Training and evaluation leave all of
it out.

Legend: B rows, T steps, S symbols, K beams, V ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from models.answers.objectives import Objective
from models.layers.search import Found
from models.options.model import Model
from models.options.model_fits import OF_RECORDS
from models.shape import TensorBatch
from seqprep import ragged
from seqprep.errors import SeqprepError
from seqprep.ragged import Ints, Ragged
from seqprep.schema import BOS, PAD
from seqprep.snapshot import Facts

Columns = dict[str, pa.Array]
Produced = Tensor | Found
"""What a model gave for a batch: outputs, or what a search found."""

MakeColumns = Callable[[nn.Module, TensorBatch, pa.Array, Produced], Columns]
"""From a model, a batch, the ids of its rows and what the model gave to columns."""

MOST_SHOWN = 1000
"""Ids up to which the distribution over the next symbol is written out."""
FLOATS, IDS = pa.list_(pa.float32()), pa.list_(pa.int32())


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """Makes the columns of a batch.

    Args:
        facts: of the bundle. config: of its model. objective: the plain one of the task.
        attention: whether attention weights are wanted.
    """

    facts: Facts
    config: Model
    objective: Objective
    attention: bool = False

    def __post_init__(self) -> None:
        if self.attention:
            check_attention(self.facts, self.config)

    def __call__(
        self, model: nn.Module, batch: TensorBatch, ids: pa.Array, produced: Produced
    ) -> Columns:
        """The columns of a batch.

        Args:
            model: of the bundle.
            batch: B rows.
            ids: of their records.
            produced: what the model gave for it.
        """
        task = self.facts.task
        if isinstance(produced, Found):
            return self._searched(model, batch, produced)
        if task == "next":
            return self._next(model, batch, ids, produced)
        if task == "reconstruct":
            return {"reconstruction": self._reconstruction(batch, produced)}
        if self.attention:
            weights: Callable[[TensorBatch], Tensor] = model.attention  # type: ignore[assignment]
            steps = -(-batch.lengths // model.front.stride)  # type: ignore[operator]
            return {"attention": unpadded(weights(batch), steps, FLOATS)}
        return {}

    def _searched(self, model: nn.Module, batch: TensorBatch, found: Found) -> Columns:
        columns: Columns = {}
        if self.config.beam > 1:
            columns["beams"] = pa.array(found.symbols, pa.list_(IDS))
            columns["beam_scores"] = pa.array(found.scores, FLOATS)
        if self.attention:
            attend: Callable[..., list[Tensor]] = model.attention  # type: ignore[assignment]
            weights = attend(batch, [beams[0] for beams in found.symbols])
            columns["attention"] = _lists((w.flatten().cpu().numpy() for w in weights), FLOATS)
            columns["attention_shape"] = pa.array([list(w.shape) for w in weights], IDS)
        return columns

    def _next(
        self, model: nn.Module, batch: TensorBatch, ids: pa.Array, outputs: Tensor
    ) -> Columns:
        """What follows each record, and how it goes on."""
        last_BV = outputs[torch.arange(len(batch), device=outputs.device), batch.lengths - 1]
        last_BV = last_BV.double()
        last_BV[:, [PAD, BOS]] = -torch.inf
        columns: Columns = {"next": pa.array(last_BV.argmax(-1).tolist(), pa.int32())}
        if last_BV.shape[1] <= MOST_SHOWN:
            columns["next_probabilities"] = _lists(last_BV.softmax(-1).cpu().numpy(), FLOATS)
        if self.config.continuation:
            generate: Callable[..., Tensor] = model.generate  # type: ignore[assignment]
            symbols = generate(batch, ragged.row_keys(ids), seed=self.facts.seed)
            columns["continuation"] = _lists(symbols.cpu().numpy(), IDS)
        return columns

    def _reconstruction(self, batch: TensorBatch, outputs: Tensor) -> pa.Array:
        if self.facts.vocab_size is None:
            return unpadded(self.objective.answers(outputs), batch.lengths, FLOATS)
        outputs[..., PAD] = -torch.inf
        return unpadded(outputs.argmax(-1), batch.lengths, IDS)


def check_attention(facts: Facts, config: Model) -> None:
    """Refuse to export attention where there is none.

    Raises:
        SeqprepError: naming what would have some.
    """
    pooled = facts.task in OF_RECORDS and "attention" in config.pooling
    if not (config.attention if facts.task == "translate" else pooled):
        raise SeqprepError(
            "--attention: this model has no attention to export; train one with attention in "
            "train.model.pooling (task classify or regress), or an encoder_decoder with "
            "attention: true"
        )


def unpadded(dense: Tensor, lengths: Tensor, kind: pa.DataType) -> pa.Array:
    """Rows of real steps, row-major."""
    arrays = zip(dense.cpu().numpy(), lengths.tolist(), strict=True)
    return _lists((row[:length].reshape(-1) for row, length in arrays), kind)


def _lists(rows: Iterable[Any], kind: pa.ListType) -> pa.Array:
    rows = list(rows)
    offsets = ragged.to_offsets([len(row) for row in rows]).astype(np.int32)
    flat = np.concatenate(rows) if rows else np.zeros(0)
    return pa.ListArray.from_arrays(
        pa.array(offsets), pa.array(flat.astype(kind.value_type.to_pandas_dtype()))
    )


JOINED = ("attention", "reconstruction", "codes")
"""Columns whose windows stand one after the other; of others a record has that of its last."""


def join_rows(rows: Ragged, told: Ints, edges: Ints) -> Ragged:
    """Rows of the same record as one row.

    Args:
        rows: of examples.
        told: those that count, record after record.
        edges: `(R + 1,)` where those of each record begin.
    """
    turned = ragged.take(rows, told)
    return Ragged(turned.values, turned.offsets[edges])


def pool_columns(columns: Columns, told: Ints, edges: Ints) -> Columns:
    """One row a record.

    Args:
        columns: of examples.
        told: those that count, in the order of windows, record after record; one at least of each.
        edges: `(R + 1,)` where those of each record begin.
    """
    pooled: Columns = {}
    for name, column in columns.items():
        if name not in JOINED:
            pooled[name] = column.take(pa.array(told[edges[1:] - 1]))
            continue
        turned = column.take(pa.array(told))
        offsets = turned.offsets.to_numpy()[edges]
        pooled[name] = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), turned.values)
    return pooled
