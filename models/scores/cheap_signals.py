"""Cheap estimators of a class from signals: a logistic regression on numbers of each channel.

Use them on values. Band power tells rhythms apart and takes no part in when they come; where steps
are no samples, as frames of a spectrum, each channel's mean and deviation say as much.

Source: Bartlett 1948, doi:10.1038/161686a0 (mean of the spectra of parts)
Legend: R rows, F channels, B parts of rows, T steps of a part, Q frequencies, P features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from models.answers.outputs import Array
from models.scores.cheap import moments
from models.scores.kept_rows import KeptRows, Rows
from models.scores.logistic import Floats, Logistic
from seqprep.examples import Examples
from seqprep.ragged import Ints, Ragged, ranges
from seqprep.snapshot import Facts

BANDS_AN_OCTAVE = 3
_SIGNALS = ("eeg", "prices")
_SPECTRAL = ("spectrum", "band_power")
"""Steps of a recipe after which each channel is a band, mostly on a logarithmic scale."""
_NO_SAMPLES = ("one_hot", "hash", "project")
"""Those after which channels have no frequencies."""
_FLOOR = 1e-20
"""Power below it counts as this much: that of a flat channel is none at all."""
_BLOCK_CELLS = 2**20
_LEAST_PART, _PART, _MOST_PART = 64, 256, 4096
"""Steps whose spectrum is taken at once: at the lowest rates, at unknown ones, at the highest."""


class RowRegression:
    """Logistic regression on numbers that are measured on each row.

    Args:
        classes: how many.
        measure: `(R, P)` numbers of R rows of values, each row's own.
    """

    def __init__(self, classes: int, measure: Callable[[Ragged], Floats]) -> None:
        self.classes, self.measure = classes, measure
        self.kept = KeptRows()
        self._model: Logistic | None = None

    def add(self, examples: Examples) -> None:
        """Keep the numbers of training rows."""
        assert examples.labels is not None
        self._model = None
        self.kept.add(Rows(labels=examples.labels, numbers=self.measure(examples.inputs)))

    def answers(self, examples: Examples) -> Array:
        """Chances of the classes."""
        if self._model is None:
            rows = self.kept.rows()
            self._model = Logistic.fit(rows.numbers, rows.labels, classes=self.classes)
        return self._model.answers(self.measure(examples.inputs))


def signal_regression(
    facts: Facts, pipeline: Mapping[str, Any] | None
) -> tuple[str, RowRegression]:
    """The name and the estimator that fit what the steps of rows are.

    Args:
        facts: of the data.
        pipeline: as a person wrote it; without one, the steps of a signal are its samples.
    """
    recipe = (pipeline or {}).get("prepare") or {}
    steps = {name for step in recipe.get("steps") or () for name in step}
    signal = facts.domain in _SIGNALS
    if signal and not steps & {*_SPECTRAL, *_NO_SAMPLES}:
        powers = partial(band_powers, part=part_steps(facts.rate_hz))
        return "band_power", RowRegression(len(facts.labels), powers)
    name = "band_power" if signal and steps & {*_SPECTRAL} else "channel_means"
    return name, RowRegression(len(facts.labels), channel_moments)


def channel_moments(inputs: Ragged) -> Floats:
    """The mean and the logarithm of the standard deviation of each channel, `(R, 2 F)`."""
    mean, variance = moments(inputs)
    return np.hstack([mean, np.log(variance + _FLOOR) / 2])


def part_steps(rate_hz: float | None) -> int:
    """Steps of a part: a power of two that lasts a second or somewhat longer.

    >>> part_steps(173.61), part_steps(10.0), part_steps(None)
    (256, 64, 256)
    """
    if rate_hz is None:
        return _PART
    longest = 2 ** int(np.ceil(np.log2(max(rate_hz, 1.0))))
    return int(np.clip(longest, _LEAST_PART, _MOST_PART))


def band_powers(inputs: Ragged, *, part: int) -> Floats:
    """The logarithm of each channel's power in each third of an octave, `(R, bands x F)`.

    Rows are cut into parts; their spectra, tapered and without their means, are averaged. A part
    that is shorter is filled with zeros, so that rows of all lengths have the same bands.

    Args:
        inputs: values `(steps, F)`.
        part: T, a power of two.
    """
    width = inputs.values.shape[1]
    edges = _band_edges(part)
    counts = -(-inputs.lengths // part)
    row = np.repeat(np.arange(len(inputs)), counts)
    starts = inputs.offsets[row] + part * ranges(np.zeros_like(counts), counts)
    sizes = np.minimum(inputs.offsets[row + 1] - starts, part)
    power = np.zeros((len(inputs), len(edges), width))
    weight = np.zeros(len(inputs))
    for block in _blocks(len(row), part * width):
        parts_BTF, taper_BT = _tapered(inputs.values, starts[block], sizes[block], part)
        power_BQF = np.abs(np.fft.rfft(parts_BTF, axis=1)) ** 2
        np.add.at(power, row[block], np.add.reduceat(power_BQF, edges, axis=1))
        np.add.at(weight, row[block], (taper_BT**2).sum(1))
    mean = power / (part * np.maximum(weight, _FLOOR)[:, None, None])
    logs: Floats = np.log(mean + _FLOOR).reshape(len(inputs), -1)
    return logs


def _band_edges(part: int) -> Ints:
    """The first frequency of each band, in cycles a part; 0 belongs to none.

    >>> _band_edges(64).tolist()
    [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25]
    """
    bands = np.arange(BANDS_AN_OCTAVE * (int(np.log2(part)) - 1))
    return np.unique(np.round(2.0 ** (bands / BANDS_AN_OCTAVE)).astype(np.int64))


def _tapered(
    values: npt.NDArray[Any], starts: Ints, sizes: Ints, part: int
) -> tuple[Floats, Floats]:
    """Parts `(B, T, F)` without their means under a sine squared, and that taper, `(B, T)`."""
    place = np.arange(part)
    inside = place < sizes[:, None]
    index = starts[:, None] + np.minimum(place, sizes[:, None] - 1)
    parts_BTF = values[index].astype(np.float64)
    parts_BTF *= inside[:, :, None]
    parts_BTF -= parts_BTF.sum(1, keepdims=True) / sizes[:, None, None]
    taper_BT = np.where(inside, np.sin(np.pi * (place + 0.5) / sizes[:, None]) ** 2, 0)
    return parts_BTF * taper_BT[:, :, None], taper_BT


def _blocks(count: int, cells: int) -> Iterator[slice]:
    """Slices of so many parts of `cells` values that a block fits a core's cache."""
    many = max(_BLOCK_CELLS // cells, 1)
    for first in range(0, count, many):
        yield slice(first, min(first + many, count))
