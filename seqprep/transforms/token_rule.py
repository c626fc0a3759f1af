"""Techniques that decide by token which steps stay, from what is known of the training rows.

What becomes of every token follows from counts alone, so it is known before any row is touched.

Legend: V tokens of the frequency table; place V stands for every token that it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from seqprep import ragged
from seqprep.frequency import Frequency
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form, Unit
from seqprep.preparation.transform import Context
from seqprep.ragged import Ragged
from seqprep.token_table import TokenTable
from seqprep.transforms.options import TOKEN_UNITS, FixedStep

REMOVED, KEPT, UNKNOWN = 0, 1, 2
"""What becomes of a token: it goes, it stays, or it becomes OOV."""

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a rule may decide by.

    Args:
        frequency: of the training rows.
        alive: `(V + 1,)` tokens that the rules before it leave.
        tables: of tokens, by the path that the recipe names.
    """

    frequency: Frequency
    alive: Bools
    tables: Mapping[str, TokenTable] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRule(FixedStep):
    """A technique that removes tokens; subclasses say which."""

    units: ClassVar[tuple[Unit, ...]] = TOKEN_UNITS
    needs_ranks: ClassVar[bool] = True
    stored: ClassVar[bool] = True
    """Whether its decision is part of the fitted state, since counts alone do not give it again."""

    @property
    def needs_records(self) -> bool:
        """Whether the number of training records with a token must be counted."""
        return False

    @property
    def needs_labels(self) -> bool:
        """Whether they must be counted for each label."""
        return False

    @property
    def limit(self) -> int | None:
        """Of those left, all but so many become OOV."""
        return None

    @property
    def once(self) -> bool:
        """Whether of each token only the first occurrence in a row stays."""
        return False

    @property
    def table(self) -> str | None:
        """The path of a table of tokens that the rule reads."""
        return None

    def outcome(self, form: Form) -> Form:
        """Steps that are no longer equally spaced in time."""
        return replace(form, rate_hz=None)

    def removed(self, evidence: Evidence) -> Bools:
        """Which tokens go, `(V + 1,)`; the last entry is for tokens that no training row holds."""
        raise NotImplementedError

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Remove steps by the fate of their rank."""
        assert context.fate is not None
        values, offsets = chunk.steps.values, chunk.steps.offsets
        marks = ragged.look_up(context.fate != REMOVED, values)
        if (unknown := context.fate == UNKNOWN).any():
            names = np.where(unknown, len(unknown) - 1, np.arange(len(unknown)))
            values = ragged.look_up(names.astype(values.dtype), values)
        result = replace(chunk, steps=Ragged(values, offsets)).keep(marks)
        if self.once:
            result = result.keep(ragged.first_marks(result.steps.values, result.steps.offsets))
        return result
