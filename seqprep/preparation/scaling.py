"""Mean and deviation of each channel, fitted on training rows, and how values are scaled.

Per channel over the dataset by default: scaling each record by itself destroys amplitude, which in
EEG is information. Statistics are float64 and merged in chunk order, so they are the same bits for
any number of workers.

Source: Chan, Golub & LeVeque 1979, the parallel update of mean and sum of squares.
Legend: N steps, F channels, R rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqprep.ragged import Ragged

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]


BLOCK_STEPS = 2048
"""Steps that are added up at once, few enough for a core's own cache."""
BLOCK_VALUES = 2**14
"""Values that are scaled at once, likewise."""


def _sum(
    values: npt.NDArray[np.generic],
    chosen: Marks | None,
    change: Callable[[npt.NDArray[np.generic], Floats], None],
) -> Floats:
    """The sum of changed steps `(N, F)` that are chosen, added one after the other, `(F,)`.

    NumPy adds the rows of several channels in order, so a sum so far can stand for the rows before;
    a single channel it adds in pairs, and takes at once.
    """
    width = values.shape[1]
    block_steps = BLOCK_STEPS if width > 1 else len(values)
    scratch = np.empty((block_steps + 1, width))
    total: Floats | None = None
    for start in range(0, len(values), block_steps):
        block = values[start : start + block_steps]
        if chosen is not None:
            some = chosen[start : start + block_steps]
            if not some.any():
                continue
            block = block if some.all() else block[some]
        change(block, scratch[1 : len(block) + 1])
        first = 1
        if total is not None:
            scratch[0], first = total, 0
        total = np.add.reduce(scratch[first : len(block) + 1], axis=0)
    assert total is not None
    return total


@dataclass(frozen=True, kw_only=True, slots=True)
class Moments:
    """Count, mean and sum of squared deviations of each channel.

    Args:
        count: steps. mean: `(F,)`. squares: `(F,)`, about the mean.
    """

    count: int
    mean: Floats
    squares: Floats

    @classmethod
    def of(cls, values: npt.NDArray[np.generic], chosen: Marks | None = None) -> Moments:
        """Moments of steps, the same bits for any size of block and as if others were not there.

        Args:
            values: `(N, F)`.
            chosen: `(N,)` which steps count; default all.
        """
        width = values.shape[1]
        count = len(values) if chosen is None else int(np.count_nonzero(chosen))
        if not count:
            return cls(count=0, mean=np.zeros(width), squares=np.zeros(width))
        mean = _sum(values, chosen, lambda block, out: np.copyto(out, block)) / count

        def square(block: npt.NDArray[np.generic], out: Floats) -> None:
            np.subtract(block, mean, out=out)
            np.multiply(out, out, out=out)

        return cls(count=count, mean=mean, squares=_sum(values, chosen, square))

    def merge(self, other: Moments) -> Moments:
        """Moments of both sets of steps together."""
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        delta = other.mean - self.mean
        return Moments(
            count=count,
            mean=self.mean + delta * (other.count / count),
            squares=self.squares + other.squares + delta**2 * (self.count * other.count / count),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaler:
    """Subtracts a mean and divides by a deviation, per channel.

    Args:
        mean: of each channel. std: of each channel; 1 where a channel never changes.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, moments: Moments) -> Scaler:
        """The scaler that gives mean 0 and deviation 1 on the steps that were counted."""
        std = np.sqrt(moments.squares / max(moments.count, 1))
        std = np.where(std > 0, std, 1.0)
        return cls(mean=tuple(moments.mean.tolist()), std=tuple(std.tolist()))

    def apply(self, rows: Ragged, *, overwrite: bool = False) -> Ragged:
        """Scaled values `(N, F)`, float32.

        Args:
            rows: values `(N, F)`.
            overwrite: whether they may take the place of `rows`: fresh memory costs more than the
                arithmetic.
        """
        # As long as a block: NumPy would go through rows of a few channels one by one.
        steps = max(BLOCK_VALUES // len(self.mean), 1)
        mean, std = np.tile(self.mean, steps), np.tile(self.std, steps)
        fits = overwrite and rows.values.flags.carray and rows.values.dtype == np.float32
        scaled = rows.values if fits else np.empty(rows.values.shape, np.float32)
        values, flat = rows.values.reshape(-1), scaled.reshape(-1)
        scratch = np.empty(len(mean))
        for start in range(0, len(flat), len(mean)):
            wide = scratch[: len(flat) - start]
            wide[:] = values[start : start + len(wide)]
            np.subtract(wide, mean[: len(wide)], out=wide)
            np.divide(wide, std[: len(wide)], out=wide)
            flat[start : start + len(wide)] = wide
        return Ragged(scaled, rows.offsets)


def scale_records(rows: Ragged) -> Ragged:
    """Each row and channel by its own mean and deviation, float32.

    >>> rows = Ragged(np.array([[1.0], [3.0], [5.0]]), np.array([0, 2, 3]))
    >>> scale_records(rows).values.ravel().tolist()
    [-1.0, 1.0, 0.0]
    """
    lengths = rows.lengths
    some = lengths > 0
    counts = lengths[some, None].astype(np.float64)
    if not some.any():
        return Ragged(rows.values.astype(np.float32), rows.offsets)
    wide = rows.values.astype(np.float64)
    starts = rows.offsets[:-1][some]
    mean = np.add.reduceat(wide, starts, axis=0) / counts
    centred = wide - np.repeat(mean, lengths[some], axis=0)
    std = np.sqrt(np.add.reduceat(centred**2, starts, axis=0) / counts)
    std = np.repeat(np.where(std > 0, std, 1.0), lengths[some], axis=0)
    return Ragged((centred / std).astype(np.float32), rows.offsets)
