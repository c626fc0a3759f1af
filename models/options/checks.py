"""What the options of training are checked with. Standard library only."""

from __future__ import annotations

import math
from dataclasses import fields

from seqprep.checks import parse_bytes
from seqprep.errors import ConfigError


class JobError(ValueError):
    """A key or value of a training job is wrong; the message says which and what to do."""


def check(ok: bool, key: str, rule: str, value: object) -> None:
    """Refuse the value of a key that breaks a rule."""
    if not ok:
        raise JobError(f"train.{key} must be {rule}, got {value!r}")


MOST = 2**31
"""Bound of every count: steps are 32-bit numbers, so a larger one means nothing."""
MOST_ENTRIES = 2**12
"""Of a list among the options: layers of the head, convolutions."""


def check_numbers(options: object, prefix: str = "") -> None:
    """Refuse what no computation could follow in a dataclass: infinities, counts beyond all data.

    A seed and a number of bytes may be larger than a count.
    """
    for item in fields(options):  # type: ignore[arg-type]
        key, value = prefix + item.name, getattr(options, item.name)
        if isinstance(value, tuple):
            check(len(value) <= MOST_ENTRIES, key, f"at most {MOST_ENTRIES:,} entries", len(value))
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float):
                check(math.isfinite(number), key, "a finite number", value)
            elif isinstance(number, int) and item.name == "seed":
                check(-(2**63) <= number < 2**63, key, "a number of 64 bits", value)
            elif isinstance(number, int) and item.name != "memory":
                check(abs(number) < MOST, key, "below 2**31", value)


def size_bytes(value: str | int, *, key: str) -> int:
    """Bytes from a number or a text such as `512MB`, as in the preparation.

    >>> size_bytes("1GB", key="memory")
    1073741824
    """
    try:
        return parse_bytes(value, key=key)
    except ConfigError as error:
        raise JobError(str(error)) from error
