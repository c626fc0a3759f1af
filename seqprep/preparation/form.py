"""What the steps of a row are at a point of a chain: which unit, which channels, at what rate.

A technique says what it makes of a form before any data is read, so that an impossible chain is
refused early, and what the stored values are called follows from the chain alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Unit = Literal["word", "character", "kmer", "bpe", "symbol", "value"]
TOKEN_UNITS: tuple[Unit, ...] = ("word", "character", "kmer", "bpe", "symbol")
ALL_UNITS: tuple[Unit, ...] = (*TOKEN_UNITS, "value")


def source_form(unit: Unit | None, *, channels: tuple[str, ...], rate_hz: float | None) -> Form:
    """The form of the records before any technique; symbols are made of values by the first one."""
    if unit in ("value", "symbol"):
        return Form(unit="value", channels=channels, rate_hz=rate_hz)
    assert unit is not None
    return Form(unit=unit)


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The steps of a row.

    Args:
        unit: what a step is; `value` stands for numbers, one for each channel.
        channels: names of the values; () for tokens.
        rate_hz: steps a second; None where steps are not equally spaced in time, or the rate is
            not known.
        vocabulary: strings of the token ids from 2 on; None until it is fitted.
    """

    unit: Unit
    channels: tuple[str, ...] = ()
    rate_hz: float | None = None
    vocabulary: tuple[str, ...] | None = None

    @property
    def width(self) -> int | None:
        """Channels of values; None for tokens."""
        return max(len(self.channels), 1) if self.unit == "value" else None

    def as_values(self, channels: tuple[str, ...], *, rate_hz: float | None = None) -> Form:
        """Values of these channels instead."""
        return replace(self, unit="value", channels=channels, rate_hz=rate_hz)
