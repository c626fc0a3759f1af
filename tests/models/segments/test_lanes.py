"""Lanes: every step of every record once and in order, whatever the lengths, and little padding."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.segments.lanes import Lanes, Pieces, Queue, advance, count_lanes
from models.segments.reading import Cut, Reading, block_edges, computed_steps
from models.segments.rounds import Position, Round, Rounds
from seqprep.batches import BatchSettings, BatchSource
from seqprep.snapshot import Snapshot
from tests.synthetic import example_table, facts_of_task, task_snapshot, write_snapshot

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40).map(np.array)


def all_updates(lengths: np.ndarray, *, steps: int, lanes: int, seed: int = 0) -> list[Pieces]:
    """The pieces of all updates of an epoch."""
    draws = np.random.default_rng(seed).random(len(lengths))
    queue = Queue.of(np.arange(len(lengths)), lengths, draws)
    found, stand = [], Lanes.empty(lanes)
    while True:
        pieces, stand = advance(stand, queue, lengths=lengths, steps=steps)
        if not len(pieces):
            return found
        found.append(pieces)
        stand = Lanes.from_json(stand.to_json())


@given(lengths=LENGTHS, steps=st.integers(1, 70), lanes=st.integers(1, 9))
def test_every_step_of_every_record_is_read_once_and_in_order(
    lengths: np.ndarray, steps: int, lanes: int
) -> None:
    """A step that is skipped or read twice makes another record; one lane reads all of a record."""
    read: dict[int, int] = {}
    lane_of: dict[int, int] = {}
    for pieces in all_updates(lengths, steps=steps, lanes=lanes):
        for lane, row, start, stop, ends in zip(
            pieces.lanes, pieces.rows, pieces.starts, pieces.stops, pieces.ends, strict=True
        ):
            assert read.get(row, 0) == start < stop
            assert lane_of.setdefault(row, lane) == lane
            assert ends == (stop == lengths[row])
            read[row] = stop
    assert read == dict(enumerate(lengths.tolist()))


@given(lengths=LENGTHS, steps=st.integers(1, 70), lanes=st.integers(1, 9))
def test_lanes_are_full_as_long_as_the_queue_lasts(
    lengths: np.ndarray, steps: int, lanes: int
) -> None:
    """A lane that waits for the others to end computes padding, or nothing."""
    begun = 0
    for pieces in all_updates(lengths, steps=steps, lanes=lanes):
        used = np.bincount(pieces.lanes, pieces.sizes, minlength=lanes)
        assert used.max() <= steps
        begun += int((pieces.starts == 0).sum())
        if begun < len(lengths):
            assert (used == steps).all()
        # at most one piece of a lane goes on from the last update, and one into the next
        for marked in (pieces.starts > 0, ~pieces.ends):
            assert len(set(pieces.lanes[marked])) == marked.sum()


def test_a_record_that_ends_leaves_its_lane_alone() -> None:
    """The other lanes must go on where they are: no common end of a batch."""
    updates = all_updates(np.array([7, 3, 3, 3, 3]), steps=4, lanes=2)
    seen = [
        sorted(zip(p.lanes.tolist(), p.rows.tolist(), p.starts.tolist(), strict=True))
        for p in updates
    ]
    long = next(lane for lane, row, _ in seen[0] if row == 0)
    assert [(long, 0, 4) in update for update in seen] == [False, True, False, False][: len(seen)]
    assert any(lane != long and start == 1 for lane, _, start in seen[1])


@given(
    lengths=LENGTHS,
    steps=st.integers(1, 30),
    more=st.integers(0, 40),
    lanes=st.integers(1, 9),
    every=st.booleans(),
)
def test_the_state_at_an_anchor_was_kept(
    lengths: np.ndarray, steps: int, more: int, lanes: int, every: bool
) -> None:
    """Reading again from k2 - k1 steps back needs the state there, kept by an earlier update."""
    cut = Cut(steps=steps, gradient=steps + more, every=every)
    kept: dict[int, int] = {}
    for pieces in all_updates(lengths, steps=steps, lanes=lanes):
        reading = Reading.of(pieces, cut)
        for n, row in enumerate(pieces.rows):
            anchor, size, mark = reading.anchors[n], reading.sizes[n], reading.marks[n]
            assert anchor == max(0, pieces.starts[n] - more)
            assert anchor == kept.get(row, 0)
            assert -1 <= mark <= size and reading.has_loss[n] == (every or pieces.ends[n])
            if reading.has_loss[n]:
                assert anchor + size == pieces.stops[n]
            if mark >= 0:
                kept[row] = anchor + mark


@given(lengths=LENGTHS, data=st.data(), padding=st.sampled_from([0.0, 0.02, 0.3]))
def test_blocks_pad_no_more_than_they_may(
    lengths: np.ndarray, data: st.DataObject, padding: float
) -> None:
    """Computed steps that are no steps of a record are time for nothing."""
    lengths = np.sort(lengths)[::-1]
    marks = np.array([data.draw(st.integers(-1, int(length))) for length in lengths])
    edges = block_edges(lengths, marks, padding=padding)
    assert edges[0] == 0 and edges[-1] == lengths.max() and (np.diff(edges) > 0).all()
    inside = marks[(marks > 0) & (marks < lengths)]
    assert set(inside.tolist()) <= set(edges.tolist())
    computed = sum((lengths > a).sum() * (b - a) for a, b in pairwise(edges))
    assert lengths.sum() / computed >= 1 - padding - 1e-9


@pytest.mark.parametrize(
    ("shortest", "longest", "steps"),
    [(10, 10_000, 100), (1, 1_000, 100), (1, 1_000, 7), (10, 10_000, 2_500), (50, 50_000, 1_000)],
)
@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("more", [0, 50])
def test_98_percent_of_the_computed_steps_are_real(
    shortest: int, longest: int, steps: int, every: bool, more: int
) -> None:
    """At lengths spread 1 : 1000, a padded batch would be three quarters padding."""
    rng = np.random.default_rng(1)
    lengths = np.exp(rng.uniform(np.log(shortest), np.log(longest), 400)).astype(np.int64)
    lanes = count_lanes(steps, batch_tokens=16_384, max_rows=64, rows=len(lengths))
    cut, real, computed = Cut(steps=steps, gradient=steps + more, every=every), 0, 0
    for pieces in all_updates(lengths, steps=steps, lanes=lanes):
        reading = Reading.of(pieces, cut)
        real, computed = real + reading.sizes.sum(), computed + computed_steps(reading)
    assert real / computed >= 0.98


def test_the_longest_tenth_is_handed_out_first() -> None:
    """A long record begun last is read alone, by one lane, at the end of the epoch."""
    lengths = np.random.default_rng(0).permutation(np.arange(1, 101))
    rows = Queue.of(np.arange(100), lengths, np.random.default_rng(1).random(100)).rows
    assert sorted(lengths[rows[:10]]) == list(range(91, 101))
    assert sorted(rows) == list(range(100)) and lengths[rows[:10]].tolist() != [*range(91, 101)]


def test_lanes_fill_the_budget_within_their_limits() -> None:
    """More lanes than tokens, rows or the limit allow would break the memory asked for."""
    assert count_lanes(100, batch_tokens=16_384, max_rows=None, rows=1_000) == 163
    assert count_lanes(100, batch_tokens=16_384, max_rows=64, rows=1_000) == 64
    assert count_lanes(100, batch_tokens=16_384, max_rows=64, rows=5) == 5
    assert count_lanes(100_000, batch_tokens=16_384, max_rows=64, rows=5) == 1


CUT = Cut(steps=6, gradient=9, every=True)


def rounds_of(path: Path, *, epoch: int = 0, memory: int = 2**30, seed: int = 0) -> Rounds:
    source = BatchSource.of_snapshot(
        Snapshot.read(path), "train", settings=BatchSettings(memory=memory, seed=seed)
    )
    return Rounds(source, epoch, cut=CUT, lanes=3)


def told(round_: Round) -> tuple[object, ...]:
    """Everything a model sees of a round."""
    parts = [
        (p.lanes.tolist(), p.inputs.values.tolist(), p.sizes.tolist(), p.labels.tolist())
        for p in round_.passes
        if p.labels is not None
    ]
    return (round_.ids.to_pylist(), parts, round_.after.to_json(), round_.has_loss)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return task_snapshot(tmp_path, "classify", rows=24, shards=4)


def test_rounds_follow_from_seed_and_epoch_alone(path: Path) -> None:
    """Resuming and other machines rely on it; each epoch has its own order."""
    every = []
    for epoch, seed in ((0, 0), (0, 0), (1, 0), (0, 1)):
        rounds = rounds_of(path, epoch=epoch, seed=seed)
        every.append([told(round_) for round_ in rounds.read(rounds.start())])
    assert every[0] == every[1] and every[0] != every[2] and every[0] != every[3]


@pytest.mark.parametrize("memory", [2**30, 2_500])
def test_rounds_go_on_from_any_position(path: Path, memory: int) -> None:
    """Stopped after any round, the rest is the same: in one window of shards or in several."""
    rounds = rounds_of(path, memory=memory)
    assert (len(rounds.windows) > 1) == (memory < 2**30)
    whole = list(rounds.read(rounds.start()))
    for number in range(0, len(whole), 3):
        after = Position.from_json(whole[number].after.to_json())
        rest = rounds_of(path, memory=memory).read(after)
        assert [told(r) for r in rest] == [told(r) for r in whole[number + 1 :]]
    ids = {name for round_ in whole for name in round_.ids.to_pylist()}
    assert ids == {f"train#{n}" for n in range(24)}
    assert (len(rounds), rounds.learning) == (len(whole), len(whole))


@pytest.mark.parametrize("memory", [2**30, 2_500])
def test_the_number_of_rounds_is_known_before_they_are_read(path: Path, memory: int) -> None:
    """Rate and schedule follow the share of the training that is done."""
    for epoch in range(2):
        every = rounds_of(path, memory=memory, epoch=epoch)
        rounds = Rounds(every.source, epoch, cut=replace(CUT, every=False), lanes=3)
        read = list(rounds.read(rounds.start()))
        assert len(rounds) == len(read)
        assert rounds.learning == sum(round_.has_loss for round_ in read) < len(read)


def test_going_on_reads_no_more_at_the_end_than_at_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resuming may not read again what was learnt from: it costs one window of shards."""
    rounds = rounds_of(path, memory=2_500)
    whole = list(rounds.read(rounds.start()))
    for round_ in whole[:-1]:
        fresh, loads = rounds_of(path, memory=2_500), 0
        read = type(fresh.source).window

        def counted(self: BatchSource, shards: tuple[int, ...], epoch: int) -> object:
            nonlocal loads
            loads += 1
            return read(self, shards, epoch)  # noqa: B023

        monkeypatch.setattr(type(fresh.source), "window", counted)
        next(fresh.read(round_.after))
        monkeypatch.undo()
        assert loads <= 2


