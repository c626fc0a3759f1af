"""From a snapshot to deterministic token-budget batches, as NumPy arrays.

The list of global batches of an epoch is a pure function of (snapshot, seed, epoch, settings).
Rows of like length go together, every row once an epoch, in another composition each epoch. A plan
holds row numbers only, so going on in the middle of an epoch costs the same at its start and at its
end. Use it to feed training and evaluation; it needs only numpy and pyarrow.

Windows of a record are drawn apart, as rows of their own: no state is carried from one to the next,
and a batch full of one record, or an epoch that reads every record from its start to its end, would
make neighbouring gradients alike. Those that meet in a batch stand together, in order of window.

For task `next` a row is read with BOS before it, and the symbol after each step is its target: one
step more than is stored; see `foretold` for rows that are not whole records.

Legend: R rows of a split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged
from seqprep.arrays import as_array
from seqprep.examples import Examples, step_bytes
from seqprep.foretold import Edges, foretold
from seqprep.held import Held
from seqprep.padded import Batch, pad_batches
from seqprep.plan import BatchSettings, Plan, blocks, cut, group, together
from seqprep.ragged import Ints
from seqprep.row_index import COLUMNS, RowIndex
from seqprep.schema import IGNORED_LABEL, STEP_TASKS, Split
from seqprep.snapshot import Facts, Snapshot, read_shard, read_shards
from seqprep.views import apply_view, view_lengths

__all__ = ["Batch", "BatchSettings", "BatchSource", "Examples", "Plan"]

_BLOCK_BYTES = 4 * 2**20
_FIRST_BYTES = 16 * 2**20  # what the first batch of all waits for: a small part of a second
_ROWS, _SHARDS, _BATCHES, _FIRST = 1, 2, 3, 4  # salts: one stream of random numbers for each use


class BatchSource:
    """Batches of one split of a snapshot, or of examples in memory.

    Args:
        facts: of the snapshot. settings: see there.
        salt: what makes this data's order its own: the head of the snapshot's digest.
    """

    def __init__(self, facts: Facts, *, settings: BatchSettings, salt: int = 0) -> None:
        self.facts, self.settings, self.salt = facts, settings, salt
        self.snapshot: Snapshot | None = None
        self.split: Split = "train"
        self._index = RowIndex.of([])
        self._starts = np.zeros(1, np.int64)
        self._edges: Edges | None = None
        self._held: Held

    @classmethod
    def of_snapshot(
        cls, snapshot: Snapshot, split: Split, *, settings: BatchSettings, verify: bool = True
    ) -> BatchSource:
        """Read the lengths of a split's rows.

        Raises:
            CorruptError: naming a shard that is missing or altered (`verify`), before it is used.
        """
        source = cls(snapshot.facts, settings=settings, salt=int(snapshot.sha256[:15], 16))
        source.snapshot, source.split = snapshot, split
        tables = read_shards(snapshot, snapshot.of(split), columns=COLUMNS, verify=verify)
        source._take(tables, partial(_read, snapshot, split))
        return source

    @classmethod
    def of_examples(cls, table: pa.Table, facts: Facts, *, settings: BatchSettings) -> BatchSource:
        """Batches of rows at hand, for prediction."""
        source = cls(replace(facts, on_the_fly=()), settings=settings)
        examples = Examples.of(table, facts)
        source._take([table], lambda shards: examples)
        return source

    def _take(self, tables: list[pa.Table], read: Callable[[tuple[int, ...]], Examples]) -> None:
        """Index the rows of some shards, and say how their steps are read."""
        self._starts = ragged.to_offsets([len(table) for table in tables])
        self._index = index = RowIndex.of(tables)
        if self.facts.task == "next":
            where = (index.records, index.views, index.windows, index.lengths)
            self._edges = Edges.of(*where, stride=self.facts.window_stride)
        room = self.settings.memory // 2
        self._held = Held(read, starts=self._starts, sizes=self._shard_bytes(), room=room)

    def _drawn(self, rows: Ints | slice, epoch: int) -> dict[str, Any]:
        return self._index.drawn(rows, seed=self.settings.seed, epoch=epoch)

    def __len__(self) -> int:
        return len(self._index.lengths)

    @property
    def lengths(self) -> Ints:
        """Steps of each row as batches hold it where nothing is drawn, `(R,)`."""
        return self._index.lengths + self._more

    @property
    def _more(self) -> int:
        """Steps of a row in batches beyond those that are stored."""
        return 1 if self.facts.task == "next" else 0

    @property
    def first_steps(self) -> Ints:
        """The step of its record at which each row begins, `(R,)`."""
        return self._index.windows * self.facts.window_stride

    @property
    def views(self) -> Ints:
        """The stored view of its record that each row is, `(R,)`."""
        return self._index.views

    def lengths_of(self, epoch: int) -> Ints:
        """Steps of each row as an epoch draws it, `(R,)`."""
        lengths = self._index.lengths
        for step in self.facts.on_the_fly:
            lengths = view_lengths(lengths, step, **self._drawn(slice(None), epoch))
        return lengths + self._more

    def plan(self, epoch: int) -> Plan:
        """The batches of a training epoch, every row once."""
        lengths = self.lengths_of(epoch)
        orders, sizes, window = [], [np.zeros(1, np.int64)], []
        windows = self.windows(epoch)
        for number, shards in enumerate(windows):
            rows = np.concatenate([self._rows(shard) for shard in shards])
            order, size = self._shuffle(rows, lengths[rows], epoch)
            orders.append(order)
            sizes.append(size)
            window += [number] * len(size)
        return self._plan(epoch, orders, sizes, window, windows, lengths)

    def plan_evaluation(self) -> Plan:
        """The batches of an evaluation: always the same, each row once, nothing drawn."""
        windows = self.windows(None)
        orders, sizes, window = [], [np.zeros(1, np.int64)], []
        for number, shards in enumerate(windows):
            rows = np.concatenate([self._rows(shard) for shard in shards])
            order = rows[np.argsort(self._index.lengths[rows], kind="stable")]
            edges = self._cut(self.lengths[order])
            orders.append(order)
            sizes.append(np.diff(edges))
            window += [number] * (len(edges) - 1)
        return self._plan(-1, orders, sizes, window, windows, self.lengths)

    def batches(
        self, plan: Plan, *, start: int = 0, rank: int = 0, world: int = 1
    ) -> Iterator[Batch]:
        """The batches of a plan from number `start` on.

        Args:
            plan: of this source.
            start: batches to skip; skipping reads nothing.
            rank: this process; it gets every world-th row of each global batch.
            world: number of processes.

        Yields:
            Batches in the order of the plan; with more ranks than rows some are empty.
        """
        most = max(1, _BLOCK_BYTES // step_bytes(self.facts))
        for block in blocks(plan, self._index.lengths, start=start, most_steps=most):
            mine = [plan.rows(index)[rank::world] for index in block]
            yield from self._gather(plan, block, np.concatenate(mine), [len(rows) for rows in mine])

    def examples(self) -> Iterator[Examples]:
        """All rows in stored order, a window of shards at a time."""
        for shards in self.windows(None):
            yield self._held.all_of(shards)

    def as_read(self) -> Iterator[Examples]:
        """The same, as an evaluation reads them."""
        for shards in self.windows(None):
            yield self.window(shards, -1)[0]

    def truths(self) -> Iterator[npt.NDArray[Any]]:
        """Labels of the rows, or targets of their steps, in stored order; no inputs are read."""
        assert self.snapshot is not None, "rows at hand are for prediction"
        name = "targets" if self.facts.task in STEP_TASKS else "label"
        for shard in self.snapshot.of(self.split):
            column = as_array(read_shard(self.snapshot, shard, columns=[name])[name])
            column = column.flatten() if pa.types.is_list(column.type) else column
            yield column.to_numpy(zero_copy_only=False)

    def _rows(self, shard: int) -> Ints:
        return np.arange(self._starts[shard], self._starts[shard + 1])

    def _cut(self, lengths: Ints, first: float = 1.0) -> Ints:
        settings = self.settings
        return cut(
            lengths, batch_tokens=settings.batch_tokens, max_rows=settings.max_rows, first=first
        )

    def _draw(self, numbers: Iterable[int] | Ints, use: int, epoch: int) -> npt.NDArray[np.float64]:
        keys = np.asarray(numbers, dtype=np.uint64)
        return ragged.uniform(keys, self.salt, self.settings.seed, epoch, use)

    def _shuffle(self, rows: Ints, lengths: Ints, epoch: int) -> tuple[Ints, Ints]:
        """Rows of a window in the order of their batches, and the rows of each batch."""
        wobble = 1 + self.settings.jitter * (self._draw(rows, _ROWS, epoch) - 0.5)
        rising = np.argsort(lengths * wobble, kind="stable")
        first = float(self._draw(rows[:1], _FIRST, epoch)[0]) if len(rows) else 1.0
        edges = self._cut(lengths[rising], first)
        turn = np.argsort(self._draw(range(len(edges) - 1), _BATCHES, epoch), kind="stable")
        size = np.diff(edges)[turn]
        order = rows[rising[ragged.ranges(edges[:-1][turn], size)]]
        return together(
            order, size, self._index.windows, self._index.views, self._index.records
        ), size

    def windows(self, epoch: int | None) -> tuple[tuple[int, ...], ...]:
        """Groups of shards that fit half the memory (reading doubles them); None: stored order.

        The first epoch begins with little, so that its first batch does not wait for all the data.
        """
        shards = np.arange(len(self._starts) - 1)
        if epoch is not None:
            shards = shards[np.argsort(self._draw(shards, _SHARDS, epoch), kind="stable")]
        first = _FIRST_BYTES if epoch == 0 else None
        return group(shards, self._shard_bytes(), room=self.settings.memory // 2, first=first)

    def window(self, shards: tuple[int, ...], epoch: int) -> tuple[Examples, Ints]:
        """All rows of a window of shards as an epoch draws them, and their numbers."""
        rows = np.concatenate([self._rows(shard) for shard in shards])
        return self._as_read(self._held.all_of(shards), rows, epoch), rows

    def _shard_bytes(self) -> Ints:
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(self._index.lengths)])[self._starts]
        return np.diff(ends) * step_bytes(self.facts) + np.diff(self._starts) * 96

    def _plan(
        self,
        epoch: int,
        orders: Sequence[Ints],
        sizes: Sequence[Ints],
        window: Sequence[int],
        windows: tuple[tuple[int, ...], ...],
        lengths: Ints,
    ) -> Plan:
        return Plan(
            epoch=epoch,
            order=np.concatenate([np.zeros(0, np.int64), *orders]),
            edges=np.cumsum(np.concatenate(sizes)),
            window=np.asarray(window, dtype=np.int64),
            windows=windows,
            lengths=lengths,
            overlong=int((lengths > self.settings.batch_tokens).sum()),
        )

    def _gather(
        self, plan: Plan, block: range, rows: Ints, sizes: Sequence[int]
    ) -> Iterator[Batch]:
        """Some batches of one window.

        Args:
            plan: of this source.
            block: their numbers.
            rows: their rows of this rank, batch after batch.
            sizes: how many of them each batch has.
        """
        some, places = self._held.places(plan.windows[int(plan.window[block[0]])], rows)
        if self._changes(plan.epoch):
            some = self._as_read(some.take(places), rows, plan.epoch)
            places = np.arange(len(rows))
        ignored = IGNORED_LABEL if self.facts.task in ("label_steps", "next") else 0
        yield from pad_batches(some, places, plan, block, rows, sizes=sizes, ignored=ignored)

    def _changes(self, epoch: int) -> bool:
        """Whether rows are read otherwise than they are stored."""
        return self.facts.task == "next" or (epoch >= 0 and bool(self.facts.on_the_fly))

    def _as_read(self, some: Examples, rows: Ints, epoch: int) -> Examples:
        """These rows as a model reads them in an epoch, or in an evaluation, -1."""
        inputs, targets = some.inputs, some.targets
        edges = None if self._edges is None else self._edges.take(rows)
        for step in self.facts.on_the_fly if epoch >= 0 else ():
            drawn = self._drawn(rows, epoch)
            edges = edges and edges.after(inputs.lengths, step, **drawn)
            inputs = apply_view(inputs, step, **drawn)
            if targets is not None:  # the same draw selects the same steps
                targets = apply_view(targets, step, **drawn)
        if self.facts.task == "next":
            inputs, targets = foretold(inputs, edges)
        return replace(some, inputs=inputs, targets=targets)


def _read(snapshot: Snapshot, split: Split, shards: tuple[int, ...]) -> Examples:
    every = snapshot.of(split)
    tables = [read_shard(snapshot, every[shard]) for shard in shards]
    return Examples.of(pa.concat_tables(tables), snapshot.facts)
