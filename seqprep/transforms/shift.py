"""A random shift of the start (P8): a gentle view that never cuts into the signal.

Use it to make a model indifferent to where a record begins. Not as a way to shorten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from seqprep.transforms.options import ViewOptions, check_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift(ViewOptions):
    """Rows without a random number of steps at their head.

    Args:
        max: at most this many steps go; at least one step of a row always stays.
        stride: only multiples of it go, e.g. 3 keeps the reading frame of bases.

    >>> from seqprep.ragged import from_lists, to_lists
    >>> from seqprep.views import apply_view
    >>> import numpy as np
    >>> step = {"name": "shift", "position": 0, "max": 5, "stride": 3}
    >>> shifted = [apply_view(from_lists([[1, 2, 3, 4]]), step, np.zeros(1), seed=1, view=view)
    ...     for view in range(9)]
    >>> sorted({tuple(to_lists(rows)[0]) for rows in shifted})
    [(1, 2, 3, 4), (4,)]
    """

    name: ClassVar[str] = "shift"

    max: int
    stride: int = 1

    def __post_init__(self) -> None:
        check_at_least(self.name, "max", self.max, 1, "step")
        check_at_least(self.name, "stride", self.stride, 1, "step")
        self.check_views()
