"""Rows on their way to the shards: in order, and copied only where they are short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from seqprep.preparation import slots, sorted_rows
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.slots import DiskSlots
from seqprep.preparation.sorted_rows import SortedRows
from seqprep.preparation.spill import SpillFolder
from seqprep.ragged import from_lists, to_lists


def tables() -> list[pa.Table]:
    """Seven rows in two tables: ids, and lists of 0 to 6 numbers."""
    return [
        pa.table(
            {
                "id": [f"r{row}" for row in rows],
                "values": pa.array([[float(row)] * row for row in rows], pa.list_(pa.float32())),
            }
        )
        for rows in ([0, 1, 2], [3, 4, 5, 6])
    ]


@pytest.mark.parametrize("long_bytes", [1, 10**9])
@pytest.mark.parametrize(("start", "stop"), [(0, 7), (2, 5), (3, 4), (6, 7)])
def test_rows_are_in_order_whether_they_are_copied_or_not(
    monkeypatch: pytest.MonkeyPatch, long_bytes: int, start: int, stop: int
) -> None:
    """Otherwise a record would be stored with the values of another one."""
    monkeypatch.setattr(sorted_rows, "LONG_BYTES", long_bytes)
    order = np.array([6, 0, 4, 2, 1, 5, 3])
    found = SortedRows.of(tables(), order, ["id", "values"]).table(start, stop)
    expected = pa.concat_tables(tables()).take(order[start:stop])
    assert found.to_pylist() == expected.to_pylist()
    assert found.schema == expected.schema


def test_long_rows_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise every recording would be copied before it is written, into fresh memory."""
    monkeypatch.setattr(sorted_rows, "LONG_BYTES", 1)
    parts = tables()
    rows = SortedRows.of(parts, np.array([4, 5]), ["id", "values"])
    chunk = rows.table(0, 2)["values"].chunk(1)
    own = parts[1]["values"].chunk(0).values
    place = chunk.values.buffers()[1].address - own.buffers()[1].address
    assert place == 4 * (3 + 4)  # behind the rows of three and four numbers


def test_rows_of_a_slot_on_disk_are_never_one_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot of more than 2**31 numbers cannot be one: lists count them in 32 bits."""
    monkeypatch.setattr(slots, "_JOINED_BYTES", 1_000)
    lists = pa.list_(pa.int32())
    parts = [
        pa.table(
            {
                "place": np.arange(3, dtype=np.uint64) + 2**63 * (number % 2),
                "row": [3 * number, 3 * number + 1, 3 * number + 2],
                "tokens": pa.array([[number] * (1_000 if number == 8 else 20)] * 3, lists),
            }
        )
        for number in range(40)
    ]
    with SpillFolder(tmp_path) as folder:
        with DiskSlots(folder, 2, parts[0].schema) as disk:
            for part in parts:
                disk.add(part)
        for number in range(2):
            found = disk.read(number)
            assert pa.concat_tables(found).equals(pa.concat_tables(parts[number::2]))
            sizes = [table["tokens"].nbytes for table in found if len(table) > 3]
            assert 3 < len(found) < 10 and max(sizes) < 2_000
            assert all(table["tokens"].num_chunks == 1 for table in found)


@pytest.mark.parametrize("long_bytes", [1, 10**9])
def test_rows_go_to_their_slots_in_order_whether_they_are_copied_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_bytes: int
) -> None:
    """Otherwise a chromosome would be routed with the place of its neighbour."""
    monkeypatch.setattr(slots, "LONG_BYTES", long_bytes)
    place = np.array([0, 2**63, 1, 2, 2**63 + 1, 3], dtype=np.uint64)
    table = pa.table(
        {
            "place": place,
            "values": pa.array([[float(row)] * row for row in range(6)], pa.list_(pa.float32())),
        }
    )
    with SpillFolder(tmp_path) as folder:
        with DiskSlots(folder, 2, table.schema) as disk:
            disk.add(table)
        found = [pa.concat_tables(disk.read(number)) for number in range(2)]
    assert found[0].equals(table.take(pa.array([0, 2, 3, 5])))
    assert found[1].equals(table.take(pa.array([1, 4])))


def test_steps_that_come_back_from_disk_can_be_written_to(tmp_path: Path) -> None:
    """Otherwise the ids of a chromosome would be held twice while they are looked up."""
    numbers = np.arange(3)
    chunk = Chunk(
        steps=from_lists([[5, 6], [], [7]]),
        targets=None,
        keys=numbers.astype(np.uint64),
        rows=numbers,
        splits=np.zeros(3, np.int8),
        views=numbers * 0,
        windows=numbers * 0,
    )
    with SpillFolder(tmp_path) as folder:
        folder.put("chunk", chunk)
        found = folder.take("chunk", width=None, target_width=None)
        assert not list(folder.path.glob("chunk*"))
    assert to_lists(found.steps) == [[5, 6], [], [7]]
    assert found.steps.values.dtype == chunk.steps.values.dtype
    found.steps.values[:] = 1
    assert found.keys.tolist() == [0, 1, 2]
