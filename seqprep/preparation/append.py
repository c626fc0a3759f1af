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
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.job import Job
from seqprep.preparation.record_columns import Stored, write_columns
from seqprep.preparation.roster import Roster
from seqprep.preparation.rows import units
from seqprep.preparation.spill import list_rows
from seqprep.preparation.totals import Totals, count_chunk, merge_totals
from seqprep.ragged import Ints, Keys
from seqprep.schema import SPLITS
from seqprep.splits import LEFT_OUT
from seqprep.staging import StagedFile, StagedWriter
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
        same = _among(now[new], then[old], place)
        rows, place = new[same], old[place[same]]
        found[rows], steps[rows], emptied[rows] = True, then_steps[place], then_emptied[place]
        gone[old] = ~_among(then[old], np.sort(now[rows]))
    return Change(added=here & ~found, removed=gone, steps=steps, emptied=emptied)


def _among(
    numbers: npt.NDArray[np.generic], known: npt.NDArray[np.generic], place: Ints | None = None
) -> Bools:
    """Whether each number is among sorted ones; `place` is where `searchsorted` puts it."""
    if place is None:
        place = np.searchsorted(known, numbers)
    found = place < len(known)
    found[found] = known[place[found]] == numbers[found]
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Removal:
    """What taking rows out of a table's shards did.

    Args:
        replaced: shards that lost rows. files: what takes their place.
        totals: numbers of the rows that went.
    """

    replaced: tuple[str, ...]
    files: tuple[StagedFile, ...]
    totals: Totals


def remove_rows(job: Job, examples: Table, previous: Previous, removed: Bools) -> Removal:
    """Write the shards that hold rows of some records again, without them.

    Args:
        job: what is prepared.
        examples: the table.
        previous: its version.
        removed: `(O,)` the records.

    Raises:
        CorruptError: naming a shard that is read and is not what was committed.
    """
    keys, final = np.zeros(0, np.uint64), np.zeros(0, np.int8)
    if removed.any():
        keys, final = previous.column("key")[removed], previous.column("final")[removed]
    replaced: list[str] = []
    files: list[StagedFile] = []
    gone: list[tuple[int, pa.Table]] = []
    for file in examples.files(previous.version) if len(keys) else ():
        code = SPLITS.index(file.partition["split"])
        lost = _without(examples, file, keys[final == code])
        if lost is not None:
            replaced.append(file.path)
            gone.append((code, lost[0]))
            files += lost[1]
    return Removal(
        replaced=tuple(replaced), files=tuple(files), totals=_count(job, _by_split(gone))
    )


def _without(
    examples: Table, file: StagedFile, keys: Keys
) -> tuple[pa.Table, list[StagedFile]] | None:
    """The rows of some records in a shard, and the shard without them; None if it holds none."""
    groups = range(examples.group_count(file, verify=False))
    held = [examples.read_group(file, group, ["key"])["key"].to_numpy() for group in groups]
    marked = [np.isin(part.view(np.uint64), keys) for part in held]
    if not any(part.any() for part in marked):
        return None
    examples.check(file)
    lost: list[pa.Table] = []
    tables = [examples.read_group(file, group) for group in groups]
    lost = [table.filter(pa.array(mark)) for table, mark in zip(tables, marked, strict=True)]
    if all(part.all() for part in marked):
        return pa.concat_tables(lost), []
    name = file.path.rsplit("/", 1)[-1].rsplit("-", 1)[0]
    with StagedWriter(examples.path, name, tables[0].schema, partition=file.partition) as writer:
        for table, mark in zip(tables, marked, strict=True):
            writer.write(table.filter(pa.array(~mark)))
    return pa.concat_tables(lost), [writer.staged]


def _by_split(parts: list[tuple[int, pa.Table]]) -> dict[int, pa.Table]:
    """All rows of a split together: a record's views may lie in several shards."""
    return {
        code: pa.concat_tables([table for other, table in parts if other == code])
        for code in {code for code, _ in parts}
    }


def _count(job: Job, tables: dict[int, pa.Table]) -> Totals:
    counted = []
    for code, table in sorted(tables.items()):
        tokens = "tokens" in table.column_names
        column = table["tokens" if tokens else "values"].combine_chunks()
        width = None
        if not tokens:
            steps = int(table["length"].to_numpy().sum())
            width = len(column.flatten()) // max(steps, 1)
        keys = table["key"].to_numpy().view(np.uint64)
        chunk = Chunk(
            steps=list_rows(column, width=width),
            keys=keys,
            rows=np.unique(keys, return_inverse=True)[1].astype(np.int64),
            splits=np.full(len(table), code, dtype=np.int8),
            views=table["view"].to_numpy().astype(np.int64),
            windows=table["window"].to_numpy().astype(np.int64),
        )
        stride = job.chain.window_stride
        counted.append(count_chunk(chunk, units(chunk), tokens=tokens, stride=stride))
    return merge_totals(counted)


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
