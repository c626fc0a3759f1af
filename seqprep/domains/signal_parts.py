"""What one recording holds once its table is read: channels side by side, times, targets, cells.

Channels that share their steps are one part. A wide table has one; a long table has as many as it
has sampling rates.

Legend: T steps, C channels, G targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from seqprep.domains.signal_checks import Floats, median_rate_hz
from seqprep.domains.signal_layout import SignalError


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Channels that share their steps.

    Args:
        values: `(T, C)` float64, NaN where a value is missing.
        times: `(T,)` seconds, if they are known.
        places: where the channels stand among the recording's.
    """

    values: Floats
    times: Floats | None
    places: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One file's content.

    Args:
        parts: of all channels, the fastest first.
        targets: `(T, G)` per-step numbers of the first part, if asked for.
        classes: `(T,)` per-step names of the first part, if asked for.
        cells: the constant text of the label and group columns; kept: of the columns to keep.
        channels: names. timed: whether times are seconds; else they count samples.
        first_line: the file's line of step 0; header_line: of the columns' names.
    """

    parts: tuple[Part, ...]
    targets: Floats | None
    classes: pl.Series | None
    cells: dict[str, str]
    kept: dict[str, str]
    channels: tuple[str, ...]
    timed: bool = True
    first_line: int
    header_line: int

    @property
    def rate_hz(self) -> float | None:
        """Steps a second of most of its channels, the fastest of equally many; None if unknown."""
        widest = max(self.parts, key=lambda part: len(part.places))
        return None if widest.times is None else median_rate_hz(widest.times)


def constant_cell(column: pl.Series, key: str) -> str:
    """The one text of a column that must not change within a recording.

    Raises:
        SignalError: if it does.
    """
    if column.n_unique() != 1:
        reason = "no_group" if key == "group" else "no_label"
        raise SignalError(
            reason, None, f"the column of {key} holds {column.n_unique()} values in one recording"
        )
    return str(column[0])


def name_rates(rates: Sequence[tuple[float | None, Sequence[str]]]) -> str:
    """Rates and who has them, for a person.

    >>> name_rates([(256.0, ["Fz", "Cz"]), (64.0, ["x"])])
    '256 Hz (Fz, Cz), 64 Hz (x)'
    """
    return ", ".join(
        f"{'no rate' if rate is None else f'{rate:.6g} Hz'} ({', '.join(names[:8])})"
        for rate, names in rates
    )
