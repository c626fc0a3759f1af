"""Random contiguous pieces joined in order (P7), as a reduction or as augmentation (P8).

Use it when the signal may lie anywhere and repeats: several views of a record show the model
different parts. Not when order over long distances carries the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from seqprep.transforms.options import ViewOptions, check_at_least, check_choice


@dataclass(frozen=True, kw_only=True, slots=True)
class Subsequences(ViewOptions):
    """`pieces` random pieces of `piece` steps, in the order in which they stand in the record.

    Args:
        pieces: how many. piece: steps of each.
        overlap: `forbid`: disjoint, every placement as likely; a record with fewer steps than
            pieces x piece stays whole. `allow`: starts drawn independently and sorted; a record
            of at most one piece's length stays whole, and is never repeated to fill up.

    >>> Subsequences(pieces=2, piece=100, overlap="forbid", views=4).total
    200
    """

    name: ClassVar[str] = "subsequences"

    pieces: int = 1
    piece: int
    overlap: Literal["allow", "forbid"] = "forbid"

    def __post_init__(self) -> None:
        check_at_least(self.name, "pieces", self.pieces, 1, "piece")
        check_at_least(self.name, "piece", self.piece, 1, "step")
        check_choice(self.name, "overlap", self.overlap, ("allow", "forbid"))
        self.check_views()

    @property
    def total(self) -> int:
        """Steps of all pieces together."""
        return self.pieces * self.piece
