"""Every n-th step of a row.

Use it to look whether fine detail matters at all: if the score stays, records may be that much
shorter. Not for waveforms, which fold over: there `resample`, or a strided convolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from seqprep.kernels import ranges
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Context
from seqprep.transforms.options import FixedStep, check_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class Thin(FixedStep):
    """Steps 0, n, 2n ... of each row.

    Args:
        every: n; 1 keeps all.

    >>> Thin(every=4).outcome(Form(unit="value", channels=("Fz",), rate_hz=256.0)).rate_hz
    64.0
    """

    name: ClassVar[str] = "thin"

    every: int

    def __post_init__(self) -> None:
        check_at_least(self.name, "every", self.every, 1, "step")

    def outcome(self, form: Form) -> Form:
        """The same steps at a lower rate."""
        return replace(form, rate_hz=form.rate_hz and form.rate_hz / self.every)

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Keep steps of every row, and per-step targets by the same marks."""
        place = ranges(0 * chunk.lengths, chunk.lengths)  # of each step in its row
        return chunk.keep(place % self.every == 0)
