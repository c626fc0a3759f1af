"""The ladder: at which lengths a study trains."""

from __future__ import annotations

from collections.abc import Sequence

from seqprep.errors import ConfigError

FIRST, FACTOR = 8, 2
APART = 1.5
"""A rung nearer to the longest record than this factor would be nearly the same length."""


def ladder(longest: int, *, named: Sequence[int] = ()) -> list[int]:
    """Lengths in steps, rising; the last one is that of whole records unless others are named.

    Args:
        longest: the longest record, in steps.
        named: by a person; (): a geometric ladder.

    Raises:
        ConfigError: for a length beyond the longest record, or records too short for a ladder.

    >>> ladder(100)
    [8, 16, 32, 64, 100]
    """
    if named:
        beyond = [rung for rung in named if rung > longest]
        if beyond:
            raise ConfigError(
                f"--rungs: {beyond[0]} steps are more than the longest record has ({longest}), so "
                f"nothing would be cut; leave it out, or name {longest} for whole records"
            )
        return sorted(named)
    rungs, rung = [], FIRST
    while rung * APART <= longest:
        rungs.append(rung)
        rung *= FACTOR
    if not rungs:
        raise ConfigError(
            f"the longest record has {longest} steps, too few for a ladder from {FIRST} steps on; "
            f"name lengths with --rungs, e.g. {max(1, longest // 2)},{longest}"
        )
    return [*rungs, longest]
