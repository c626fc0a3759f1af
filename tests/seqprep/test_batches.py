"""Batches are a pure function of (snapshot, seed, epoch, settings), and pad little."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqprep.batches
from seqprep.batches import BatchSettings, BatchSource
from seqprep.errors import CorruptError
from seqprep.plan import cut
from seqprep.snapshot import Shard, Snapshot
from tests.synthetic import (
    example_table,
    facts_of_task,
    lognormal_lengths,
    task_snapshot,
    token_rows,
    write_snapshot,
)

SMALL = BatchSettings(batch_tokens=256, max_rows=16)


def source(path: Path, settings: BatchSettings = SMALL, split: str = "train") -> BatchSource:
    return BatchSource.of_snapshot(Snapshot.read(path), split, settings=settings)  # type: ignore[arg-type]


def order(batches: BatchSource, epoch: int, start: int = 0) -> list[list[str]]:
    plan = batches.plan(epoch)
    return [batch.ids.to_pylist() for batch in batches.batches(plan, start=start)]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    return task_snapshot(tmp_path, "classify", rows=300, shards=3)


def test_every_row_comes_once_an_epoch(snapshot: Path) -> None:
    """A sampler that drops or repeats rows would bias training without a sound."""
    batches = source(snapshot)
    seen = [name for ids in order(batches, 0) for name in ids]
    assert len(seen) == len(set(seen)) == 300


def test_order_is_a_pure_function_of_data_seed_and_epoch(snapshot: Path, tmp_path: Path) -> None:
    """Resuming and repeating a run would read other batches; a copy elsewhere is the same data."""
    elsewhere = task_snapshot(tmp_path / "copy", "classify", rows=300, shards=3)
    assert order(source(snapshot), 1) == order(source(elsewhere), 1)
    assert order(source(snapshot), 1) != order(source(snapshot), 2)
    assert order(source(snapshot), 1) != order(source(snapshot, replace(SMALL, seed=1)), 1)


def test_composition_changes_from_epoch_to_epoch(snapshot: Path) -> None:
    """The same batches in another order would give the same gradients again and again."""
    batches = source(snapshot)
    first, second = ({frozenset(ids) for ids in order(batches, epoch)} for epoch in (0, 1))
    assert len(first & second) < len(first) / 2


def test_resuming_skips_to_the_rest(snapshot: Path) -> None:
    """A resumed epoch must hand out exactly the batches that were left."""
    batches = source(snapshot)
    assert order(source(snapshot), 0, start=5) == order(batches, 0)[5:]


def test_resuming_late_reads_no_more_than_resuming_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of weeks would otherwise spend its time on reading what it has already seen."""
    path = task_snapshot(tmp_path, "classify", rows=600, shards=6)
    batches = source(path, replace(SMALL, memory=1))
    plan = batches.plan(0)
    assert len(plan.windows) == 6
    read: list[str] = []
    read_shard = seqprep.batches.read_shard

    def counted(snapshot: Snapshot, shard: Shard, **options: Any) -> Any:
        read.append(shard.path)
        return read_shard(snapshot, shard, **options)

    monkeypatch.setattr(seqprep.batches, "read_shard", counted)
    for start in (0, len(plan) // 2, len(plan) - 1):
        fresh = source(path, replace(SMALL, memory=1))  # its lengths: every shard's, always
        read.clear()
        first = next(fresh.batches(fresh.plan(0), start=start))
        assert first.index == start
        assert len(read) == 1


def test_ranks_share_each_global_batch(snapshot: Path) -> None:
    """World size may decide who takes which rows, never what a global batch is."""
    batches = source(snapshot)
    plan = batches.plan(0)
    ranks = [list(batches.batches(plan, rank=rank, world=3)) for rank in range(3)]
    for whole, *parts in zip(batches.batches(plan), *ranks, strict=True):
        taken = sorted(row for part in parts for row in part.rows.tolist())
        assert taken == sorted(whole.rows.tolist())
        assert {part.total_rows for part in parts} == {len(whole.rows)}


def test_windows_of_shards_give_every_row_once(snapshot: Path) -> None:
    """With little memory the shards are read in turn; nothing may get lost between them."""
    batches = source(snapshot, replace(SMALL, memory=1))
    plan = batches.plan(0)
    assert len(plan.windows) == 3
    seen = [name for ids in order(batches, 0) for name in ids]
    assert len(seen) == len(set(seen)) == 300


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize(("memory", "windows"), [(1, 5), (30_000, 3), (2**30, 1)])
def test_every_row_comes_once_in_every_epoch_on_any_number_of_ranks(
    tmp_path: Path, memory: int, windows: int, world: int
) -> None:
    """A row left out or doubled after the first epoch would bias training without a sound."""
    path = task_snapshot(tmp_path, "classify", rows=300, shards=5)
    batches = source(path, replace(SMALL, memory=memory))
    for epoch in range(4):
        plan = batches.plan(epoch)
        assert len(plan.windows) == windows
        seen: list[int] = []
        for rank in range(world):
            for batch in batches.batches(plan, rank=rank, world=world):
                assert batch.ids.to_pylist() == [f"train#{row}" for row in batch.rows]
                seen += batch.rows.tolist()
        assert sorted(seen) == list(range(300))


def test_every_window_of_a_record_comes_once_in_every_epoch(tmp_path: Path) -> None:
    """Putting windows of a record side by side must not put one in the place of another."""
    batches = source(windowed(tmp_path, records=3, windows=40, steps=8, last=5))
    for epoch in range(4):
        plan = batches.plan(epoch)
        seen = []
        for batch in batches.batches(plan):
            starts = batches.first_steps[batch.rows].tolist()
            seen += list(zip(batch.ids.to_pylist(), starts, strict=True))
        assert sorted(seen) == [(f"r#{n}", 8 * window) for n in range(3) for window in range(40)]


def test_rows_of_a_batch_are_those_of_the_table(snapshot: Path) -> None:
    """Sorting rows but not labels is a known mistake; padding must be PAD, lengths the stored."""
    facts = Snapshot.read(snapshot).facts
    data = token_rows(300, seed=0)
    table = example_table(data, facts, prefix="train")
    wanted = dict(
        zip(table["id"].to_pylist(), zip(data["tokens"], data["label"], strict=True), strict=True)
    )
    batches = source(snapshot)
    for batch in batches.batches(batches.plan(0)):
        assert batch.labels is not None
        for place, name in enumerate(batch.ids.to_pylist()):
            tokens, label = wanted[name]
            assert batch.inputs[place, : batch.lengths[place]].tolist() == tokens
            assert not batch.inputs[place, batch.lengths[place] :].any()
            assert batch.labels[place] == label


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=80),
    budget=st.integers(1, 200),
    rows=st.none() | st.integers(1, 9),
    first=st.floats(0, 1, exclude_max=True, allow_subnormal=False),  # training flushes them
)
def test_batches_stay_within_the_budget(
    lengths: list[int], budget: int, rows: int | None, first: float
) -> None:
    """Too large a batch runs out of memory on a device; only a row that is too long goes over."""
    steps = np.array(lengths)
    edges = cut(steps, batch_tokens=budget, max_rows=rows, first=first)
    assert edges[0] == 0 and edges[-1] == len(steps)
    for start, stop in pairwise(edges):
        size = stop - start
        assert size >= 1
        assert size == 1 or size * steps[start:stop].max() <= budget
        assert rows is None or size <= rows


