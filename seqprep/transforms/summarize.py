"""Cut the most and the least frequent tokens (P3): what is left carries more a step.

Use it for words and k-mers: function words and one-off tokens cost steps and tell little. Not where
every step has its place in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seqprep.errors import ConfigError
from seqprep.transforms.options import check_at_least
from seqprep.transforms.token_rule import Bools, Evidence, TokenRule


@dataclass(frozen=True, kw_only=True, slots=True)
class Summarize(TokenRule):
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
    version: ClassVar[int] = 2
    stored: ClassVar[bool] = False

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
        """Whether a rule asks for the number of training records with a token."""
        return self.min_records is not None or self.max_share is not None

    @property
    def limit(self) -> int | None:
        """Tokens beyond it become OOV."""
        return self.max_vocab

    @property
    def once(self) -> bool:
        """Whether repeats go."""
        return self.first_only

    def removed(self, evidence: Evidence) -> Bools:
        """Ranks that are too high, counts that are too low, shares that are too large."""
        frequency = evidence.frequency
        gone = np.zeros(len(frequency) + 1, dtype=bool)
        table = gone[:-1]
        table[: self.drop_top] = True
        if self.min_count is not None:
            table |= frequency.counts < self.min_count
        if self.needs_records:
            assert frequency.records is not None, "records were not counted"
            if self.min_records is not None:
                table |= frequency.records < self.min_records
            if self.max_share is not None:
                # a quotient is rounded as the number in the pipeline file was; a product is not
                table |= frequency.records / frequency.num_records > self.max_share
        gone[-1] = self.removes_unseen
        return gone
