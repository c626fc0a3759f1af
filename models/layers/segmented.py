"""A record read segment by segment: what is handed on, and what a model must offer for it.

Truncated and recomputed backpropagation and prediction on a stream all read records this way. A
model that offers it gives, with weights held still and dropout off, what it gives for whole rows.

Legend: B rows, T steps of a segment, F features, H units, L layers, C outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from models.layers.core import Core, State
from models.layers.pooling import Pooled


@dataclass(frozen=True, slots=True)
class Carried:
    """What stands between two segments of B records.

    Args:
        state: of the core, each part `(L, B, H)`.
        pooled: of the steps so far, each `(B, ...)`; () where every step has its own output.
        lengths: `(B,)` int64 steps read so far.
    """

    state: State
    pooled: Pooled
    lengths: Tensor

    def detach(self) -> Carried:
        """The same without a past for gradients."""
        return Carried(
            tuple(part.detach() for part in self.state),
            tuple(part.detach() for part in self.pooled),
            self.lengths,
        )

    def take(self, rows: Tensor | slice) -> Carried:
        """The named rows, in that order."""
        return Carried(
            tuple(part[:, rows] for part in self.state),
            tuple(part[rows] for part in self.pooled),
            self.lengths[rows],
        )

    @classmethod
    def concat(cls, parts: Sequence[Carried]) -> Carried:
        """The rows of all parts, one after the other."""
        return cls(
            tuple(torch.cat(part, dim=1) for part in zip(*(p.state for p in parts), strict=True)),
            tuple(torch.cat(part) for part in zip(*(p.pooled for p in parts), strict=True)),
            torch.cat([part.lengths for part in parts]),
        )

    def put(self, rows: Tensor, new: Carried) -> Carried:
        """These, with `new` in the named rows."""
        return Carried(
            tuple(a.index_copy(1, rows, b) for a, b in zip(self.state, new.state, strict=True)),
            tuple(a.index_copy(0, rows, b) for a, b in zip(self.pooled, new.pooled, strict=True)),
            self.lengths.index_copy(0, rows, new.lengths),
        )


@runtime_checkable
class Segmented(Protocol):
    """A model that reads records segment by segment, in one direction."""

    core: Core
    per_step: bool

    def begin(self, rows: int) -> Carried:
        """What stands before the first segment of so many records."""
        ...

    def read(self, inputs: Tensor, lengths_B: Tensor, carried: Carried) -> tuple[Tensor, Carried]:
        """Read a segment.

        Args:
            inputs: `(B, T)` ids or `(B, T, F)` values of the segment.
            lengths_B: its real steps, each in 0..T; a row of length 0 keeps what it has.
            carried: from `begin` or the last call.

        Returns:
            States of the core `(B, T, H)`, and what to hand on.
        """
        ...

    def answer(self, carried: Carried) -> Tensor:
        """Outputs of records from all that was read, `(B, C)`; not for `per_step`."""
        ...

    def answer_steps(self, states_BTF: Tensor) -> Tensor:
        """Outputs of steps from their states, `(B, T, C)`; for `per_step`."""
        ...