def test_longer_rows_go_alone_and_are_counted(tmp_path: Path) -> None:
    """A row over the budget is neither cut nor dropped."""
    data = {"tokens": [[2] * n for n in (3, 4, 50, 60)], "label": [0, 1, 0, 1]}
    facts = facts_of_task("classify", data)
    path = write_snapshot(tmp_path, facts, {"train": example_table(data, facts)}, shards=1)
    plan = source(path, BatchSettings(batch_tokens=20)).plan(0)
    sizes = {int(plan.lengths[plan.rows(n)].max()): len(plan.rows(n)) for n in range(len(plan))}
    assert plan.overlong == 2
    assert sizes[50] == sizes[60] == 1


def test_padding_share_is_small_on_lognormal_lengths(tmp_path: Path) -> None:
    """Padded steps are computed for nothing: the aim is under three in a hundred."""
    lengths = lognormal_lengths(4000, median=300, longest=3000)
    data = {"tokens": [[2] * n for n in lengths], "label": [0] * 4000}
    facts = facts_of_task("classify", data)
    path = write_snapshot(tmp_path, facts, {"train": example_table(data, facts)})
    for epoch in range(2):
        assert source(path, BatchSettings()).plan(epoch).padding_share < 0.03


def test_evaluation_is_always_the_same(snapshot: Path) -> None:
    """Scores of two epochs would differ by the order of sums alone."""
    batches = source(snapshot, split="test")
    first, second = batches.plan_evaluation(), batches.plan_evaluation()
    assert first.order.tolist() == second.order.tolist()
    assert sorted(first.order.tolist()) == list(range(len(batches)))


