"""Rows to shards: by a seeded hash of the record, so that every shard is a random sample (P14).

Each record has a place in [0, 2**64), a hash of its key and the seed. A shard of a split and bucket
is a range of places, and its rows stand in their order: shuffled once, by data and seed alone. All
windows of a record's view follow each other in one shard.

Legend: R rows of a slot.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa

from seqprep.parallel import Progress
from seqprep.preparation.lists import copy_table
from seqprep.preparation.slots import Slots
from seqprep.preparation.sorted_rows import SortedRows, shard_order
from seqprep.preparation.spill import release_memory
from seqprep.schema import SPLITS
from seqprep.staging import StagedFile, StagedWriter

ROW_GROUP_VALUES = 2**20
"""Tokens or values of a row group. Arrow's writer holds some ten bytes for each of them, for every
file that is open."""

_WAITING = 8
"""Files that may wait for the disk at a time: that takes longer than writing a small one."""

_Span = tuple[SortedRows, int, int]
"""Rows start..stop of a slot."""


class _Shard:
    """One file of a split and bucket on its way to disk.

    Attributes:
        writer: of the file.
        waiting: row groups to write next, each some spans of rows. waiting_bytes: of them.
        size_bytes: content of all its row groups so far.
        whole: whether it ends after them. opened: whether the writer is open.
    """

    def __init__(self, writer: StagedWriter) -> None:
        self.writer = writer
        self.waiting: list[list[_Span]] = []
        self.waiting_bytes = self.size_bytes = 0
        self.opened = self.whole = False

    def add(self, group: list[_Span], size_bytes: int) -> None:
        """One more row group to write."""
        self.waiting.append(group)
        self.waiting_bytes += size_bytes
        self.size_bytes += size_bytes

    def write(self) -> None:
        """Write what waits."""
        if not self.opened:
            self.writer.__enter__()
            self.opened = True
        groups, self.waiting, self.waiting_bytes = self.waiting, [], 0
        for group in groups:
            self.writer.write(_table(group))

    def publish(self) -> None:
        """Give the file, which is whole, its final name once the disk has it."""
        self.opened = False
        self.writer.__exit__(None, None, None)

    def abandon(self, error: BaseException) -> None:
        """Leave nothing of a file that is not whole."""
        if self.opened:
            self.writer.__exit__(type(error), error, error.__traceback__)


def _table(spans: list[_Span]) -> pa.Table:
    tables = [rows.table(start, stop) for rows, start, stop in spans]
    return pa.concat_tables(tables).combine_chunks() if len(tables) > 1 else tables[0]


class ShardWriter:
    """Cuts the rows of one split and bucket into shards, which may then be written side by side.

    Args:
        root: of the table. schema: of the files.
        split, bucket: which; shard_bytes: content after which the next shard begins.
    """

    def __init__(
        self, root: Path, schema: pa.Schema, *, split: str, bucket: int, shard_bytes: int
    ) -> None:
        self._root, self._schema, self._shard_bytes = root, schema, shard_bytes
        self._partition = {"split": split, "bucket": str(bucket)}
        self._limit = min(ROW_GROUP_VALUES * _value_bytes(schema), shard_bytes)
        self._group: list[_Span] = []
        self._group_bytes = 0
        self.shards: list[_Shard] = []

    def add(self, rows: SortedRows, start: int, stop: int) -> None:
        """Append rows start..stop; `pending` then names the shards that have something to write.

        A row group ends before the row that does not fit, wherever slots end; a longer row is one
        by itself.
        """
        ends = np.cumsum(rows.size_bytes[start:stop])
        done, before = 0, 0
        while done < len(ends):
            room = before + self._limit - self._group_bytes
            fitting = int(np.searchsorted(ends, room, side="right"))
            if fitting == done and self._group:
                self._end_group()
                continue
            fitting = max(fitting, done + 1)
            self._group.append((rows, start + done, start + fitting))
            self._group_bytes += int(ends[fitting - 1]) - before
            done, before = fitting, int(ends[fitting - 1])
            if self._group_bytes >= self._limit:  # a long row does not wait for another slot
                self._end_group()

    def _end_group(self) -> None:
        if not self.shards or self.shards[-1].whole:
            name = f"part-{len(self.shards):05d}"
            self.shards.append(
                _Shard(StagedWriter(self._root, name, self._schema, partition=self._partition))
            )
        shard = self.shards[-1]
        shard.add(self._group, self._group_bytes)
        shard.whole = shard.size_bytes >= self._shard_bytes
        self._group, self._group_bytes = [], 0

    def settle(self) -> None:
        """Copy the rows that wait for a row group, so that they don't hold their whole slot."""
        if self._group:
            table = copy_table(_table(self._group))
            rows = SortedRows.of([table], np.arange(len(table)), table.column_names)
            self._group = [(rows, 0, len(rows))]

    def end(self) -> None:
        """No more rows follow."""
        if self._group:
            self._end_group()
        if self.shards:
            self.shards[-1].whole = True

    def pending(self) -> list[_Shard]:
        """Shards with row groups or an end that are not written yet."""
        return [shard for shard in self.shards if shard.waiting or (shard.whole and shard.opened)]

    @property
    def files(self) -> list[StagedFile]:
        """What was written, in order."""
        return [shard.writer.staged for shard in self.shards]

    def abandon(self, error: BaseException) -> None:
        """Leave nothing of the shards that are not whole."""
        for shard in self.shards:
            shard.abandon(error)


