"""Keep one part of each row (P2). "The most recent part" is the tail, the last steps.

Use it when the part that tells is known: the ends of a read, the end of a document. Not when the
signal may lie anywhere: take subsequences or windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from seqprep.errors import ConfigError
from seqprep.transforms.options import ViewOptions, check_at_least, check_choice


@dataclass(frozen=True, kw_only=True, slots=True)
class Truncate(ViewOptions):
    """Rows of at most `length` steps.

    Args:
        length: steps to keep; a shorter row stays whole.
        keep: `head`, `tail`, `middle`, `head_tail` (half of each, joined; of an odd length the
            head has one step more) or `random` (a span drawn from seed, id and view).

    >>> from seqprep.ragged import from_lists, to_lists
    >>> from seqprep.views import apply_view
    >>> import numpy as np
    >>> step = {"name": "truncate", "position": 0, "length": 3, "keep": "head_tail"}
    >>> to_lists(apply_view(from_lists([[1, 2, 3, 4, 5]]), step, np.zeros(1), seed=0, view=0))
    [[1, 2, 5]]
    """

    name: ClassVar[str] = "truncate"

    length: int
    keep: Literal["head", "tail", "middle", "head_tail", "random"] = "head"

    def __post_init__(self) -> None:
        check_at_least(self.name, "length", self.length, 1, "step")
        check_choice(
            self.name, "keep", self.keep, ("head", "tail", "middle", "head_tail", "random")
        )
        self.check_views()
        if self.keep != "random" and (self.views or self.when == "train"):
            raise ConfigError(
                f"truncate: views need `keep: random`; with keep: {self.keep} all would be equal"
            )