def test_a_changed_shard_is_named_before_its_data_is_used(snapshot: Path) -> None:
    """One flipped bit must not reach training."""
    shard = next((snapshot.parent / "examples/split=train").rglob("*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    with pytest.raises(CorruptError, match=shard.name):
        source(snapshot)


def test_on_the_fly_views_are_fresh_each_epoch_and_planned(tmp_path: Path) -> None:
    """Lengths must be known before batches are planned, and evaluation must see whole rows."""
    step = {"name": "truncate", "position": 0, "length": 9, "keep": "random"}
    path = task_snapshot(tmp_path, "classify", rows=60, on_the_fly=(step,))
    batches = source(path)

    def views(epoch: int) -> dict[str, list[int]]:
        plan = batches.plan(epoch)
        rows = {}
        for batch in batches.batches(plan):
            assert batch.lengths.tolist() == plan.lengths[batch.rows].tolist()
            assert batch.lengths.max() <= 9
            for place, name in enumerate(batch.ids.to_pylist()):
                rows[name] = batch.inputs[place].tolist()
        return rows

    assert views(0) == views(0)
    assert views(0) != views(1)
    whole = next(
        batches.batches(batches.plan_evaluation(), start=len(batches.plan_evaluation()) - 1)
    )
    assert whole.lengths.max() > 9


def test_targets_follow_the_steps_that_a_view_selects(tmp_path: Path) -> None:
    """A crop of the inputs alone would train on the labels of other steps."""
    step = {"name": "truncate", "position": 0, "length": 9, "keep": "random"}
    path = task_snapshot(tmp_path, "label_steps", rows=60, on_the_fly=(step,))
    batches = source(path)
    for batch in batches.batches(batches.plan(0)):
        assert batch.targets is not None
        real = np.arange(batch.inputs.shape[1]) < batch.lengths[:, None]
        assert ((batch.inputs[..., 0] > 0) == batch.targets)[real].all()


def windowed(root: Path, *, records: int, windows: int, steps: int, last: int) -> Path:
    """Records of so many windows, all of `steps` steps but for the last."""
    count = records * windows
    number = np.arange(count)
    lengths = np.where(number % windows == windows - 1, last, steps)
    data = {
        "id": [f"r#{n // windows}" for n in number],
        "window": (number % windows).tolist(),
        "tokens": [[2] * n for n in lengths],
        "label": (number // windows % 2).tolist(),
    }
    facts = facts_of_task("classify", data, window_stride=steps)
    return write_snapshot(root, facts, {"train": example_table(data, facts)}, shards=3)


def test_windows_of_a_record_that_meet_in_a_batch_stand_in_order(tmp_path: Path) -> None:
    """Rows of a batch in another order than the record's would be of no use to carry state."""
    batches = source(windowed(tmp_path, records=3, windows=40, steps=8, last=8))
    met = 0
    for batch in batches.batches(batches.plan(0)):
        ids = batch.ids.to_pylist()
        windows = batches.first_steps[batch.rows]
        for place in range(1, len(ids)):
            if ids[place] in ids[:place]:
                met += 1
                assert ids[place] == ids[place - 1] and windows[place] > windows[place - 1]
    assert met


def test_batches_mix_records_and_places_of_windows(tmp_path: Path) -> None:
    """A batch full of one record, or an epoch from starts to ends, gives gradients all alike."""
    settings = BatchSettings(batch_tokens=512, max_rows=16)
    batches = source(windowed(tmp_path, records=25, windows=60, steps=32, last=20), settings)
    for epoch in range(2):
        plan = batches.plan(epoch)
        assert plan.padding_share < 0.03
        found = list(batches.batches(plan))
        assert (
            np.mean([len(set(batch.ids.to_pylist())) for batch in found if len(batch.rows) == 16])
            > 9
        )
        steps = [float(batches.first_steps[batch.rows].mean()) for batch in found]
        assert abs(np.corrcoef(np.arange(len(steps)), steps)[0, 1]) < 0.3


def test_the_first_batch_of_all_waits_for_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a million rows training would begin half a minute late, or read all of it twice."""
    path = task_snapshot(tmp_path, "classify", rows=600, shards=12)
    read: list[str] = []
    read_shard = seqprep.batches.read_shard

    def counted(snapshot: Snapshot, shard: Shard, **options: Any) -> Any:
        if "columns" not in options:
            read.append(shard.path)
        return read_shard(snapshot, shard, **options)

    monkeypatch.setattr(seqprep.batches, "read_shard", counted)
    monkeypatch.setattr(seqprep.batches, "_FIRST_BYTES", 10_000)
    batches = source(path)
    plan = batches.plan(0)
    assert [len(window) for window in plan.windows] == [1, 6, 5]
    walk = batches.batches(plan)
    next(walk)
    assert len(read) == 1
    assert sum(len(batch.rows) for batch in walk) + len(plan.rows(0)) == 600
    assert len(batches.plan(1).windows) == 1
    seen = [name for ids in order(batches, 1) for name in ids]
    assert len(seen) == len(set(seen)) == 600
    assert len(read) == len(set(read)) == 12, "what is held is not read again"


def test_rows_are_the_same_however_they_came_to_be_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards that are read one after the other would lend each other their rows."""
    path = task_snapshot(tmp_path, "translate", rows=90, shards=5)
    whole = next(iter(source(path).examples()))
    monkeypatch.setattr(seqprep.batches, "_FIRST_BYTES", 1)
    batches = source(path)
    for batch in batches.batches(batches.plan(0)):
        for place, row in enumerate(batch.rows.tolist()):
            start, stop = whole.inputs.offsets[row : row + 2]
            assert batch.ids[place].as_py() == whole.ids[row].as_py()
            wanted = whole.inputs.values[start:stop].tolist()
            assert batch.inputs[place, : stop - start].tolist() == wanted
            assert batch.target_tokens is not None and whole.target_tokens is not None
            first, last = whole.target_tokens.offsets[row : row + 2]
            truth = whole.target_tokens.values[first:last].tolist()
            assert batch.target_tokens[place, : last - first].tolist() == truth
    again = next(iter(batches.examples()))
    assert again.ids.to_pylist() == whole.ids.to_pylist()
    assert again.inputs.values.tolist() == whole.inputs.values.tolist()
