"""What the options of training are checked with. Standard library only."""

from __future__ import annotations

import math
import re
from dataclasses import fields


class JobError(ValueError):
    """A key or value of a training job is wrong; the message says which and what to do."""


def not_built(what: str) -> JobError:
    """The error for a key of the contract that this version does not do yet."""
    return JobError(f"{what} is not built yet; remove it or choose another")


def check(ok: bool, key: str, rule: str, value: object) -> None:
    """Refuse the value of a key that breaks a rule."""
    if not ok:
        raise JobError(f"train.{key} must be {rule}, got {value!r}")


def check_finite(options: object, prefix: str = "") -> None:
    """Refuse infinities and what is not a number in every float of a dataclass."""
    for item in fields(options):  # type: ignore[arg-type]
        value = getattr(options, item.name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float):
                check(math.isfinite(number), prefix + item.name, "a finite number", value)


def parse_bytes(value: str | int, *, key: str) -> int:
    """Bytes from a number or a text such as `512MB` (MB = 2**20 bytes).

    >>> parse_bytes("1GB", key="memory")
    1073741824
    """
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", value, re.IGNORECASE)
    if match is None:
        raise JobError(f"{key} must be a size such as 512MB, got {value!r}")
    return int(float(match[1]) * 1024 ** (" KMGT".index(match[2].upper()) if match[2] else 0))
