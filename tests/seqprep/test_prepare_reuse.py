"""What prepare reuses must lie there whole."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from seqprep.errors import CorruptError
from seqprep.table import Table
from tests.seqprep.test_prepare import prepared
from tests.synthetic import documents, write_sequences


def test_preparing_again_mends_a_lost_shard(tmp_path: Path) -> None:
    """Would break if a version that lacks a file were reused: no rerun could ever mend it."""
    write_sequences(tmp_path, documents(40))
    first = prepared(tmp_path)
    (examples,) = tmp_path.glob("*/examples-*")
    shard = next(examples.rglob("*.parquet"))
    data = shard.read_bytes()
    shard.unlink()
    again = prepared(tmp_path)
    assert (again.reused, again.rows) == (False, first.rows)
    assert shard.read_bytes() == data
    Table(examples).verify()
    assert prepared(tmp_path).reused


def test_altered_sequences_are_found_before_they_are_prepared(tmp_path: Path) -> None:
    """Would break if other rows in a valid Parquet file were prepared as the committed ones."""
    write_sequences(tmp_path, documents(40))
    path = next(tmp_path.glob("*/sequences/*.parquet"))
    rows = pq.read_table(path)
    pq.write_table(rows.slice(1), path)
    with pytest.raises(CorruptError, match="not those that were committed"):
        prepared(tmp_path)
