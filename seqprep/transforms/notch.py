"""Remove one frequency and its multiples (P17), e.g. the hum of the mains.

Use it where a `bandpass` would take what matters along. `phase: zero` (default) shifts nothing in
time but looks ahead; take `causal` where predictions are made while a signal comes in.

Source: Orfanidis 1996, Introduction to Signal Processing, by scipy.signal.iirnotch
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk, Kind
from seqprep.preparation.form import Form, Unit
from seqprep.preparation.transform import Context
from seqprep.spectra import Floats, Phase, filter_rows, scipy_signal
from seqprep.transforms.options import FixedStep, check_at_least, check_choice
from seqprep.transforms.signals import check_below_half, check_number, known_rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Notch(FixedStep):
    """Each channel without a frequency.

    Args:
        at_hz: which, under half the rate.
        quality: its ratio to the width of what goes, at half power; multiples get the same width.
        harmonics: how many multiples of `at_hz` go, itself included; those that the rate cannot
            carry are refused.
        phase: zero or causal.

    >>> Notch(at_hz=50).harmonics
    1
    """

    name: ClassVar[str] = "notch"
    kind: ClassVar[Kind] = "maps"
    units: ClassVar[tuple[Unit, ...]] = ("value",)

    at_hz: float
    quality: float = 30.0
    harmonics: int = 1
    phase: Phase = "zero"

    def __post_init__(self) -> None:
        check_number(self.name, "at_hz", self.at_hz, above=0)
        check_number(self.name, "quality", self.quality, above=0, unit="")
        check_at_least(self.name, "harmonics", self.harmonics, 1, "frequency")
        check_choice(self.name, "phase", self.phase, ("zero", "causal"))

    def outcome(self, form: Form) -> Form:
        """The same channels.

        Raises:
            ConfigError: if the rate is not known, or too low.
        """
        self._sections(form)
        return form

    def _sections(self, form: Form) -> Floats:
        rate_hz = known_rate(self.name, form)
        check_below_half(self.name, "at_hz", self.at_hz, rate_hz)
        if self.harmonics * self.at_hz >= rate_hz / 2:
            most = int(np.ceil(rate_hz / 2 / self.at_hz)) - 1
            raise ConfigError(
                f"notch.harmonics: {self.harmonics} x {self.at_hz:g} Hz is not under "
                f"{rate_hz / 2:g} Hz, half of the rate of {rate_hz:g} Hz; write {most} or fewer"
            )
        numbers = range(1, self.harmonics + 1)
        filters = (
            scipy_signal().iirnotch(k * self.at_hz, k * self.quality, fs=rate_hz) for k in numbers
        )
        return np.vstack([scipy_signal().tf2sos(b, a) for b, a in filters])

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Filter every row."""
        sections = self._sections(context.form)
        return replace(chunk, steps=filter_rows(chunk.steps, sections, phase=self.phase))
