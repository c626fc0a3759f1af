"""What techniques for signals share: a known rate, and edges in hertz that it can carry.

Legend: B windows, F channels, Q bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqprep.blocks import Spans, window_spans
from seqprep.errors import ConfigError
from seqprep.preparation.form import Form
from seqprep.ragged import Ints
from seqprep.spectra import TAPERS, Floats, Frames, Taper
from seqprep.transforms.merging import MergingStep
from seqprep.transforms.options import check_choice

FLOOR = 1e-20
"""Power below it counts as this much before a logarithm: that of a flat channel is none at all."""


def known_rate(name: str, form: Form) -> float:
    """Steps a second.

    Raises:
        ConfigError: if they are not known.
    """
    if form.rate_hz is None:
        raise ConfigError(
            f"{name} needs to know how many steps there are in a second, which is not known here; "
            "set source.rate_hz, or move the step before those that leave no even rate"
        )
    return form.rate_hz


def check_number(name: str, key: str, value: object, *, above: float, unit: str = "Hz") -> None:
    """Refuse what is not a number over a limit."""
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not value > above:  # type: ignore[operator]
        raise ConfigError(f"{name}.{key} must be a number > {above:g} {unit}, got {value!r}")


def check_below_half(name: str, key: str, value_hz: float, rate_hz: float) -> None:
    """Refuse a frequency that steps at this rate cannot carry."""
    if value_hz >= rate_hz / 2:
        raise ConfigError(
            f"{name}.{key} must be < {rate_hz / 2:g} Hz, half of the rate of {rate_hz:g} Hz; got "
            f"{value_hz:g}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SpectralStep(MergingStep):
    """A technique that makes one step of each window's power spectrum.

    A row of T steps gives 1 + (T - n) // hop windows of n steps; steps after the last whole one are
    left out, and a row shorter than a window is filled with zeros to one.

    Args:
        window_s: seconds a window. stride_s: from one window's start to the next's.
        log: whether features are natural logarithms of power, 1e-20 at least.
        taper: that fades the ends of a window out.
        targets: of the last step of a window, or their mean or majority.
    """

    window_s: float
    stride_s: float
    log: bool = True
    taper: Taper = "hann"

    def check_window(self) -> None:
        """Refuse options that are wrong at any rate."""
        check_number(self.name, "window_s", self.window_s, above=0, unit="seconds")
        check_number(self.name, "stride_s", self.stride_s, above=0, unit="seconds")
        if self.stride_s > self.window_s:
            raise ConfigError(
                f"{self.name}.stride_s must be <= window_s = {self.window_s:g}, or steps between "
                f"windows would be lost; got {self.stride_s:g}"
            )
        if not isinstance(self.log, bool):
            raise ConfigError(f"{self.name}.log must be true or false, got {self.log!r}")
        check_choice(self.name, "taper", self.taper, TAPERS)
        self.check_targets()

    def frames(self, form: Form) -> Frames:
        """The windows of rows of this form.

        Raises:
            ConfigError: if the rate is not known, or too low for them.
        """
        rate_hz = known_rate(self.name, form)
        window, hop = (round(seconds * rate_hz) for seconds in (self.window_s, self.stride_s))
        if window < 2 or hop < 1:
            raise ConfigError(
                f"{self.name}: at {rate_hz:g} Hz, window_s: {self.window_s:g} is {window} steps "
                f"and stride_s: {self.stride_s:g} is {hop}; a window needs at least 2 and a stride "
                "1: name longer ones"
            )
        return Frames(window=window, hop=hop, rate_hz=rate_hz, taper=self.taper)

    def window_steps(self, form: Form) -> int:
        """Steps of a window at the rate of these rows."""
        return self.frames(form).window

    def spans(self, offsets: Ints, frames: Frames) -> Spans:
        """The windows of rows with these offsets."""
        return window_spans(offsets, window=frames.window, stride=frames.hop, tail=False)

    def scaled(self, power: Floats) -> Floats:
        """Logarithms, if they are asked for."""
        return np.log(np.maximum(power, FLOOR)) if self.log else power
