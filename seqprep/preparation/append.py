"""What changed since the version before: records to add, and records whose rows must go.

Everything that decides a record's rows is in one number, so that two versions compare without
reading content. Shards that lose no row stay as they are.

Legend: R records of the new version, O of the old one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.duplicates import hash_parts
from seqprep.errors import CorruptError
from seqprep.preparation.record_columns import Stored, write_columns
from seqprep.preparation.roster import Roster
from seqprep.preparation.totals import Totals
from seqprep.ragged import Ints
from seqprep.splits import LEFT_OUT
from seqprep.state import StateDir
from seqprep.table import CommitInfo, Table

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Previous:
    """The version that an append builds upon.

    Args:
        version: of the examples table.
        stored: columns of its records: `identity`, `final` (split), `steps`, `emptied`.
        totals: its numbers.
        info: of its commit.
    """

    version: int
    stored: Stored
    totals: Totals
    info: CommitInfo

    def column(self, name: str) -> npt.NDArray[Any]:
        """A kept number of each record, `(O,)`."""
        return self.stored.column(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """How the records of a version differ from those of the one before.

    Args:
        added: `(R,)` records whose rows must be made. removed: `(O,)` whose rows must go.
        steps: `(R,)` of the others before any technique. emptied: `(R,)` of them that were left
            without steps.
    """

    added: Bools
    removed: Bools
    steps: npt.NDArray[np.int32]
    emptied: Bools


def compare(roster: Roster, previous: Previous) -> Change:
    """Compare the records of a version with those that the version before held."""
    now, then = roster.identities(), previous.column("identity")
    here, there = roster.splits != LEFT_OUT, previous.column("final") != LEFT_OUT
    then_steps, then_emptied = previous.column("steps"), previous.column("emptied")
    steps = np.zeros(len(now), dtype=np.int32)
    emptied, found = (np.zeros(len(now), dtype=bool) for _ in range(2))
    gone = there.copy()
    for new, old in hash_parts(now, then):
        new, old = new[here[new]], old[there[old]]
        old = old[np.argsort(then[old], kind="stable")]
        place = np.searchsorted(then[old], now[new])
        same = among(now[new], then[old], place)
        rows, place = new[same], old[place[same]]
        found[rows], steps[rows], emptied[rows] = True, then_steps[place], then_emptied[place]
        gone[old] = ~among(then[old], np.sort(now[rows]))
    return Change(added=here & ~found, removed=gone, steps=steps, emptied=emptied)


def among(
    numbers: npt.NDArray[np.generic], known: npt.NDArray[np.generic], place: Ints | None = None
) -> Bools:
    """Whether each number is among sorted ones; `place` is where `searchsorted` puts it."""
    if place is None:
        place = np.searchsorted(known, numbers)
    found = place < len(known)
    found[found] = known[place[found]] == numbers[found]
    return found


def keep_columns(
    roster: Roster, steps: npt.NDArray[np.int32], emptied: Bools, *, state: StateDir
) -> str:
    """Keep what the next run needs to know of every record; the name of the state file."""

    def tables() -> Iterator[pa.Table]:
        for number, table in enumerate(roster.records.parts()):
            rows = roster.rows(number)
            more = {
                "identity": roster.identity(number, table),
                "final": roster.splits[rows],
                "steps": steps[rows],
                "emptied": emptied[rows],
            }
            for name, column in more.items():
                table = table.append_column(name, pa.array(column))
            yield table

    return write_columns(state, tables(), roster.chunks, roster.records.starts)


def read_previous(examples: Table, version: int) -> Previous | None:
    """What a version kept for an append; None where it kept nothing, or something is lost."""
    info = examples.info(version)
    try:
        if not {"records", "totals"} <= info.state.keys() or not examples.is_whole(version):
            return None
        return Previous(
            version=version,
            stored=Stored.of(examples.state, info.state["records"]),
            totals=Totals.from_bytes(examples.state.get(info.state["totals"])),
            info=info,
        )
    except CorruptError:
        return None
