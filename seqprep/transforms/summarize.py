"""Cut the most and the least frequent tokens (P3): what is left carries more a step.

Use it for words and k-mers: function words and one-off tokens cost steps and tell little. Not where
every step has its place in time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk, Context, Kind
from seqprep.ragged import Ragged
from seqprep.schema import Task
from seqprep.transforms.options import TOKEN_UNITS, check_at_least

REMOVED, KEPT, UNKNOWN = 0, 1, 2
"""What becomes of a token: it goes, it stays, or it becomes OOV."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summarize:
    """Rows without the tokens that the rules remove, in their order (CONTRACT 17).

    Rank 1 is the token with most occurrences in the training rows; ties are broken by its text.

    Args:
        drop_top: the first ranks go.
        min_count: tokens with fewer occurrences in training rows go, and so do unseen ones.
        min_records: tokens in fewer training records go, and so do unseen ones.
        max_share: tokens in more than this share of the training records go.
        max_vocab: of those left, all but the most frequent become OOV.
        first_only: of each token only the first occurrence in a row stays (OOV counts as one).

    >>> Summarize(drop_top=50, min_count=2).removes_unseen
    True
    """

    name: ClassVar[str] = "summarize"
    version: ClassVar[int] = 1
    kind: ClassVar[Kind] = "selects"
    units: ClassVar[tuple[str, ...]] = TOKEN_UNITS
    needs_ranks: ClassVar[bool] = True
    views: ClassVar[int] = 0
    original: ClassVar[Literal["keep"]] = "keep"
    when: ClassVar[Literal["store"]] = "store"

    drop_top: int = 0
    min_count: int | None = None
    min_records: int | None = None
    max_share: float | None = None
    max_vocab: int | None = None
    first_only: bool = False

    def __post_init__(self) -> None:
        check_at_least(self.name, "drop_top", self.drop_top, 0, "tokens")
        for key, unit in (
            ("min_count", "occurrence"),
            ("min_records", "record"),
            ("max_vocab", "token"),
        ):
            if (value := getattr(self, key)) is not None:
                check_at_least(self.name, key, value, 1, unit)
        if self.max_share is not None and not 0 < self.max_share <= 1:
            raise ConfigError(f"summarize.max_share must be in (0, 1], got {self.max_share!r}")
        if not isinstance(self.first_only, bool):
            raise ConfigError(f"summarize.first_only must be true or false, got {self.first_only}")

    @property
    def removes_unseen(self) -> bool:
        """Whether a token that no training row holds is removed rather than OOV."""
        return self.min_count is not None or self.min_records is not None

    @property
    def needs_records(self) -> bool:
        """Whether the number of training records with a token must be counted."""
        return self.min_records is not None or self.max_share is not None

    def options(self) -> dict[str, Any]:
        """What a person wrote, defaults filled in."""
        return asdict(self)

    def check(self, *, domain: str, task: Task) -> None:
        """Every domain with tokens will do."""

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Remove steps by the fate of their rank."""
        assert context.fate is not None
        unseen = len(context.fate) - 1
        fate = context.fate[chunk.steps.values]
        values = chunk.steps.values
        if (context.fate == UNKNOWN).any():
            values = np.where(fate == UNKNOWN, np.asarray(unseen, values.dtype), values)
        index, lengths = ragged.keep_index(chunk.steps.offsets, fate != REMOVED)
        result = replace(chunk, steps=Ragged(values, chunk.steps.offsets)).pick(index, lengths)
        if self.first_only:
            keep = ragged.first_occurrences(result.steps)
            result = result.pick(*ragged.keep_index(result.steps.offsets, keep))
        return result
