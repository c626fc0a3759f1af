"""Batches through any order of taking, stopping, resuming elsewhere and evaluating in between."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from seqprep.batches import BatchSettings, BatchSource
from seqprep.padded import Batch
from seqprep.snapshot import Snapshot
from tests.synthetic import task_snapshot

ROWS = 60
VIEW = {"name": "truncate", "position": 0, "length": 9, "keep": "random"}
SETTINGS = BatchSettings(batch_tokens=64, max_rows=8, memory=1)  # each shard a window of its own
Row = tuple[str, tuple[int, ...]]
"""Id and steps."""


def source(folder: Path, split: str = "train") -> BatchSource:
    snapshot = Snapshot.read(folder / "snapshot.json")
    return BatchSource.of_snapshot(snapshot, split, settings=SETTINGS)  # type: ignore[arg-type]


def rows_of(batch: Batch) -> list[Row]:
    every = zip(batch.ids.to_pylist(), batch.inputs, batch.lengths, strict=True)
    return [(id_, tuple(steps[:length].tolist())) for id_, steps, length in every]


class BatchStates(RuleBasedStateMachine):
    """A training that is stopped, resumed on other numbers of processes, and looked at between."""

    @initialize()
    def begin(self) -> None:
        """A snapshot whose rows are other pieces in every epoch."""
        self.folder = Path(tempfile.mkdtemp())
        task_snapshot(self.folder, "classify", rows=ROWS, shards=3, on_the_fly=(VIEW,))
        self.expected = cache(self.straight)
        self.epoch = self.batch = 0
        self.resume(world=1)

    def straight(self, epoch: int) -> list[set[Row]]:
        """The batches of an epoch that nothing interrupts, on one process."""
        whole = source(self.folder)
        batches = [set(rows_of(batch)) for batch in whole.batches(whole.plan(epoch))]
        assert len(set().union(*batches)) == sum(map(len, batches)) == ROWS
        return batches

    def open(self) -> None:
        """Every rank goes on where the epoch stands."""
        plan = self.source.plan(self.epoch)
        self.ranks: list[Iterator[Batch]] = [
            self.source.batches(plan, start=self.batch, rank=rank, world=self.world)
            for rank in range(self.world)
        ]

    @rule(world=st.integers(1, 4))
    def resume(self, world: int) -> None:
        """The run died; another number of processes reads the snapshot anew."""
        self.world = world
        self.source = source(self.folder)
        self.open()

    @rule(count=st.integers(1, 12))
    def take(self, count: int) -> None:
        """Updates, into the next epoch and further."""
        for _ in range(count):
            parts = [next(rank) for rank in self.ranks]
            rows = [row for part in parts for row in rows_of(part)]
            expected = self.expected(self.epoch)
            assert len(rows) == len(set(rows)) == parts[0].total_rows
            assert set(rows) == expected[self.batch]
            assert {part.index for part in parts} == {self.batch}
            self.batch += 1
            if self.batch == len(expected):
                assert [next(rank, None) for rank in self.ranks] == [None] * self.world
                self.epoch, self.batch = self.epoch + 1, 0
                self.open()

    @rule()
    def evaluate(self) -> None:
        """A look at all rows as they are stored draws nothing and moves nothing."""
        seen = [
            row
            for batch in self.source.batches(self.source.plan_evaluation())
            for row in rows_of(batch)
        ]
        assert len({id_ for id_, _ in seen}) == len(seen) == ROWS
        assert max(len(steps) for _, steps in seen) > VIEW["length"]  # type: ignore[operator]

    def teardown(self) -> None:
        """Nothing stays behind."""
        shutil.rmtree(self.folder)


TestBatchStates = BatchStates.TestCase
TestBatchStates.settings = settings(
    max_examples=settings().max_examples // 4, stateful_step_count=12
)
