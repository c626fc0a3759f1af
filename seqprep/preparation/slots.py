"""Finished rows until their shard is known: in memory, or on disk in ranges of places.

How many buckets and shards there are is known only when every row's length is. Rows that fit stay
where they are; others lie on disk in slots, equal ranges of places that are small enough to be
sorted one at a time. Their content is copied once, a row group at a time, by whoever writes it.

Legend: R rows of a slot, N steps of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.buckets import bucket_of
from seqprep.preparation.spill import SpillFolder, list_array, list_rows, release_memory, take_rows
from seqprep.ragged import Ints, Keys, Ragged, concat, mix, take, to_offsets

_ORDER_SALT = 211
_RELEASED_BYTES = 2**26
"""After so much was added, what was held while it was made is given back."""
_JOINED_BYTES = 2**22
"""Smaller tables are joined, so that a row group is not gathered from very many of them."""
_LONG_BYTES = 2**16
"""Rows of this size or more, on average, are not copied to stand side by side."""
_STRING_BYTES = 16
"""About what a string of a row takes: `id` is the only one."""


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
        long = _LONG_BYTES * len(table) <= table.nbytes  # and not copied
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
        if table.nbytes >= _JOINED_BYTES:
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


@dataclass(frozen=True, kw_only=True, slots=True)
class SortedRows:
    """R rows in the order in which shards hold them, their lists still where they lay.

    Args:
        rest: `(R,)` the columns that are no lists, in order.
        lists: of each list column, its parts.
        order: `(R,)` place of each row in the parts, joined. starts: of each part, in rows.
        names: of all columns.
        size_bytes: `(R,)` about what each row takes.
    """

    rest: pa.Table
    lists: dict[str, list[Ragged]]
    order: Ints
    starts: Ints
    names: list[str]
    size_bytes: Ints

    @classmethod
    def of(cls, tables: Sequence[pa.Table], order: Ints, names: Sequence[str]) -> Self:
        """Some columns of the rows of some tables, joined, in an order.

        Args:
            tables: with R rows altogether.
            order: `(R,)` numbers of rows.
            names: of the columns.
        """
        whole = pa.concat_tables(tables)
        lists = {
            name: [list_rows(table[name]) for table in tables]
            for name in names
            if pa.types.is_list(whole.schema.field(name).type) and not whole[name].null_count
        }
        rest = whole.select([name for name in names if name not in lists])
        return cls(
            rest=rest.take(pa.array(order)),
            lists=lists,
            order=order,
            starts=to_offsets([len(table) for table in tables]),
            names=list(names),
            size_bytes=_row_bytes(rest, lists)[order],
        )

    def __len__(self) -> int:
        return len(self.order)

    def table(self, start: int, stop: int) -> pa.Table:
        """Rows start..stop; lists are copied, or long ones a chunk each, where they lie."""
        rest = self.rest.slice(start, stop - start)
        rows = self.order[start:stop]
        long = 0 < _LONG_BYTES * len(rows) <= int(self.size_bytes[start:stop].sum())
        gather = _chunks if long else _gather
        return pa.table(
            {
                name: gather(self.lists[name], self.starts, rows)
                if name in self.lists
                else rest[name]
                for name in self.names
            },
        )


def _row_bytes(rest: pa.Table, lists: dict[str, list[Ragged]]) -> Ints:
    """About what each row takes, `(R,)`: by itself alone, whichever rows stand beside it."""
    kinds = [field.type for field in rest.schema]
    fixed = sum(_STRING_BYTES if pa.types.is_string(kind) else 8 for kind in kinds)
    size_bytes = np.full(len(rest), fixed, dtype=np.int64)
    for parts in lists.values():
        lengths = np.concatenate([part.lengths for part in parts])
        size_bytes += lengths * parts[0].values.itemsize
    return size_bytes


def _gather(parts: Sequence[Ragged], starts: Ints, rows: Ints) -> pa.ListArray:
    """The named rows of some parts, joined; each part is asked once."""
    if len(parts) == 1:
        return list_array(take(parts[0], rows))
    whole = np.searchsorted(starts, rows, side="right") - 1
    by_part = np.argsort(whole, kind="stable")
    edges = np.searchsorted(whole[by_part], np.arange(len(parts) + 1)).tolist()
    taken = [
        take(part, rows[by_part[start:stop]] - first)
        for part, first, start, stop in zip(parts, starts.tolist(), edges, edges[1:], strict=False)
        if start < stop
    ]
    back = np.empty_like(by_part)
    back[by_part] = np.arange(len(by_part))
    return list_array(take(concat(taken), back))


def _chunks(parts: Sequence[Ragged], starts: Ints, rows: Ints) -> pa.ChunkedArray:
    """The named rows of some parts, none of them copied; for some long rows."""
    whole = np.searchsorted(starts, rows, side="right") - 1
    chunks = []
    for part, row in zip(whole.tolist(), (rows - starts[whole]).tolist(), strict=True):
        values, offsets = parts[part].values, parts[part].offsets[row : row + 2]
        chunks.append(list_array(Ragged(values, offsets)))
    return pa.chunked_array(chunks)


def shard_order(
    tables: Sequence[pa.Table], limits: tuple[int, ...]
) -> tuple[Ints, list[tuple[int, int, int, int]]]:
    """The rows by (split, bucket, place, view, window), and where each split and bucket begins.

    Args:
        tables: R rows altogether, with the columns that route them.
        limits: of the buckets, in steps.

    Returns:
        `(R,)` numbers of rows, and `(split, bucket, start, stop)` of each cell that has rows.
    """
    place, split, unit, view, window = (
        np.concatenate([table[name].to_numpy() for table in tables])
        for name in ("place", "split", "unit", "view", "window")
    )
    bucket = bucket_of(unit, limits)
    order = np.argsort(place)
    if (place[order[1:]] == place[order[:-1]]).any():
        order = np.lexsort((window, view, place))
    known, number = np.unique(bucket, return_inverse=True)
    cell = (split.astype(np.int16) * len(known) + number.astype(np.int16))[order]
    by_cell = np.argsort(cell, kind="stable")
    order, cell = order[by_cell], cell[by_cell]
    starts = np.flatnonzero(np.append(True, cell[1:] != cell[:-1])[: len(cell)]).tolist()
    return order, [
        (int(cell[start]) // len(known), int(known[cell[start] % len(known)]), start, stop)
        for start, stop in zip(starts, [*starts[1:], len(cell)], strict=True)
    ]
