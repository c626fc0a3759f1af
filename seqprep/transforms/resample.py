"""Another sampling rate (P17), by polyphase filtering.

Use it to shorten a signal to the rate that it needs: what lies above half the new rate is filtered
out first. The filter looks ahead by ten steps of the lower rate. Not across gaps in time: steps
count as equally spaced.

Source: Crochiere & Rabiner 1983, Multirate Digital Signal Processing, by scipy.signal.resample_poly
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np

from seqprep.blocks import Spans
from seqprep.errors import ConfigError
from seqprep.kernels import ranges, to_offsets
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Context
from seqprep.ragged import Ints
from seqprep.spectra import resample_rows, resampled
from seqprep.transforms.merging import MergingStep
from seqprep.transforms.signals import check_number, known_rate

MAX_FACTOR = 20_000
"""Largest whole number in the ratio of the rates: 173.61 to 128 Hz is 12,800 / 17,361."""
_EXACT = 1e-6
"""The ratio may be off by this part: one step in a million."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resample(MergingStep):
    """Each channel at another rate: ceil(T x to_hz / rate) steps.

    Step j stands for the steps from floor(j x rate / to_hz) up to the next one's first, whose
    targets it takes; where the rate rises, for the one step at which it lies.

    Args:
        to_hz: the new rate.
        targets: of the last step that a new one stands for, or their mean or majority.

    >>> Resample(to_hz=128).outcome(Form(unit="value", channels=("Fz",), rate_hz=256.0)).rate_hz
    128.0
    """

    name: ClassVar[str] = "resample"

    to_hz: float

    def __post_init__(self) -> None:
        check_number(self.name, "to_hz", self.to_hz, above=0)
        self.check_targets()

    def outcome(self, form: Form) -> Form:
        """The same channels at the new rate.

        Raises:
            ConfigError: if the rate is not known, or the ratio cannot be had.
        """
        self._ratio(form)
        return replace(form, rate_hz=float(self.to_hz))

    def _ratio(self, form: Form) -> Fraction:
        rate_hz = known_rate(self.name, form)
        exact = self.to_hz / rate_hz
        ratio = Fraction(exact).limit_denominator(MAX_FACTOR)
        if ratio.numerator > MAX_FACTOR or abs(float(ratio) - exact) > _EXACT * exact:
            raise ConfigError(
                f"resample.to_hz: {self.to_hz:g} / {rate_hz:g} Hz is no ratio of whole numbers up "
                f"to {MAX_FACTOR:,}; choose a rate nearer to that of the source"
            )
        return ratio

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Resample every row."""
        ratio = self._ratio(context.form)
        up, down = ratio.numerator, ratio.denominator
        steps = resample_rows(chunk.steps, up=up, down=down)
        return self.merge(chunk, steps.values, _spans(chunk.steps.offsets, up=up, down=down))


def _spans(offsets: Ints, *, up: int, down: int) -> Spans:
    """The steps that each new one stands for."""
    lengths = np.diff(offsets)
    counts = resampled(lengths, up=up, down=down)
    number = ranges(np.zeros_like(counts), counts)
    first = number * down // up
    end = np.minimum(np.maximum((number + 1) * down // up, first + 1), np.repeat(lengths, counts))
    return Spans(
        starts=np.repeat(offsets[:-1], counts) + first,
        sizes=end - first,
        offsets=to_offsets(counts),
    )