def _value_bytes(schema: pa.Schema) -> int:
    """Bytes of one token or value of the content."""
    content = schema.field("tokens" if "tokens" in schema.names else "values")
    return int(content.type.value_type.bit_width) // 8


def write_shards(
    slots: Slots,
    root: Path,
    schema: pa.Schema,
    *,
    limits: tuple[int, ...],
    shard_bytes: int,
    workers: int,
    progress: Progress | None,
) -> list[StagedFile]:
    """Write every slot's rows to the shards of their split and bucket.

    Args:
        slots: closed.
        root: of the table.
        schema: of the files.
        limits: of the buckets, in steps.
        shard_bytes: content of a shard, about.
        workers: threads; each shard is written by one at a time.
        progress: see `parallel.Progress`.
    """
    writers: dict[tuple[int, int], ShardWriter] = {}
    published: list[Future[None]] = []
    try:
        with ThreadPoolExecutor(workers) as pool, ThreadPoolExecutor(_WAITING) as disk:

            def write(shard: _Shard) -> None:
                shard.write()
                if shard.whole:
                    published.append(disk.submit(shard.publish))

            for number in range(slots.count):
                tables = slots.read(number)
                if tables:
                    order, cells = shard_order(tables, limits)
                    rows = SortedRows.of(tables, order, schema.names)
                    for split, bucket, start, stop in cells:
                        if (split, bucket) not in writers:
                            writers[split, bucket] = ShardWriter(
                                root,
                                schema,
                                split=SPLITS[split],
                                bucket=bucket,
                                shard_bytes=shard_bytes,
                            )
                        writers[split, bucket].add(rows, start, stop)
                if number == slots.count - 1:
                    for writer in writers.values():
                        writer.end()
                pending = [shard for writer in writers.values() for shard in writer.pending()]
                # The most work first, so that no thread is left alone with it at the end.
                pending.sort(key=lambda shard: -shard.waiting_bytes)
                list(pool.map(write, pending))
                for writer in writers.values():
                    writer.settle()
                del tables, pending
                if number < slots.count - 1:
                    release_memory()
                if progress is not None:
                    progress("write shards", number + 1, slots.count)
        for future in published:
            future.result()
    except BaseException as error:
        for writer in writers.values():
            writer.abandon(error)
        raise
    return [file for cell in sorted(writers) for file in writers[cell].files]
