"""Random removal of single steps down to an exact length (P6).

Use it to thin a long, redundant signal without favouring any part. Not where neighbours matter
(k-mers, waveforms): it tears them apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from seqprep.preparation.form import Form
from seqprep.transforms.options import ViewOptions, check_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoveSteps(ViewOptions):
    """Exactly `length` steps, drawn at random, in their order.

    Args:
        length: steps that stay; a shorter row stays whole.

    >>> from seqprep.ragged import from_lists
    >>> from seqprep.views import apply_view
    >>> import numpy as np
    >>> step = {"name": "remove_steps", "position": 0, "length": 2}
    >>> apply_view(from_lists([[1, 2, 3, 4]]), step, np.zeros(1), seed=0, view=0).lengths.tolist()
    [2]
    """

    name: ClassVar[str] = "remove_steps"

    length: int

    def __post_init__(self) -> None:
        check_at_least(self.name, "length", self.length, 1, "step")
        self.check_views()

    def outcome(self, form: Form) -> Form:
        """The same steps, no longer equally spaced in time."""
        return replace(form, rate_hz=None)
