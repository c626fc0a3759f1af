"""Checks of single keys that a person wrote: names, patterns, limits, sizes in bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from seqprep.errors import ConfigError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What `dataset` and `recipe` must match, whole: they become folder names."""


def check_name(value: str, *, key: str) -> None:
    """Refuse a name that cannot safely be a folder's."""
    if not NAME.fullmatch(value):
        raise ConfigError(
            f"{key} must match [a-z0-9][a-z0-9_-]{{0,63}} (it names a folder), got {value!r}"
        )


def check_pattern(value: str | None, *, key: str) -> None:
    """Refuse what is not a regular expression."""
    if value is None:
        return
    try:
        re.compile(value)
    except re.error as error:
        raise ConfigError(f"{key} is not a regular expression: {value!r}: {error}") from error


def as_written(value: object) -> str:
    """The value of an option about as a person writes it: mappings without what is not set.

    >>> as_written({"from": "file", "pattern": None}), as_written("keep"), as_written(None)
    ("{from: 'file'}", "'keep'", 'null')
    """
    if isinstance(value, Mapping):
        parts = (f"{key}: {as_written(one)}" for key, one in value.items() if one is not None)
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(as_written(one) for one in value)}]"
    return "null" if value is None else repr(value)


def at_least(value: float, limit: float, *, key: str) -> None:
    """Refuse a number under its limit."""
    if value < limit:
        raise ConfigError(f"{key} must be >= {limit}, got {value}")


def bytes_at_least(value: str | int, limit: str, *, key: str) -> None:
    """Refuse a size under its limit, in the units that a person writes."""
    if parse_bytes(value, key=key) < parse_bytes(limit, key=key):
        raise ConfigError(f"{key} must be >= {limit}, got {value}")


def parse_bytes(value: str | int, *, key: str) -> int:
    """Bytes from a number or a text such as `512MB` (MB = 2**20 bytes here, as in GiB).

    >>> parse_bytes("1GB", key="memory")
    1073741824
    """
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", value, re.IGNORECASE)
    if match is None:
        raise ConfigError(f"{key} must be a size such as 512MB, got {value!r}")
    power = " KMGT".index(match[2].upper()) if match[2] else 0
    return int(float(match[1]) * 1024**power)
