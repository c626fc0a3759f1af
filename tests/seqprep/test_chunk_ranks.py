"""Ranks of local ids: the same wherever maps wait, and no memory that grows with the chunks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from seqprep.chunk_ranks import Maps, Places
from seqprep.frequency_counter import ChunkCounts, FrequencyCounter
from seqprep.preparation import first_pass, work
from seqprep.preparation.spill import SpillFolder
from seqprep.preparation.spilled_maps import SpilledMaps
from seqprep.recipe import Prepare
from seqprep.schema import Task
from seqprep.snapshot import Snapshot
from tests.seqprep.test_prepare import prepared
from tests.synthetic import documents, write_sequences

WORDS = [f"w{n:03}" for n in range(500)]


def counted(maps: Maps, chunks: int) -> FrequencyCounter:
    """Chunks 0, 2, 4, ... with all words in turning orders, the last word most frequent."""
    counter = FrequencyCounter(maps, memory_bytes=0)
    for number in range(chunks):
        order = np.roll(np.arange(len(WORDS)), number)
        tokens = pa.array(WORDS).take(pa.array(order))
        counter.add(ChunkCounts(tokens=tokens, counts=order + 1, rows=1), chunk=2 * number)
    return counter


@pytest.mark.parametrize("held_bytes", [0, 7_000, 10**9])
def test_ranks_are_the_same_wherever_maps_wait(tmp_path: Path, held_bytes: int) -> None:
    """Ids would depend on the memory setting, or be those of another chunk."""
    with SpillFolder(tmp_path, held_bytes=held_bytes) as folder:
        maps, others = (SpilledMaps(folder, name) for name in ("one", "two"))
        ranks, other = counted(maps, 9).finish()[1], counted(others, 3).finish()[1]
        known = counted({}, 9).finish()[1]
        for number in range(9):
            expected = 499 - np.roll(np.arange(500), number)
            assert ranks[2 * number].tolist() == known[2 * number].tolist() == expected.tolist()
        assert other[4].tolist() == (499 - np.roll(np.arange(500), 2)).tolist()


def test_maps_beyond_the_room_lie_on_disk(tmp_path: Path) -> None:
    """Memory would grow with the data: by four bytes for each token of each chunk."""
    with SpillFolder(tmp_path, held_bytes=5_000) as folder:
        maps = SpilledMaps(folder, "map")
        _, ranks = counted(maps, 40).finish()
        assert maps.held_bytes == 4_000
        assert sum(path.stat().st_size for path in folder.path.glob("map-*")) == 38 * 2_000
        assert ranks.ranks.nbytes == 2_000 and ranks.maps is maps


@pytest.mark.parametrize(("room", "most"), [(0, 2), (3.1, 4), (100, 12)])
def test_dictionaries_wait_in_a_quarter_of_the_memory(room: float, most: int) -> None:
    """Those of all chunks together would take many times the memory that a person gives."""
    part = ChunkCounts(tokens=pa.array(WORDS), counts=np.ones(500, np.int64), rows=1)
    maps: dict[int, Places] = {}
    counter = FrequencyCounter(maps, memory_bytes=int(4 * room * part.size_bytes))
    waiting = []
    for number in range(12):
        waiting.append(number + 1 - len(maps))
        counter.add(part, chunk=number)
    frequency, _ = counter.finish()
    assert max(waiting) == most
    assert set(frequency.counts.tolist()) == {12} and sorted(maps) == list(range(12))


@pytest.mark.parametrize("task", ["classify", "translate"])
def test_spilled_maps_give_the_same_files(
    tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words or answers would get other ids where memory is short."""
    records = [{**row, "target_text": row["text"][::-1]} for row in documents(60)]
    found: list[list[str]] = []
    files: list[int] = []
    put = SpilledMaps.__setitem__

    def watched(self: SpilledMaps, chunk: int, places: Places) -> None:
        put(self, chunk, places)
        files.append(len(list(self._folder.path.glob("map-*"))))

    monkeypatch.setattr(first_pass.SpilledMaps, "__setitem__", watched)
    for share in (work.HELD_SHARE, 10**12):
        monkeypatch.setattr(work, "HELD_SHARE", share)
        store = tmp_path / str(share)
        write_sequences(store, records, task=task, chunk_rows=9)
        done = prepared(store, task=task, recipe=Prepare(buckets=2))
        found.append([shard.sha256 for shard in Snapshot.read(Path(done.snapshot)).shards])
    assert found[0] == found[1]
    assert not any(files[: len(files) // 2]) and all(files[len(files) // 2 :])
