"""Rows to shards: by a seeded hash of the record, so that every shard is a random sample (P14).

Each record has a place in [0, 2**64), a hash of its key and the seed. A shard of a split and bucket
is a range of places, and its rows stand in their order: shuffled once, by data and seed alone. All
windows of a record's view follow each other in one shard. Rows first go to slots (equal ranges of
places small enough for memory), because how many buckets and shards there are is known only when
every row's length is.

Legend: R rows of a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.buckets import bucket_of
from seqprep.parallel import Progress
from seqprep.preparation.spill import SpillFolder, copy_table, release_memory, take_rows
from seqprep.ragged import Keys, mix
from seqprep.schema import SPLITS
from seqprep.staging import StagedFile, StagedWriter

_ORDER_SALT = 211
ROW_GROUP_VALUES = 2**20
"""Tokens or values of a row group. Arrow's writer holds some ten bytes for each of them, for every
file that is open."""


def places(keys: Keys, *, seed: int) -> Keys:
    """The place of each record among all, `(R,)`."""
    return mix(keys, _ORDER_SALT, seed)


class Slots:
    """Rows on disk, cut into equal ranges of places.

    Args:
        folder: where they lie until they are read.
        count: how many ranges.
        schema: of the rows, with `place`, `split` and `unit` (the length that decides the bucket).
    """

    def __init__(self, folder: SpillFolder, count: int, schema: pa.Schema) -> None:
        self._folder, self.count, self._schema = folder, count, schema
        self._stack = ExitStack()
        self._writers: list[pa.ipc.RecordBatchStreamWriter] = []

    def __enter__(self) -> Slots:
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
        if self.count == 1:
            self._writers[0].write_table(table)
            return
        slot = slot_of(table["place"].to_numpy(), self.count)
        order = np.argsort(slot, kind="stable")
        edges = np.searchsorted(slot[order], np.arange(self.count + 1))
        table = take_rows(table, order)
        for number, writer in enumerate(self._writers):
            part = table.slice(edges[number], edges[number + 1] - edges[number])
            if len(part):
                writer.write_table(part)

    def read(self, number: int) -> pa.Table:
        """The rows of one slot, and forget them on disk."""
        with pa.OSFile(str(self._path(number)), "rb") as source:
            table = pa.ipc.open_stream(source).read_all()
        self._path(number).unlink()
        return table


def slot_of(place: Keys, count: int) -> npt.NDArray[np.int64]:
    """The slot of each place, `(R,)`.

    >>> slot_of(np.array([0, 2**63, 2**64 - 1], dtype=np.uint64), 4).tolist()
    [0, 2, 3]
    """
    step = np.uint64(-(-(2**64) // count) if count > 1 else 2**64 - 1)
    return np.minimum(place // step, count - 1).astype(np.int64)


class _Shard:
    """One file of a split and bucket on its way to disk.

    Attributes:
        writer: of the file.
        waiting: row groups to write next, each some tables.
        size_bytes: content of all its row groups so far.
        whole: whether it ends after them. opened: whether the writer is open.
    """

    def __init__(self, writer: StagedWriter) -> None:
        self.writer = writer
        self.waiting: list[list[pa.Table]] = []
        self.size_bytes = 0
        self.opened = self.whole = False

    def write(self) -> None:
        """Write what waits, and publish the file under its final name if it is whole."""
        if not self.opened:
            self.writer.__enter__()
            self.opened = True
        groups, self.waiting = self.waiting, []
        for group in groups:
            self.writer.write(pa.concat_tables(group) if len(group) > 1 else group[0])
        if self.whole:
            self.opened = False
            self.writer.__exit__(None, None, None)

    def abandon(self, error: BaseException) -> None:
        """Leave nothing of a file that is not whole."""
        if self.opened:
            self.writer.__exit__(type(error), error, error.__traceback__)


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
        self._group: list[pa.Table] = []
        self._group_bytes = 0
        self.shards: list[_Shard] = []

    def add(self, table: pa.Table) -> None:
        """Append rows; `pending` then names the shards that have something to write."""
        table = table.select(self._schema.names)
        limit = min(ROW_GROUP_VALUES * _value_bytes(self._schema), self._shard_bytes)
        for piece in _pieces(table, limit, self._group_bytes):
            if self._group and piece.nbytes >= limit:
                self._end_group()  # a long record is a row group of its own, without a copy
            self._group.append(piece)
            self._group_bytes += piece.nbytes
            if self._group_bytes >= limit:
                self._end_group()

    def _end_group(self) -> None:
        if not self.shards or self.shards[-1].whole:
            name = f"part-{len(self.shards):05d}"
            self.shards.append(
                _Shard(StagedWriter(self._root, name, self._schema, partition=self._partition))
            )
        shard = self.shards[-1]
        shard.waiting.append(self._group)
        shard.size_bytes += self._group_bytes
        shard.whole = shard.size_bytes >= self._shard_bytes
        self._group, self._group_bytes = [], 0

    def settle(self) -> None:
        """Copy the rows that wait for a row group, so that they don't hold their whole slot."""
        if self._group:
            self._group = [copy_table(pa.concat_tables(self._group))]

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


def _pieces(table: pa.Table, limit: int, waiting: int) -> Iterator[pa.Table]:
    """Cut a table where the content passes `limit`, by rows alone."""
    start, total = 0, len(table)
    row_bytes = max(table.nbytes // max(total, 1), 1)
    while start < total:
        rows = max((limit - waiting) // row_bytes, 1)
        yield table.slice(start, rows)
        start, waiting = start + rows, 0


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
    try:
        with ThreadPoolExecutor(workers) as pool:
            for number in range(slots.count):
                for (split, bucket), part in _cells(slots.read(number), limits):
                    if (split, bucket) not in writers:
                        writers[split, bucket] = ShardWriter(
                            root,
                            schema,
                            split=SPLITS[split],
                            bucket=bucket,
                            shard_bytes=shard_bytes,
                        )
                    writers[split, bucket].add(part)
                if number == slots.count - 1:
                    for writer in writers.values():
                        writer.end()
                pending = [shard for writer in writers.values() for shard in writer.pending()]
                # The most work first, so that no thread is left alone with it at the end.
                pending.sort(key=lambda shard: -sum(map(len, shard.waiting)))
                list(pool.map(_Shard.write, pending))
                for writer in writers.values():
                    writer.settle()
                release_memory()
                if progress is not None:
                    progress("write shards", number + 1, slots.count)
    except BaseException as error:
        for writer in writers.values():
            writer.abandon(error)
        raise
    return [file for cell in sorted(writers) for file in writers[cell].files]


def _cells(table: pa.Table, limits: tuple[int, ...]) -> Iterator[tuple[tuple[int, int], pa.Table]]:
    """The rows of each (split, bucket), ordered by (place, view, window)."""
    split = table["split"].to_numpy().astype(np.int64)
    bucket = bucket_of(table["unit"].to_numpy(), limits).astype(np.int64)
    within = [table[name].to_numpy() for name in ("window", "view", "key", "place")]
    order = np.lexsort([*within, bucket, split])
    pairs = np.stack([split[order], bucket[order]], axis=1)
    if not len(pairs):
        return
    table = take_rows(table, order)
    starts = np.flatnonzero(np.append(True, (pairs[1:] != pairs[:-1]).any(axis=1)))
    for start, stop in zip(starts, [*starts[1:], len(pairs)], strict=True):
        yield (int(pairs[start, 0]), int(pairs[start, 1])), table.slice(start, stop - start)
