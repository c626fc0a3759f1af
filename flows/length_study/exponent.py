"""The exponent of time in length: how an update's seconds grow with the steps of its rows.

By least squares on logarithms: seconds = fixed + factor x T ** value. What an update costs whatever
its length (the optimiser, Python) is fitted beside it, else short records would hold the exponent
down; of fewer than FIXED_FROM lengths, or where it comes out as nothing, it is 0, and the fit is a
line through the logarithms. An LSTM's work is linear in T: about 1. The standard error is that of
least squares at the solution. Source: Seber & Wild 2003, "Nonlinear Regression", section 2.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

Floats = npt.NDArray[np.float64]
FIXED_FROM = 5
"""Lengths from which a fixed cost can be told from the exponent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exponent:
    """seconds = fixed + factor x T ** value.

    Args:
        value: the exponent. standard_error: of it; None of as many points as there are numbers.
        fixed: seconds of an update whatever its length. factor: seconds of one step, beyond it.
        points: that it was fitted to.
    """

    value: float
    standard_error: float | None
    fixed: float
    factor: float
    points: int

    def seconds(self, steps: float) -> float:
        """What the fit says of a length."""
        return float(self.fixed + self.factor * steps**self.value)


def fit(points: Sequence[tuple[float, float]]) -> Exponent | None:
    """The exponent; None of fewer than two different lengths.

    Args:
        points: steps of a row and seconds of an update, at equal rows.

    >>> fit([(10, 0.2), (100, 2.0), (1000, 20.0)]).value.__round__(6)
    1.0
    """
    if not points:
        return None
    steps, seconds = (np.asarray(column, np.float64) for column in zip(*points, strict=True))
    if np.ptp(np.log(steps)) < 1e-4:
        return None
    line = _line(steps, seconds)
    return (_beside_fixed(steps, seconds, line) if len(points) >= FIXED_FROM else None) or line


def _line(steps: Floats, seconds: Floats) -> Exponent:
    x, y = np.log(steps), np.log(seconds)
    design = np.stack([np.ones_like(x), x], axis=1)
    (start, value), *_ = np.linalg.lstsq(design, y, rcond=None)
    return Exponent(
        value=float(value),
        standard_error=_error(design, y - design @ (start, value)),
        fixed=0.0,
        factor=math.exp(start),
        points=len(steps),
    )


def _beside_fixed(steps: Floats, seconds: Floats, line: Exponent) -> Exponent | None:
    """With a fixed cost; None where there is none to speak of."""
    scale = float(seconds.min())

    def left(numbers: Floats) -> Floats:
        fixed, start, value = numbers
        found: Floats = np.log(fixed * scale + np.exp(start + value * np.log(steps)))
        return found - np.log(seconds)

    start = (0.5, math.log(line.factor), min(4.0, max(0.0, line.value)))
    solved = least_squares(left, start, bounds=([0, -np.inf, 0], [1, np.inf, 4]), xtol=1e-12)
    fixed, log_factor, value = solved.x
    if not 1e-3 < fixed < 1 - 1e-3:
        return None
    return Exponent(
        value=float(value),
        standard_error=_error(solved.jac, solved.fun),
        fixed=float(fixed * scale),
        factor=math.exp(log_factor),
        points=len(steps),
    )


def _error(design: Floats, residuals: Floats) -> float | None:
    """The standard error of the last number."""
    free = len(residuals) - design.shape[1]
    if free < 1:
        return None
    spread = np.linalg.pinv(design.T @ design)[-1, -1]
    return math.sqrt(float(residuals @ residuals) / free * float(spread))
