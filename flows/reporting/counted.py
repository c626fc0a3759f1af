"""Numbers of things, in words."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "file"), counted(2000, "row")
    ('1 file', '2,000 rows')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
