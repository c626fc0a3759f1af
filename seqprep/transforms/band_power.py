"""Power in named bands of each window as features (P17).

Use it where bands are known, as alpha and beta are in EEG: a few features a channel. Where they are
not, `spectrum` keeps every frequency.

Source: Welch 1967, doi:10.1109/TAU.1967.1161901 (windows, tapers, density), by scipy.signal
Legend: B windows, F channels, Q bins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Context
from seqprep.spectra import Floats, Frames
from seqprep.transforms.signals import SpectralStep

Edges = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class BandPower(SpectralStep):
    """Power of each channel and band in each window, named like `Fp1 alpha`, channel by channel.

    A band's power is the sum of the density over its bins, from `low` up to but not including
    `high`, times their distance: the unit of the values, squared. The bin at 0 Hz never counts:
    each window's mean is taken off.

    Args:
        bands: name to [low, high] in hertz; they may overlap.
        window_s: seconds a window; bins are 1 / window_s apart.
        stride_s: from one window's start to the next's.
        log: natural logarithms of the power, 1e-20 at least.
        relative: shares of the power at all frequencies but 0 instead; 0 where there is none.
        taper: hann, hamming, blackman or boxcar (none).
        targets: of the last step of a window, or their mean or majority.

    >>> form = Form(unit="value", channels=("Fp1",), rate_hz=100.0)
    >>> BandPower(bands={"alpha": (8, 13)}, window_s=1, stride_s=1).outcome(form).channels
    ('Fp1 alpha',)
    """

    name: ClassVar[str] = "band_power"

    bands: dict[str, Edges]
    relative: bool = False

    def __post_init__(self) -> None:
        self.check_window()
        if not isinstance(self.relative, bool):
            raise ConfigError(f"band_power.relative must be true or false, got {self.relative!r}")
        if not isinstance(self.bands, Mapping) or not self.bands:
            raise ConfigError(
                "band_power.bands must be names with their edges in hertz, e.g. {alpha: [8, 13]}; "
                f"got {self.bands!r}"
            )
        edges = {str(name): _edges(name, band) for name, band in self.bands.items()}
        object.__setattr__(self, "bands", edges)

    def outcome(self, form: Form) -> Form:
        """A feature for each channel and band, at the rate of windows.

        Raises:
            ConfigError: if the rate is not known, or too low for a band.
        """
        frames = self.frames(form)
        self._places(frames)
        names = (f"{channel} {band}" for channel in form.channels for band in self.bands)
        return form.as_values(tuple(names), rate_hz=frames.rate_hz / frames.hop)

    def _places(self, frames: Frames) -> list[slice]:
        """The bins of each band."""
        half, bins_hz = frames.rate_hz / 2, frames.bins_hz
        places = []
        for name, (low, high) in self.bands.items():
            if high > half:
                raise ConfigError(
                    f"band_power.bands.{name} must end at {half:g} Hz at most, half of the rate of "
                    f"{frames.rate_hz:g} Hz; got {high:g}"
                )
            first, end = np.searchsorted(bins_hz, [low - 1e-6, high - 1e-6]).tolist()
            first = max(first, 1)
            if end <= first:
                raise ConfigError(
                    f"band_power.bands.{name}: no frequency lies from {low:g} up to {high:g} Hz; "
                    f"windows of {frames.window} steps at {frames.rate_hz:g} Hz have one every "
                    f"{bins_hz[1]:g} Hz: name a wider band or a longer window_s"
                )
            places.append(slice(first, end))
        return places

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Powers of the windows of every row."""
        frames, width = self.frames(context.form), chunk.steps.values.shape[1]
        spans, places = self.spans(chunk.steps.offsets, frames), self._places(frames)
        values = np.empty((len(spans), width, len(places)), dtype=np.float32)
        for first, power_BQF in frames.power(chunk.steps.values, spans):
            powers = self._powers(power_BQF, places) * frames.bins_hz[1]
            values[first : first + len(powers)] = self.scaled(powers)
        return self.merge(chunk, values.reshape(len(spans), width * len(places)), spans)

    def _powers(self, power_BQF: Floats, places: list[slice]) -> Floats:
        """Sums over the bins of each band, `(B, F, bands)`."""
        sums = np.stack([power_BQF[:, place].sum(axis=1) for place in places], axis=-1)
        if not self.relative:
            return sums
        whole = power_BQF[:, 1:].sum(axis=1)[..., None]
        return np.divide(sums, whole, out=np.zeros_like(sums), where=whole > 0)


def _edges(name: object, band: Any) -> Edges:
    pair = isinstance(band, list | tuple) and len(band) == 2
    numbers = pair and all(isinstance(e, int | float) and not isinstance(e, bool) for e in band)
    if not numbers or not 0 <= band[0] < band[1]:
        raise ConfigError(
            f"band_power.bands.{name} must be [low, high] in hertz with 0 <= low < high, got "
            f"{band!r}"
        )
    return float(band[0]), float(band[1])
