"""Finished rows in the order of their shards: sorted by numbers, their content copied once.

Legend: R rows of a slot, N steps of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from seqprep.buckets import bucket_of
from seqprep.preparation.lists import LONG_BYTES, list_array, list_rows
from seqprep.ragged import Ints, Ragged, concat, take, to_offsets

_STRING_BYTES = 16
"""About what a string of a row takes: `id` is the only one."""


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
        long = 0 < LONG_BYTES * len(rows) <= int(self.size_bytes[start:stop].sum())
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
