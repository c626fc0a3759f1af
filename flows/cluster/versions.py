"""The same packages everywhere: other ones would give other tables, or errors that tell nothing."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from flows.cluster import probe
from seqprep.errors import ConfigError

Versions = Mapping[str, str | None]
"""By package; None for one that is missing."""


@cache
def versions() -> Versions:
    """Of this process."""
    return probe.versions_here()


def check_versions(who: str, found: Versions, wanted: Versions) -> None:
    """Refuse a process with other packages.

    Args:
        who: the process, for a message.
        found: what it has.
        wanted: what it must have.

    Raises:
        ConfigError: naming what differs.
    """
    other = [
        f"{name} {found.get(name) or 'missing'} instead of {version}"
        for name, version in wanted.items()
        if found.get(name) != version
    ]
    if other:
        raise ConfigError(f"{who} has {', '.join(other)}; install the same versions there")
