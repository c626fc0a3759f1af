"""What the options of training are checked with. Standard library only."""

from __future__ import annotations

import math
from dataclasses import fields

from seqprep.checks import parse_bytes
from seqprep.errors import ConfigError


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


def size_bytes(value: str | int, *, key: str) -> int:
    """Bytes from a number or a text such as `512MB`, as in the preparation.

    >>> size_bytes("1GB", key="memory")
    1073741824
    """
    try:
        return parse_bytes(value, key=key)
    except ConfigError as error:
        raise JobError(str(error)) from error
