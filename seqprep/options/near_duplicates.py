"""What a person writes about records that are nearly equal. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from seqprep.errors import ConfigError, NotBuiltError

LONGEST_SHINGLE = 31
"""Letters that fit 64 bits; words could be more, but say nothing longer than that."""
MOST_HASHES = 4096
LIKENED = ("dna", "text")
"""Domains whose records have shingles."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NearDuplicates:
    """How nearly equal records are found, and what is done about them.

    Args:
        action: `off`; `report` lists them and counts those on two sides of the split; `together`,
            which would keep them on one side, is not built yet: `seqprep duplicates --groups`
            writes a table for `source.group` that does.
        threshold: smallest Jaccard index of shingles that counts, in (0, 1].
        shingle: words (text) or letters (dna) of a shingle; default 5 and 16.
        hashes: of a sketch: four bytes each for each record.
    """

    action: Literal["off", "report", "together"] | bool = "off"
    threshold: float = 0.8
    shingle: int | None = None
    hashes: int = 128

    def __post_init__(self) -> None:
        if self.action is False:  # YAML reads a bare off as false
            object.__setattr__(self, "action", "off")
        if self.action not in ("off", "report", "together"):
            raise ConfigError(
                f"near_duplicates.action must be off, report or together, got {self.action!r}"
            )
        if self.action == "together":
            raise NotBuiltError(
                "prepare.near_duplicates.action: together",
                "write the groups by `seqprep duplicates FILE --groups groups.csv` and name that "
                "table in source.group, which keeps each on one side",
            )
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
