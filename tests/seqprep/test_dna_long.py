"""Long records of DNA: what is done block by block gives what one block would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqprep import kernels, ragged
from seqprep.preparation import shards
from seqprep.preparation.lists import take_rows
from seqprep.preparation.shards import ShardWriter
from seqprep.preparation.sorted_rows import SortedRows
from seqprep.tokens import kmers
from seqprep.tokens.kmers import encode_kmers

ROWS = st.lists(st.text("ACGTN", max_size=24), min_size=1, max_size=5)


def words(rows: list[str], *, k: int, stride: int, canonical: bool) -> list[list[str]]:
    """The k-mers of each row, one by one."""
    mirror = str.maketrans("ACGTN", "TGCAN")
    found = []
    for row in rows:
        every = [row[at : at + k] for at in range(0, len(row) - k + 1, stride)]
        if canonical:
            every = [min(one, one.translate(mirror)[::-1]) for one in every]
        found.append(["N" * k if "N" in one else one for one in every])
    return found


@given(ROWS, st.integers(1, 8), st.integers(1, 4), st.booleans(), st.integers(1, 30))
def test_kmers_do_not_depend_on_blocks(
    rows: list[str], k: int, stride: int, canonical: bool, block: int
) -> None:
    """Otherwise a k-mer across two blocks of a chromosome would be lost or made up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmers, "_BLOCK", block)
        patch.setattr(kernels, "_BLOCK", block)
        encoded = encode_kmers(pa.array(rows, pa.string()), k=k, stride=stride, canonical=canonical)
    names = encoded.tokens.to_pylist()
    found = [[names[code] for code in row] for row in ragged.to_lists(encoded.ids)]
    assert found == words(rows, k=k, stride=stride, canonical=canonical)


def test_ranks_are_looked_up_over_the_edges_of_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the tokens behind the first block of a long record would be void."""
    monkeypatch.setattr(kernels, "_BLOCK", 3)
    places = np.array([0, 1, 2, 2, 1, 0, 1], np.int16)
    assert kernels.look_up(np.array([7, 8, 900]), places).tolist() == [7, 8, 900, 900, 8, 7, 8]


def test_rows_are_taken_with_their_lists() -> None:
    """Otherwise a record would be stored with the bases, or the label, of another one."""
    lists = pa.array([[9], [1, 2], [], [3]], pa.list_(pa.int8()))
    table = pa.table(
        {"id": ["w", "x", "y", "z"], "tokens": lists, "targets": pa.nulls(4, lists.type)}
    )
    taken = take_rows(table.slice(1), np.array([2, 0, 0]))
    assert taken.to_pylist() == [
        {"id": "z", "tokens": [3], "targets": None},
        {"id": "x", "tokens": [1, 2], "targets": None},
        {"id": "x", "tokens": [1, 2], "targets": None},
    ]
    assert taken.schema == table.schema


def test_a_long_record_is_a_row_group_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a chromosome would be copied to stand beside short records."""
    monkeypatch.setattr(shards, "ROW_GROUP_VALUES", 100)
    lists = pa.array([[1], [2] * 500, [3], [4]], pa.list_(pa.int8()))
    table = pa.table({"length": pa.array([1, 500, 1, 1], pa.int32()), "tokens": lists})
    writer = ShardWriter(tmp_path, table.schema, split="train", bucket=0, shard_bytes=10**9)
    rows = SortedRows.of([table], np.arange(4), table.column_names)
    for row in range(4):
        writer.add(rows, row, row + 1)
    writer.end()
    for shard in writer.pending():
        shard.write()
        shard.publish()
    read = pq.ParquetFile(tmp_path / writer.files[0].path)
    groups = [read.read_row_group(number)["tokens"].to_pylist() for number in range(3)]
    assert groups == [[[1]], [[2] * 500], [[3], [4]]]
