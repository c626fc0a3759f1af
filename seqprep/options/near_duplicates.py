"""What a person writes about records that are nearly equal. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seqprep.errors import ConfigError

LONGEST_SHINGLE = 31
"""Letters that fit 64 bits; words could be more, but say nothing longer than that."""
MOST_HASHES = 4096
LIKENED = ("dna", "text")
"""Domains whose records have shingles."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NearDuplicates:
    """How nearly equal records are found, and what is done about them.

    Args:
        action: `off`; `report` lists them and counts those on two sides of the split. To keep them
            on one side, `seqprep duplicates --groups` writes a table for `source.group`, which a
            person may read and change before it moves anything.
        threshold: smallest Jaccard index of shingles that counts, in (0, 1].
        shingle: words (text) or letters (dna) of a shingle; default 5 and 16.
        hashes: of a sketch: four bytes each for each record.
    """

    action: Literal["off", "report"] | bool = "off"
    threshold: float = 0.8
    shingle: int | None = None
    hashes: int = 128

    def __post_init__(self) -> None:
        if self.action is False:  # YAML reads a bare off as false
            object.__setattr__(self, "action", "off")
        if self.action not in ("off", "report"):
            raise ConfigError(f"near_duplicates.action must be off or report, got {self.action!r}")
        number = isinstance(self.threshold, int | float) and not isinstance(self.threshold, bool)
        if not number or not 0 < self.threshold <= 1:
            raise ConfigError(
                f"near_duplicates.threshold must be a Jaccard index in (0, 1], got "
                f"{self.threshold!r}"
            )
        for name, value, low, high in (
            ("shingle", self.shingle, 1, LONGEST_SHINGLE),
            ("hashes", self.hashes, 16, MOST_HASHES),
        ):
            if value is not None and (isinstance(value, bool) or not low <= value <= high):
                raise ConfigError(f"near_duplicates.{name} must be in {low}..{high}, got {value!r}")
