"""Rows of an `examples` table as flat arrays, as batches and baselines read them.

Needs only numpy and pyarrow.

Legend: R rows, F features of a step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.arrays import as_array
from seqprep.ragged import Ints, Keys, Ragged, concat, take
from seqprep.schema import token_type
from seqprep.snapshot import Facts

Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Examples:
    """Rows of an `examples` table as flat arrays.

    Args:
        ids: `(R,)` strings. keys: `(R,)` uint64. views, windows: `(R,)` int32.
        record_lengths: `(R,)` of the whole record in its natural form.
        inputs: tokens `(steps,)` or values `(steps, F)`.
        labels: `(R,)` int32 codes or float64; targets: of each step; target_tokens: ids.
    """

    ids: pa.Array
    keys: Keys
    views: npt.NDArray[np.int32]
    windows: npt.NDArray[np.int32]
    record_lengths: npt.NDArray[np.int32]
    inputs: Ragged
    labels: Array | None = None
    targets: Ragged | None = None
    target_tokens: Ragged | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Ints) -> Examples:
        """The named rows, in that order."""
        return replace(
            self,
            ids=self.ids.take(pa.array(rows)),
            keys=self.keys[rows],
            views=self.views[rows],
            windows=self.windows[rows],
            record_lengths=self.record_lengths[rows],
            inputs=take(self.inputs, rows),
            labels=None if self.labels is None else self.labels[rows],
            targets=None if self.targets is None else take(self.targets, rows),
            target_tokens=None if self.target_tokens is None else take(self.target_tokens, rows),
        )

    def concat(self, other: Examples) -> Examples:
        """These rows, and behind them the other's."""

        def joined(own: Ragged | None, more: Ragged | None) -> Ragged | None:
            return None if own is None or more is None else concat([own, more])

        labels = None
        if self.labels is not None and other.labels is not None:
            labels = np.concatenate([self.labels, other.labels])
        inputs = joined(self.inputs, other.inputs)
        assert inputs is not None
        return Examples(
            ids=pa.concat_arrays([self.ids, other.ids]),
            keys=np.concatenate([self.keys, other.keys]),
            views=np.concatenate([self.views, other.views]),
            windows=np.concatenate([self.windows, other.windows]),
            record_lengths=np.concatenate([self.record_lengths, other.record_lengths]),
            inputs=inputs,
            labels=labels,
            targets=joined(self.targets, other.targets),
            target_tokens=joined(self.target_tokens, other.target_tokens),
        )

    @classmethod
    def of(cls, table: pa.Table, facts: Facts) -> Examples:
        """Flat arrays of rows that have these facts."""
        return cls.from_table(
            table, channels=len(facts.channels), target_channels=len(facts.target_names)
        )

    @classmethod
    def from_table(
        cls, table: pa.Table, *, channels: int = 0, target_channels: int = 1
    ) -> Examples:
        """Flat arrays of an Arrow table with the schema of examples.

        Args:
            table: rows as `examples_schema` has them; label and targets may be left out or null.
            channels: of `values`.
            target_channels: of regressed steps.

        Returns:
            The same rows in the same order.
        """
        columns = {name: as_array(table[name]) for name in table.column_names}
        values = "values" in columns

        def steps(name: str, width: int) -> Ragged | None:
            column = columns.get(name)
            return None if column is None or column.null_count else _flat(column, width=width)

        inputs = steps("values" if values else "tokens", channels if values else 0)
        assert inputs is not None, "examples without tokens or values"
        floats = "targets" in columns and pa.types.is_floating(columns["targets"].type.value_type)
        label = columns.get("label")
        return cls(
            ids=columns["id"],
            keys=columns["key"].to_numpy(zero_copy_only=False).astype(np.int64).view(np.uint64),
            views=columns["view"].to_numpy(zero_copy_only=False),
            windows=columns["window"].to_numpy(zero_copy_only=False),
            record_lengths=columns["record_length"].to_numpy(zero_copy_only=False),
            inputs=inputs,
            labels=None
            if label is None or label.null_count
            else label.to_numpy(zero_copy_only=False),
            targets=steps("targets", target_channels if floats else 0),
            target_tokens=steps("target_tokens", 0),
        )


def step_bytes(facts: Facts) -> int:
    """Bytes of a step with its target."""
    inputs = (
        4 * len(facts.channels)
        if facts.vocab_size is None
        else token_type(facts.vocab_size).bit_width // 8
    )
    targets = {"label_steps": 4, "regress_steps": 4 * len(facts.target_names), "translate": 4}
    return inputs + targets.get(facts.task, 0)


def _flat(column: pa.Array, *, width: int) -> Ragged:
    """A list column as a ragged array; `width` > 0 splits row-major values into steps."""
    edges = column.offsets.to_numpy().astype(np.int64)
    flat = column.values.to_numpy(zero_copy_only=False)[edges[0] : edges[-1]]
    edges = edges - edges[0]
    if width == 0:
        return Ragged(flat, edges)
    assert not np.any(edges % width), f"values do not divide into steps of {width} channels"
    return Ragged(flat.reshape(-1, width), edges // width)
