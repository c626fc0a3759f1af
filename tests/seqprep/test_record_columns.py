"""Columns that a run keeps of every record, as the next run reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from seqprep.preparation.record_columns import Stored, write_columns
from seqprep.staging import StagedFile
from seqprep.state import StateDir

CHUNKS, ROWS = 5, 4


def chunk(number: int) -> pa.Table:
    """Columns of one chunk; every file is named once, and one label is lacking."""
    labels = pa.array(["x", None, "y", "x"])
    sources = pa.array([f"{number}/{row}.txt" for row in range(ROWS)])
    return pa.table(
        {
            "label": labels.dictionary_encode(),
            "source": sources.dictionary_encode(),
            "length": np.arange(ROWS, dtype=np.int32) + number,
        }
    )


def stored(folder: Path, tables: list[pa.Table]) -> Stored:
    file = StagedFile(path="one.parquet", size_bytes=1, rows=CHUNKS * ROWS, sha256="0" * 64)
    chunks = [(file, number) for number in range(CHUNKS)]
    state = StateDir(folder)
    starts = np.arange(CHUNKS + 1) * ROWS
    return Stored.of(state, write_columns(state, iter(tables), chunks, starts))


def test_a_chunk_comes_back_with_the_names_that_stand_in_it(tmp_path: Path) -> None:
    """The names of all records would be held, hashed and written once more for every chunk."""
    tables = [chunk(number) for number in range(CHUNKS)]
    found = stored(tmp_path, tables)
    assert found.places == {("one.parquet", "0" * 64): (0, (ROWS,) * CHUNKS)}
    for number, table in enumerate(tables):
        rows = found.rows(number * ROWS, (number + 1) * ROWS, table.column_names)
        assert rows.to_pydict() == table.to_pydict()
        assert rows["source"].num_chunks == 1
        assert len(rows["source"].chunk(0).dictionary) == ROWS
        assert sorted(rows["label"].chunk(0).dictionary.to_pylist()) == ["x", "y"]


def test_chunks_that_were_read_back_are_kept_again_alike(tmp_path: Path) -> None:
    """An append would move the label or the file of a record to another one."""
    tables = [chunk(number) for number in range(CHUNKS)]
    found = stored(tmp_path, tables)
    names = tables[0].column_names
    again = [found.rows(n * ROWS, (n + 1) * ROWS, names) for n in range(CHUNKS - 1)]
    other = stored(tmp_path, [*again, chunk(9)])
    expected = [row for table in [*tables[:-1], chunk(9)] for row in table.to_pylist()]
    assert other.rows(0, CHUNKS * ROWS, names).to_pylist() == expected
