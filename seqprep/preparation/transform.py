"""What a technique of preparation is, and what it may know beside the rows.

Legend: R rows, V tokens, N steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.preparation.chunk import Chunk, Kind
from seqprep.preparation.form import Form, Unit
from seqprep.ragged import Ints
from seqprep.schema import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a technique may know beside the rows.

    Args:
        seed: of the recipe. position: of the step in its chain, so that two steps draw apart.
        form: of the rows that it is given.
        fate: for steps that choose by token: what becomes of each rank, see `vocabulary.Fate`;
            its last entry is for tokens that the frequency table lacks.
        complement: `(V + 1,)` the rank of each rank's reverse complement.
        strings: `(V,)` the text of each token in `steps`; a step of V is one that no training row
            holds. None for values.
        ids: `(V + 1,)` the vocabulary's id of each rank; None before it is fitted.
    """

    seed: int
    position: int
    form: Form
    fate: npt.NDArray[np.int8] | None = None
    complement: Ints | None = None
    strings: pa.Array | None = None
    ids: Ints | None = None


class Transform(Protocol):
    """One technique of preparation: a frozen dataclass of its options.

    `version` changes when the same options would give other bytes. `units` are the units of steps
    that it takes. `needs_ranks`: it reads token ranks, which are known after the first pass.
    """

    version: ClassVar[int]
    kind: ClassVar[Kind]
    units: ClassVar[tuple[Unit, ...]]
    needs_ranks: ClassVar[bool]

    @property
    def views(self) -> int:
        """Views made of each training record beside the whole; 0 for a reduction."""

    @property
    def original(self) -> Literal["keep", "drop"]:
        """Whether training keeps view 0 beside the others."""

    @property
    def when(self) -> Literal["store", "train"]:
        """Whether views are stored, or drawn when batches are made."""

    def options(self) -> dict[str, Any]:
        """What a person wrote, defaults filled in."""

    def check(self, *, domain: str, task: Task) -> None:
        """Refuse a domain or task that the technique cannot serve."""

    def gives(self, unit: Unit) -> Unit:
        """The unit of the steps that come out."""

    def outcome(self, form: Form) -> Form:
        """The form of the rows that come out.

        Raises:
            ConfigError: if rows of this form cannot be served (no rate, too few channels ...).
        """

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """The chunk after this technique."""


@runtime_checkable
class Symbols(Protocol):
    """A technique that makes tokens of values."""

    def symbols(self, form: Form) -> pa.Array:
        """`(V,)` the text of each token that it makes of rows of this form."""


@runtime_checkable
class Windowed(Protocol):
    """A technique whose windows a row may be too short to fill; such a row makes one of its own."""

    def window_steps(self, form: Form) -> int:
        """Steps of a whole window of rows of this form."""


def as_step(name: str, position: int, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the kernels of `views` read of a step."""
    return {"name": name, "position": position, **options}
