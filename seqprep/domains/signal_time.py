"""Which column of a signal's table is its time, told by its name, and the unit that it counts in.

A bare `t` may as well be a temperature: it is time where it stands first and rises evenly.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from seqprep.domains.signal_layout import Layout, is_number, split_line

_TIME_NAMES = frozenset({"time", "times", "timestamp", "timestamps"})
_UNITS = {
    1: ("s", "sec", "secs", "second", "seconds"),
    1_000: ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    # The micro sign and the Greek letter look alike.
    1_000_000: ("us", "\u00b5s", "\u03bcs", "usec", "usecs", "microsecond", "microseconds"),
    1_000_000_000: ("ns", "nsec", "nsecs", "nanosecond", "nanoseconds"),
}
_PER_SECOND = {unit: per_second for per_second, units in _UNITS.items() for unit in units}
_ANY_UNIT = "|".join(_PER_SECOND)
_UNIT_BEHIND = re.compile(
    rf"[\s_]*[\[(]\s*({_ANY_UNIT})\s*[\])]$|(?:[\s_]+in)?[\s_]+({_ANY_UNIT})$"
)
_SHORT = 2
"""Units of so many letters are names of time only behind `time` or `t`: `ms` may be a channel."""
_TOLD_BY_ROWS = 20
"""Fewer than `signal_layout.SNIFFED_LINES`, which are there wherever a file's beginning is."""
_EVEN = 1.5
"""No even step is longer than so many median ones: as `signal_checks.GAP`."""


class TimeColumn(NamedTuple):
    """Where the time stands, and how many of its units make a second."""

    place: int
    per_second: int


def split_unit(name: str) -> tuple[str, int | None]:
    """A column's name in small letters without its unit, and how many of these make a second.

    >>> split_unit("Time [ms]"), split_unit("t_us"), split_unit("T7")
    (('time', 1000), ('t', 1000000), ('t7', None))
    """
    plain = name.strip().lower()
    found = _UNIT_BEHIND.search(plain)
    if found is None:
        return plain, None
    return plain[: found.start()], _PER_SECOND[found[1] or found[2]]


def per_second(name: str) -> int | None:
    """How many units of a column of time make a second; None for a name of something else.

    >>> [per_second(name) for name in ("Time stamp", "t (s)", "milliseconds", "t", "Time (min)")]
    [1, 1, 1000, None, None]
    """
    base, unit = split_unit(name)
    if unit is None and len(base) > _SHORT and base in _PER_SECOND:
        return _PER_SECOND[base]
    if re.sub(r"[\s_]+", "", base) in _TIME_NAMES or (base == "t" and unit is not None):
        return unit or 1
    return None


def named_time(layout: Layout, place: int) -> TimeColumn:
    """A column that was said to be the time: in seconds, unless its name has another unit."""
    name = layout.names[place] if layout.names else ""
    return TimeColumn(place, split_unit(name)[1] or 1)


def find_time(layout: Layout, *, others: Collection[str | int] = ()) -> TimeColumn | None:
    """The first column whose name says that it is the time.

    Args:
        layout: how the table is written.
        others: names and positions of columns that are something else.
    """
    for place, name in enumerate(layout.names or ()):
        unit = per_second(name)
        if unit is not None and name not in others and place not in others:
            return TimeColumn(place, unit)
    return None


def rises_evenly(layout: Layout) -> bool:
    """Whether the first column's first numbers rise without a gap; False for under three rows."""
    end = layout.start
    for _ in range(_TOLD_BY_ROWS):
        end = layout.text.find(b"\n", end, layout.stop) + 1 or layout.stop
    lines = layout.text[layout.start : end].decode().split("\n")
    cells = [cells[0] for line in lines if (cells := split_line(line, layout.separator))]
    if len(cells) <= 2 or not all(map(is_number, cells)):
        return False
    times = [float(cell.replace(",", ".")) for cell in cells]
    steps = [after - before for before, after in pairwise(times)]
    return min(steps) > 0 and max(steps) <= _EVEN * median(steps)