def lanes_of(*rounds: Round) -> list[int]:
    """The lanes of all pieces."""
    return sorted(chain.from_iterable(p.lanes.tolist() for r in rounds for p in r.passes))


@pytest.mark.parametrize("world", [2, 3, 4])
def test_processes_share_the_lanes(path: Path, world: int) -> None:
    """The order of records must not change with the number of processes; no lane is read twice."""
    rounds = rounds_of(path)
    alone = list(rounds.read(rounds.start()))
    ranks = [list(rounds_of(path).read(rounds.start(), rank=r, world=world)) for r in range(world)]
    for whole, *parts in zip(alone, *ranks, strict=True):
        assert {str(p.after.to_json()) for p in parts} == {str(whole.after.to_json())}
        assert {tuple(p.ids.to_pylist()) for p in parts} == {tuple(whole.ids.to_pylist())}
        assert lanes_of(*parts) == lanes_of(whole)
        assert all(
            n % world == rank
            for rank, part in enumerate(parts)
            for p in part.passes
            for n in p.lanes.tolist()
        )
        assert len({(p.total_steps, p.has_loss) for p in (*parts, whole)}) == 1


def test_a_drawn_view_is_the_same_in_all_segments_of_an_epoch(tmp_path: Path) -> None:
    """A crop drawn again for each segment would join steps of different crops."""
    data = {"tokens": [list(range(2, 42))] * 6, "label": [0, 1] * 3}
    crop = {"name": "truncate", "position": 0, "length": 20, "keep": "random"}
    facts = facts_of_task("classify", data, vocab_size=64, on_the_fly=(crop,))
    path = write_snapshot(tmp_path, facts, {"train": example_table(data, facts)})
    starts = []
    for epoch in range(2):
        rounds = rounds_of(path, epoch=epoch)
        read: list[list[int]] = []
        lanes: dict[int, list[int]] = {}
        for part in chain.from_iterable(r.passes for r in rounds.read(rounds.start())):
            for n, lane in enumerate(part.lanes.tolist()):
                row = part.inputs.values[slice(*part.inputs.offsets[n : n + 2])].tolist()
                if part.fresh[n] and part.context[n] == 0:
                    lanes[lane] = []
                    read.append(lanes[lane])
                lanes[lane] += row[part.context[n] :]
        assert len(read) == 6 and all(r == [*range(r[0], r[0] + 20)] for r in read)
        starts.append(sorted(r[0] for r in read))
    assert starts[0] != starts[1]
