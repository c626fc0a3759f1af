"""Keep a band of frequencies (P17), by a Butterworth filter.

Use it against drift below and noise above what matters, before steps are merged or thinned out.
`phase: zero` (default) shifts nothing in time but looks ahead, as studies of recorded signals do;
take `causal` where predictions are made while a signal comes in.

Source: Butterworth 1930; forwards and backwards: Gustafsson 1996, doi:10.1109/78.492552; by
scipy.signal
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk, Kind
from seqprep.preparation.form import Form, Unit
from seqprep.preparation.transform import Context
from seqprep.spectra import Floats, Phase, filter_rows, scipy_signal
from seqprep.transforms.options import FixedStep, check_at_least, check_choice
from seqprep.transforms.signals import check_below_half, check_number, known_rate


@dataclass(frozen=True, kw_only=True, slots=True)
class Bandpass(FixedStep):
    """Each channel between two frequencies.

    Without `low_hz` it is a low-pass filter, without `high_hz` a high-pass one. At an edge power is
    halved (`causal`) or quartered (`zero`, which filters twice). A row begins as if its first value
    had always been there; `zero` also continues its ends, by fewer steps where it is short.

    Args:
        low_hz: lower edge; null or 0: none.
        high_hz: upper edge, under half the rate; null: none.
        order: of the filter, twice that for a band with two edges.
        phase: zero or causal.

    >>> Bandpass(low_hz=0.5, high_hz=40).order
    4
    """

    name: ClassVar[str] = "bandpass"
    kind: ClassVar[Kind] = "maps"
    units: ClassVar[tuple[Unit, ...]] = ("value",)

    low_hz: float | None = None
    high_hz: float | None = None
    order: int = 4
    phase: Phase = "zero"

    def __post_init__(self) -> None:
        if self.low_hz == 0:
            object.__setattr__(self, "low_hz", None)
        for key in ("low_hz", "high_hz"):
            if getattr(self, key) is not None:
                check_number(self.name, key, getattr(self, key), above=0)
        if self.low_hz is None and self.high_hz is None:
            raise ConfigError("bandpass needs `low_hz`, `high_hz` or both")
        if self.low_hz is not None and self.high_hz is not None and self.low_hz >= self.high_hz:
            raise ConfigError(
                f"bandpass.low_hz must be < high_hz = {self.high_hz:g}, got {self.low_hz:g}"
            )
        check_at_least(self.name, "order", self.order, 1, "")
        if self.order > 10:
            raise ConfigError(f"bandpass.order must be <= 10, got {self.order}")
        check_choice(self.name, "phase", self.phase, ("zero", "causal"))

    def outcome(self, form: Form) -> Form:
        """The same channels.

        Raises:
            ConfigError: if the rate is not known, or too low for an edge.
        """
        self._sections(form)
        return form

    def _sections(self, form: Form) -> Floats:
        rate_hz = known_rate(self.name, form)
        edges = {"low_hz": self.low_hz, "high_hz": self.high_hz}
        given = {key: value for key, value in edges.items() if value is not None}
        for key, value in given.items():
            check_below_half(self.name, key, value, rate_hz)
        kind = {"low_hz": "highpass", "high_hz": "lowpass"}[next(iter(given))]
        if len(given) == 2:
            return scipy_signal().butter(
                self.order, list(given.values()), "bandpass", fs=rate_hz, output="sos"
            )
        return scipy_signal().butter(self.order, *given.values(), kind, fs=rate_hz, output="sos")

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Filter every row."""
        sections = self._sections(context.form)
        return replace(chunk, steps=filter_rows(chunk.steps, sections, phase=self.phase))
