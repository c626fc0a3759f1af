"""The power spectrum of each window as features (P17): T steps become a few, with many channels.

Use it on signals at a known rate: an LSTM learns sooner from tens of spectra than from thousands of
samples. Not where the shape of single waves tells; where bands are known by name, `band_power` has
fewer features.

Source: Welch 1967, doi:10.1109/TAU.1967.1161901 (windows, tapers, density), by scipy.signal
Legend: B windows, F channels, Q bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.form import Form
from seqprep.preparation.transform import Context
from seqprep.ragged import Ints
from seqprep.spectra import Frames
from seqprep.transforms.signals import SpectralStep, check_number


@dataclass(frozen=True, kw_only=True, slots=True)
class Spectrum(SpectralStep):
    """One-sided power density of each window, named like `Fp1 12.5 Hz`, channel by channel.

    The bin at 0 Hz never stays: each window's mean is taken off.

    Args:
        window_s: seconds a window; bins are 1 / window_s apart.
        stride_s: from one window's start to the next's.
        min_hz: lowest frequency that stays.
        max_hz: highest frequency that stays; default all, to half the rate.
        log: natural logarithms of the density, 1e-20 at least.
        taper: hann, hamming, blackman or boxcar (none).
        targets: of the last step of a window, or their mean or majority.

    >>> form = Form(unit="value", channels=("Fp1",), rate_hz=100.0)
    >>> Spectrum(window_s=0.1, stride_s=0.05, max_hz=20).outcome(form).channels
    ('Fp1 10 Hz', 'Fp1 20 Hz')
    """

    name: ClassVar[str] = "spectrum"

    min_hz: float | None = None
    max_hz: float | None = None

    def __post_init__(self) -> None:
        self.check_window()
        for key in ("min_hz", "max_hz"):
            if getattr(self, key) is not None:
                check_number(self.name, key, getattr(self, key), above=0)

    def outcome(self, form: Form) -> Form:
        """A feature for each channel and bin, at the rate of windows.

        Raises:
            ConfigError: if the rate is not known, or no bin is left.
        """
        frames = self.frames(form)
        bins_hz = frames.bins_hz[self._kept(frames)].tolist()
        names = (f"{channel} {hz:.6g} Hz" for channel in form.channels for hz in bins_hz)
        return form.as_values(tuple(names), rate_hz=frames.rate_hz / frames.hop)

    def _kept(self, frames: Frames) -> Ints:
        """The bins that stay."""
        half, bins_hz = frames.rate_hz / 2, frames.bins_hz
        low, high = self.min_hz or 0.0, half if self.max_hz is None else self.max_hz
        if high > half:
            raise ConfigError(
                f"spectrum.max_hz must be <= {half:g} Hz, half of the rate of {frames.rate_hz:g} "
                f"Hz; got {high:g}"
            )
        # Edges as a person writes them: 40 Hz holds a bin at 40.000000001.
        kept = np.flatnonzero((bins_hz > 0) & (bins_hz >= low - 1e-6) & (bins_hz <= high + 1e-6))
        if not len(kept):
            raise ConfigError(
                f"spectrum: between {low:g} and {high:g} Hz there is no frequency; windows of "
                f"{frames.window} steps at {frames.rate_hz:g} Hz have one every {bins_hz[1]:g} Hz: "
                "move the edges, or name a longer window_s"
            )
        return kept

    def apply(self, chunk: Chunk, context: Context) -> Chunk:
        """Spectra of the windows of every row."""
        frames, width = self.frames(context.form), chunk.steps.values.shape[1]
        spans, kept = self.spans(chunk.steps.offsets, frames), self._kept(frames)
        values = np.empty((len(spans), width, len(kept)), dtype=np.float32)
        for first, power_BQF in frames.power(chunk.steps.values, spans):
            scaled = self.scaled(power_BQF[:, kept[0] : kept[-1] + 1])
            values[first : first + len(scaled)] = scaled.swapaxes(1, 2)
        return self.merge(chunk, values.reshape(len(spans), width * len(kept)), spans)
