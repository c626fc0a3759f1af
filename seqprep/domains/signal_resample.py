"""A signal at another sampling rate: by a rational factor, low-passed so that nothing aliases.

The filter is linear in phase and centred: step k of the result stands where step k * down / up of
the signal stood, and labels follow by the nearest step. Beyond its ends a signal is taken to go on
along the line through its first and its last value.
Use it where recordings of several rates must become one dataset (`source.mixed_rates: resample`);
not to mend gaps: steps are taken as evenly spaced.

Source: Crochiere & Rabiner 1983, Multirate Digital Signal Processing, ch. 2 and 3; the filter is
the Kaiser window of `scipy.signal.resample_poly`.
Legend: T steps, S steps of the result, C channels.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from seqprep.domains.signal_checks import Floats
from seqprep.domains.signal_layout import SignalError

LARGEST_TERM = 1000
"""Of the fraction by which a rate is changed: more would need a filter of millions of taps."""


def factor(own_hz: float, *, rate_hz: float) -> Fraction:
    """By what a signal's rate is multiplied, the nearest fraction with small terms.

    >>> factor(128.0001, rate_hz=256.0), factor(173.61, rate_hz=128.0)
    (Fraction(2, 1), Fraction(87, 118))

    Raises:
        SignalError: if the rates are too far apart.
    """
    ratio = rate_hz / own_hz
    if not 1 / LARGEST_TERM <= ratio <= LARGEST_TERM:
        detail = (
            f"{own_hz:.6g} Hz cannot be resampled to {rate_hz:.6g} Hz: the rates are more than "
            f"{LARGEST_TERM} times apart; leave the recording or channel out, or set source.rate_hz"
        )
        raise SignalError("wrong_rate", None, detail)
    if ratio > 1:
        return 1 / Fraction(1 / ratio).limit_denominator(LARGEST_TERM)
    return Fraction(ratio).limit_denominator(LARGEST_TERM)


def length_after(length: int, by: Fraction) -> int:
    """Steps of a signal of `length` steps when its rate is multiplied.

    >>> length_after(5, Fraction(1, 2)), length_after(5, Fraction(2))
    (3, 10)
    """
    return -(-length * by.numerator // by.denominator)


def resample(values_TC: Floats, by: Fraction) -> Floats:
    """The signal with its rate multiplied by a fraction, `(S, C)`."""
    # Only datasets with mixed rates pay for loading scipy's filters.
    from scipy.signal import resample_poly

    length = len(values_TC)
    if length < 2:
        return np.repeat(values_TC, length_after(length, by), axis=0)
    # The filter's gain differs by 0.05 % from step to step, which would turn a large offset
    # into a ripple. Without the line, a signal also begins and ends at 0, as the filter assumes.
    slope = (values_TC[-1] - values_TC[0]) / (length - 1)
    level = values_TC - (values_TC[0] + slope * np.arange(length)[:, None])
    level = resample_poly(level, by.numerator, by.denominator, axis=0, padtype="constant")
    places = np.arange(len(level)) * (by.denominator / by.numerator)
    return np.asarray(level + (values_TC[0] + slope * places[:, None]), np.float64)


def nearest(length: int, by: Fraction) -> npt.NDArray[np.int64]:
    """The step of a signal that stands nearest each step of the result, the earlier of two, `(S,)`.

    >>> nearest(4, Fraction(2)).tolist(), nearest(5, Fraction(1, 2)).tolist()
    ([0, 0, 1, 1, 2, 2, 3, 3], [0, 2, 4])
    """
    places = np.arange(length_after(length, by), dtype=np.int64) * by.denominator
    up = by.numerator
    return np.minimum((2 * places + up - 1) // (2 * up), length - 1)


def along_line(values_TC: Floats, by: Fraction) -> Floats:
    """Values at the steps of the result, on straight lines between steps, `(S, C)`."""
    steps = np.arange(len(values_TC))
    places = np.arange(length_after(len(values_TC), by)) * (by.denominator / by.numerator)
    return np.column_stack([np.interp(places, steps, column) for column in values_TC.T])
