"""Batches as dense arrays: rows padded to the longest of their batch.

Use it after `examples` has gathered the rows of some batches of a plan. Padding many batches at
once costs few copies. Needs only numpy and pyarrow.

Legend: R rows of all these batches, B rows of a batch, T its longest row, S its longest target
text, F features of a step, K target channels of a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from seqprep.examples import Array, Examples
from seqprep.plan import Plan
from seqprep.ragged import Ints, Ragged, pad_groups, to_offsets
from seqprep.schema import PAD


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Some rows, padded to the longest of them.

    Args:
        index: number of the global batch in its epoch.
        rows: `(B,)` row numbers in the split.
        held: ids of all rows at hand. places: `(B,)` which of them these are.
        inputs: `(B, T)` ids or `(B, T, F)` float32. lengths: `(B,)` steps.
        labels: `(B,)`. targets: `(B, T)` codes or `(B, T, K)`. target_tokens: `(B, S)` with
            target_lengths `(B,)`. None where the task has none.
        total_rows, total_steps: of the global batch, of which this rank may have a part.
    """

    index: int
    rows: Ints
    held: pa.Array
    places: Ints
    inputs: Array
    lengths: Ints
    labels: Array | None
    targets: Array | None
    target_tokens: Array | None
    target_lengths: Ints | None
    total_rows: int
    total_steps: int

    @property
    def ids(self) -> pa.Array:
        """Ids of the records, `(B,)` strings; taken when asked for, as training never does."""
        return self.held.take(pa.array(self.places))


def pad_batches(
    examples: Examples,
    places: Ints,
    plan: Plan,
    block: range,
    rows: Ints,
    *,
    sizes: Sequence[int],
    ignored: int,
) -> Iterator[Batch]:
    """Some batches of a plan, of which this rank may have a part.

    Args:
        examples: some rows, as the epoch draws them.
        places: `(R,)` which of them, batch after batch.
        plan: of the epoch.
        block: numbers of the batches in the plan.
        rows: `(R,)` row numbers in the split.
        sizes: how many of the rows each batch has.
        ignored: what stands after the end of per-step targets.
    """
    edges = to_offsets(sizes)

    inputs = pad_groups(examples.inputs, edges, rows=places, fill=PAD)
    targets = _padded(examples.targets, edges, places, fill=ignored)
    symbols = _padded(examples.target_tokens, edges, places, fill=PAD)
    lengths = examples.inputs.lengths_of(places)
    truth = examples.target_tokens
    symbol_lengths = None if truth is None else truth.lengths_of(places)
    labels = None if examples.labels is None else examples.labels[places]
    total_rows = np.diff(plan.edges[block.start : block.stop + 1]).tolist()
    total_steps = plan.steps_of(plan.lengths, block)
    starts = edges.tolist()
    for number, index in enumerate(block):
        here = slice(starts[number], starts[number + 1])
        yield Batch(
            index=index,
            rows=rows[here],
            held=examples.ids,
            places=places[here],
            inputs=inputs[number],
            lengths=lengths[here],
            labels=None if labels is None else labels[here],
            targets=None if targets is None else targets[number],
            target_tokens=None if symbols is None else symbols[number],
            target_lengths=None if symbol_lengths is None else symbol_lengths[here],
            total_rows=total_rows[number],
            total_steps=total_steps[number],
        )


def _padded(rows: Ragged | None, edges: Ints, places: Ints, *, fill: int) -> list[Array] | None:
    return None if rows is None else pad_groups(rows, edges, rows=places, fill=fill)
