"""Windows of a fixed length and stride (P9): a record becomes several rows, in order.

Use it when a record is far longer than a model can learn from at once and any part tells. Labels go
with the record; predictions of its windows are pooled to one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk, Kind
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Context
from seqprep.schema import Task
from seqprep.transforms.options import FixedStep, check_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class Windows(FixedStep):
    """Rows of `length` steps, one every `stride` steps; the last may be shorter.

    Args:
        length: steps of a window; a shorter record is one window.
        stride: steps from one window's start to the next's; default `length` (no overlap).

    >>> Windows(length=100, stride=50).count(np.array([90, 100, 101, 150, 151])).tolist()
    [1, 1, 2, 2, 3]
    """

    name: ClassVar[str] = "windows"
    kind: ClassVar[Kind] = "cuts"

    length: int
    stride: int | None = None

    def __post_init__(self) -> None:
        check_at_least(self.name, "length", self.length, 1, "step")
        if self.stride is None:
            object.__setattr__(self, "stride", self.length)
        check_at_least(self.name, "stride", self.hop, 1, "step")
        if self.hop > self.length:
            raise ConfigError(
                f"windows.stride must be <= length = {self.length}, or steps between windows would "
                f"be lost; got {self.stride}"
            )

    @property
    def hop(self) -> int:
        """The stride, filled in."""
        return self.length if self.stride is None else self.stride

    def window_steps(self, form: Form) -> int:
        """Steps of a whole window."""
        return self.length

    def count(self, lengths: ragged.Ints) -> ragged.Ints:
        """Windows of rows with these lengths, `(R,)`; at least one each."""
        return 1 + -(-np.maximum(lengths - self.length, 0) // self.hop)

    def check(self, *, domain: str, task: Task) -> None:
        """Refuse a target that belongs to the whole record."""
        if task == "translate":
            raise ConfigError(
                "windows do not fit task: translate: the target belongs to the whole record; "
                "remove the step or truncate instead"
            )

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Cut every row; windows of a row follow each other in order."""
        counts = self.count(chunk.lengths)
        rows = np.repeat(np.arange(len(chunk)), counts)
        number = ragged.ranges(np.zeros_like(counts), counts)
        starts = number * self.hop
        sizes = np.minimum(chunk.lengths[rows] - starts, self.length)
        bare = replace(chunk, steps=_empty(chunk.steps), targets=None).take(rows)
        flat, offsets = chunk.steps.offsets[:-1][rows] + starts, ragged.to_offsets(sizes)

        def cut(whole: ragged.Ragged) -> ragged.Ragged:
            return ragged.Ragged(ragged.copy_spans(whole.values, flat, sizes), offsets)

        return replace(
            bare,
            steps=cut(chunk.steps),
            targets=chunk.targets and cut(chunk.targets),
            windows=number,
        )


def _empty(rows: ragged.Ragged) -> ragged.Ragged:
    return ragged.Ragged(rows.values[:0], np.zeros_like(rows.offsets))
