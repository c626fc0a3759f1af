"""Taking rows out of a table's shards, a row group at a time.

Memory does not grow with what goes: of a row group that was counted only numbers stay, and the
windows of the two views at its ends, which the groups beside it may continue.

Legend: R rows of a row group, O records of the version before.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.preparation.append import Previous, among
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.lists import list_rows, take_rows
from seqprep.preparation.rows import units
from seqprep.preparation.totals import Totals, count_chunk, merge_totals
from seqprep.ragged import Ragged, to_offsets
from seqprep.schema import OOV, SPLITS
from seqprep.staging import StagedFile, StagedWriter
from seqprep.table import Table

Bools = npt.NDArray[np.bool_]

_NUMBERS = np.dtype(
    [("key", np.int64), ("view", np.int32), ("window", np.int32), ("length", np.int32)]
)
"""What is counted of a row beside its tokens."""
_PARTS = 256
"""Arrays that may wait before they are joined: each takes more than its few rows."""


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


def remove_rows(examples: Table, previous: Previous, removed: Bools, *, stride: int) -> Removal:
    """Write the shards that hold rows of some records again, without them.

    Args:
        examples: the table.
        previous: its version.
        removed: `(O,)` the records.
        stride: steps from one window to the next; 0 where rows are not windows.

    Raises:
        CorruptError: naming a shard that is read and is not what was committed.
    """
    lost = LostRows(stride=stride)
    replaced: list[str] = []
    files: list[StagedFile] = []
    keys, final = np.zeros(0, np.uint64), np.zeros(0, np.int8)
    if removed.any():
        keys, final = previous.column("key")[removed], previous.column("final")[removed]
    of_split = [np.sort(keys[final == code]) for code in range(len(SPLITS))]
    for file in examples.files(previous.version) if len(keys) else ():
        code = SPLITS.index(file.partition["split"])
        groups = range(examples.group_count(file, verify=False))
        held = (examples.read_group(file, group, ["key"])["key"].to_numpy() for group in groups)
        marked = [among(part.view(np.uint64), of_split[code]) for part in held]
        if any(mark.any() for mark in marked):
            examples.check(file)
            replaced.append(file.path)
            files += _without(examples, file, marked, lost, code=code)
    return Removal(replaced=tuple(replaced), files=tuple(files), totals=lost.totals())


def _without(
    examples: Table, file: StagedFile, marked: list[Bools], lost: LostRows, *, code: int
) -> list[StagedFile]:
    """A shard without the marked rows of each row group, which are counted; none if all are."""
    name = file.path.rsplit("/", 1)[-1].rsplit("-", 1)[0]
    writer: StagedWriter | None = None
    with ExitStack() as stack:
        for group, mark in enumerate(marked):
            columns = [*(_NUMBERS.names or ()), "tokens"] if mark.all() else None
            table = examples.read_group(file, group, columns)
            if mark.any():
                lost.add(table, mark, code=code)
            if mark.all():
                continue
            if writer is None:
                writer = stack.enter_context(
                    StagedWriter(examples.path, name, table.schema, partition=file.partition)
                )
            writer.write(take_rows(table, np.flatnonzero(~mark)))
    return [] if writer is None else [writer.staged]


class LostRows:
    """Numbers of the rows that go, all rows of a record together.

    Args:
        stride: as `count_chunk` takes it.
    """

    def __init__(self, *, stride: int) -> None:
        self._stride = stride
        self._counted: dict[tuple[int, int], Totals] = {}
        self._unknown = np.zeros(len(SPLITS), dtype=np.int64)
        self._ends: list[list[npt.NDArray[np.void]]] = [[] for _ in SPLITS]

    @property
    def held_bytes(self) -> int:
        """Of the rows that wait for those that may continue them."""
        return sum(part.nbytes for parts in self._ends for part in parts)

    def add(self, table: pa.Table, mark: Bools, *, code: int) -> None:
        """Count the marked ones of R rows of a split, in the order of their shard.

        Args:
            table: of examples; columns other than tokens and numbers are not needed.
            mark: `(R,)` at least one.
            code: of the split.
        """
        if "tokens" in table.column_names:
            self._unknown[code] += _unknown(table["tokens"], mark)
        rows = np.empty(np.count_nonzero(mark), dtype=_NUMBERS)
        for name in _NUMBERS.names or ():
            rows[name] = table[name].to_numpy()[mark]
        # Windows of a view follow each other, perhaps across the ends of groups and shards.
        same = (rows["key"][1:] == rows["key"][:-1]) & (rows["view"][1:] == rows["view"][:-1])
        starts = np.flatnonzero(~same) + 1
        first, last = (starts[0], starts[-1]) if len(starts) else (len(rows), len(rows))
        ends = self._ends[code]
        ends.append(np.concatenate([rows[:first], rows[last:]]))
        if len(ends) > _PARTS:
            ends[:] = [np.concatenate(ends)]
        self._count(rows[first:last], code=code)

    def _count(self, rows: npt.NDArray[np.void], *, code: int) -> None:
        """Count whole views of records, each view by itself."""
        for view in np.unique(rows["view"]).tolist():
            some = rows[rows["view"] == view]
            keys = np.ascontiguousarray(some["key"])
            chunk = Chunk(
                steps=Ragged(np.zeros(0, np.int8), to_offsets(some["length"])),
                keys=keys.view(np.uint64),
                rows=keys,
                splits=np.full(len(some), code, dtype=np.int8),
                views=some["view"].astype(np.int64),
                windows=some["window"].astype(np.int64),
            )
            totals = count_chunk(chunk, units(chunk), tokens=False, stride=self._stride)
            known = self._counted.get((code, view))
            self._counted[code, view] = totals if known is None else known.plus(totals)

    def totals(self) -> Totals:
        """All of them; no more rows follow."""
        for code, ends in enumerate(self._ends):
            if ends:
                self._count(np.concatenate(ends), code=code)
            ends.clear()
        none = np.zeros(len(SPLITS), dtype=np.int64)
        lowest = dict(sorted(self._counted, reverse=True))
        found = merge_totals(
            [
                totals if view == lowest[code] else replace(totals, records=none, whole=none)
                for (code, view), totals in self._counted.items()
            ]
        )
        return replace(found, unknown=self._unknown)


def _unknown(column: pa.ChunkedArray, mark: Bools) -> int:
    """OOV of the marked rows of tokens."""
    rows = list_rows(column)
    found = rows.values == OOV
    if mark.all():
        return int(np.count_nonzero(found))
    places = np.flatnonzero(found)
    return int(np.diff(np.searchsorted(places, rows.offsets))[mark].sum())
