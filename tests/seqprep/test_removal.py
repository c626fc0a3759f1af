"""Rows are taken out of shards in bounded memory, and what went is counted as it was when made."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seqprep.preparation import shards
from seqprep.preparation.append import Previous, read_previous
from seqprep.preparation.removal import LostRows, remove_rows
from seqprep.recipe import Prepare, Tokens
from seqprep.table import Table
from tests.seqprep.test_prepare import prepared
from tests.synthetic import documents, write_sequences

WINDOWS: tuple[dict[str, Any], ...] = (
    {"summarize": {"drop_top": 2}},
    {"windows": {"length": 6, "stride": 4}},
)
VIEWS: dict[str, Any] = {"subsequences": {"piece": 3, "views": 2}}
DROPPED: dict[str, Any] = {"subsequences": {"piece": 3, "views": 2, "original": "drop"}}


def examples_of(store: Path, recipe: Prepare) -> tuple[Table, Previous]:
    done = prepared(store, recipe=recipe)
    examples = Table(store / "synthetic" / f"examples-{done.recipe}")
    previous = read_previous(examples, done.version)
    assert previous is not None
    return examples, previous


@pytest.mark.parametrize("steps", [(), WINDOWS, (*WINDOWS, VIEWS), (*WINDOWS, DROPPED)])
@pytest.mark.parametrize("group_values", [1, 7, 2**20])
def test_what_goes_is_counted_as_it_was_when_made(
    tmp_path: Path,
    steps: tuple[dict[str, Any], ...],
    group_values: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A view that row groups or shards cut would be counted twice, or its bucket be another."""
    monkeypatch.setattr(shards, "ROW_GROUP_VALUES", group_values)
    write_sequences(tmp_path, documents(40))
    recipe = Prepare(tokens=Tokens(unit="word"), steps=steps, buckets=2, shard_bytes=900)
    examples, previous = examples_of(tmp_path, recipe)
    stride = 4 if steps else 0
    everything = previous.column("final") >= 0
    gone = remove_rows(examples, previous, everything, stride=stride)
    assert gone.totals.to_bytes() == previous.totals.to_bytes()
    assert not gone.files and len(gone.replaced) == len(examples.files())
    some = everything & (np.arange(len(everything)) % 3 > 0)
    parts = [
        remove_rows(examples, previous, mark, stride=stride).totals
        for mark in (some, everything & ~some)
    ]
    assert parts[0].plus(parts[1]).to_bytes() == previous.totals.to_bytes()


@pytest.mark.parametrize("kept", [0, 1])
def test_no_content_is_held_of_row_groups_that_were_counted(
    tmp_path: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory would grow with the rows that go: a gigabyte lost would be a gigabyte held."""
    monkeypatch.setattr(shards, "ROW_GROUP_VALUES", 20_000)
    words = random.Random(0)
    records = [
        {
            "text": " ".join(f"w{words.randrange(300)}" for _ in range(10_000)),
            "label": "ab"[n % 2],
            "source": f"f{n:03}.txt",
        }
        for n in range(480)
    ]
    write_sequences(tmp_path, records)
    recipe = Prepare(tokens=Tokens(unit="word"), buckets=1, shard_bytes=200_000)
    examples, previous = examples_of(tmp_path, recipe)
    groups = list(examples.row_groups())
    removed = previous.column("final") >= 0
    removed[: 40 * kept] = False
    held: list[int] = []
    read = Table.read_group
    before = pa.total_allocated_bytes()

    def watched(self: Table, *args: Any) -> pa.Table:
        held.append(pa.total_allocated_bytes() - before)
        return read(self, *args)

    monkeypatch.setattr(Table, "read_group", watched)
    remove_rows(examples, previous, removed, stride=0)
    content = sum(examples.read_group(*group).nbytes for group in groups)
    # Readers give back what they read ahead a moment after they are closed: several may be there.
    assert len(groups) > 100 and max(held) < content // 8


def test_only_the_ends_of_row_groups_wait() -> None:
    """Numbers of every row would be held: of short windows they take more than the content."""
    lost = LostRows(stride=0)
    for start in range(0, 100_000, 1_000):
        numbers = np.arange(start, start + 1_000)
        zeros, ones = np.zeros(1_000, np.int32), np.ones(1_000, np.int32)
        table = pa.table({"key": numbers, "view": zeros, "window": zeros, "length": ones})
        lost.add(table, np.ones(1_000, bool), code=0)
    assert lost.held_bytes <= 100 * 2 * 20
    totals = lost.totals()
    assert totals.rows.tolist() == totals.records.tolist() == [100_000, 0, 0]
    assert totals.unknown.tolist() == [0, 0, 0]
