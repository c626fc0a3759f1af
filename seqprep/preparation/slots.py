"""Finished rows until their shard is known: in memory, or on disk in ranges of places.

How many buckets and shards there are is known only when every row's length is. Rows that fit stay
where they are; others lie on disk in slots, equal ranges of places that are small enough to be
sorted one at a time. Their content is copied once, a row group at a time, by whoever writes it.

Legend: R rows of a slot, N steps of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.preparation.lists import LONG_BYTES, take_rows
from seqprep.preparation.spill import SpillFolder, release_memory
from seqprep.ragged import Keys, mix

_ORDER_SALT = 211
_RELEASED_BYTES = 2**26
"""After so much was added, what was held while it was made is given back."""
_JOINED_BYTES = 2**22
"""Smaller tables are joined, so that a row group is not gathered from very many of them; those of
long rows are not, whose values are not gathered."""


def places(keys: Keys, *, seed: int) -> Keys:
    """The place of each record among all, `(R,)`; no two keys have the same."""
    return mix(keys, _ORDER_SALT, seed)


class Slots(Protocol):
    """Rows on their way to the shards.

    Attributes:
        count: how many slots there are.
    """

    count: int

    def add(self, table: pa.Table) -> None:
        """Keep rows of `rows.slot_schema`."""

    def read(self, number: int) -> list[pa.Table]:
        """The rows of one slot in the order in which they came, and forget them."""

    def __enter__(self) -> Self:
        """Begin to add."""

    def __exit__(self, *error: object) -> None:
        """No more rows follow."""


class HeldSlots:
    """All rows in one slot in memory."""

    count = 1

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def add(self, table: pa.Table) -> None:
        """Keep rows."""
        self._tables.append(table)

    def read(self, number: int) -> list[pa.Table]:
        """All rows, and forget them."""
        assert number == 0, number
        tables, self._tables = self._tables, []
        return joined(tables)


class DiskSlots:
    """Rows on disk, cut into equal ranges of places.

    Args:
        folder: where they lie until they are read.
        count: how many ranges.
        schema: of the rows, with `place`.
    """

    def __init__(self, folder: SpillFolder, count: int, schema: pa.Schema) -> None:
        self._folder, self.count, self._schema = folder, count, schema
        self._added_bytes = 0
        self._stack = ExitStack()
        self._writers: list[pa.ipc.RecordBatchStreamWriter] = []

    def __enter__(self) -> Self:
        for number in range(self.count):
            sink = self._stack.enter_context(pa.OSFile(str(self._path(number)), "wb"))
            writer = self._stack.enter_context(pa.ipc.new_stream(sink, self._schema))
            self._writers.append(writer)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _path(self, number: int) -> Path:
        return self._folder.path / f"slot-{number}"

    def add(self, table: pa.Table) -> None:
        """Route rows to their slots, keeping their order."""
        slot = slot_of(table["place"].to_numpy(), self.count)
        order = np.argsort(slot, kind="stable")
        edges = np.searchsorted(slot[order], np.arange(self.count + 1))
        long = LONG_BYTES * len(table) <= table.nbytes  # and not copied
        table = table if long else take_rows(table, order)
        for number, writer in enumerate(self._writers):
            span = np.arange(edges[number], edges[number + 1])
            rows = order[span] if long else span
            for part in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
                if len(part):
                    writer.write_table(table.slice(part[0], len(part)))
        self._added_bytes += table.nbytes
        if self._added_bytes > _RELEASED_BYTES:
            self._added_bytes = 0
            release_memory()

    def read(self, number: int) -> list[pa.Table]:
        """The rows of one slot, and forget them on disk."""
        with pa.OSFile(str(self._path(number)), "rb") as source:
            tables = joined(pa.Table.from_batches([part]) for part in pa.ipc.open_stream(source))
        self._path(number).unlink()
        return tables


def slot_of(place: Keys, count: int) -> npt.NDArray[np.int16]:
    """The slot of each place, `(R,)`.

    >>> slot_of(np.array([0, 2**63, 2**64 - 1], dtype=np.uint64), 4).tolist()
    [0, 2, 3]
    """
    step = np.uint64(-(-(2**64) // count) if count > 1 else 2**64 - 1)
    return np.minimum(place // step, count - 1).astype(np.int16)


def joined(tables: Iterable[pa.Table]) -> list[pa.Table]:
    """The same rows in fewer tables, small neighbours in one."""
    joined: list[pa.Table] = []
    waiting: list[pa.Table] = []
    waiting_bytes = 0
    for table in tables:
        if table.nbytes >= min(_JOINED_BYTES, LONG_BYTES * len(table)):
            joined += [*_as_one(waiting), table]
            waiting, waiting_bytes = [], 0
            continue
        waiting.append(table)
        waiting_bytes += table.nbytes
        if waiting_bytes >= _JOINED_BYTES:
            joined += _as_one(waiting)
            waiting, waiting_bytes = [], 0
    return [*joined, *_as_one(waiting)]


def _as_one(tables: Sequence[pa.Table]) -> list[pa.Table]:
    return [pa.concat_tables(tables).combine_chunks()] if tables else []
