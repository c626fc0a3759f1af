"""A snapshot of generated examples, as `prepare` would leave one, and the same rows for peers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.common import ZSTD_LEVEL
from benchmarks.inputs import SEED, lengths_of_rows
from seqprep.ragged import row_keys, to_offsets
from seqprep.schema import examples_schema
from seqprep.snapshot import Facts, Shard, Snapshot, file_sha256

VOCAB = 102
MEDIAN, SIGMA, HIGH = 300.0, 0.8, 8000
ROWS_A_SHARD = 25_000
ROW_GROUP_VALUES = 2**20
"""As `prepare` does; said here, since a bare GPU node cannot import it."""
FACTS = Facts(
    dataset="bench",
    recipe="default",
    task="classify",
    domain="text",
    vocab_size=VOCAB,
    labels=("a", "b"),
)


def example_table(rows: int, *, median: float = MEDIAN, high: int = HIGH) -> pa.Table:
    """Token rows of lognormal lengths (median 300) with two classes."""
    rng = np.random.default_rng(SEED + 1)
    lengths = lengths_of_rows(rows, median=median, sigma=SIGMA, high=high)
    ids = pa.array([f"r#{n}" for n in range(rows)])
    tokens = rng.integers(2, VOCAB, size=int(lengths.sum()), dtype=np.int8)
    zeros = np.zeros(rows, np.int32)
    columns = {
        "id": ids,
        "key": row_keys(ids).view(np.int64),
        "view": zeros,
        "window": zeros,
        "length": lengths.astype(np.int32),
        "record_length": lengths.astype(np.int32),
        "tokens": pa.ListArray.from_arrays(
            pa.array(to_offsets(lengths).astype(np.int32)), pa.array(tokens)
        ),
        "label": rng.integers(0, 2, size=rows).astype(np.int32),
    }
    schema = examples_schema("classify", vocab_size=VOCAB)
    return pa.table([columns[field.name] for field in schema], schema=schema)


def write_snapshot(folder: Path, table: pa.Table) -> Path:
    """Shards of random rows and the snapshot that names them; its path."""
    shards = []
    for number, start in enumerate(range(0, len(table), ROWS_A_SHARD)):
        name = f"split=train/bucket=0/part-{number:03d}.parquet"
        path = folder / "examples" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = table.slice(start, ROWS_A_SHARD)
        steps = pc.sum(part["length"]).as_py()
        pq.write_table(
            part,
            path,
            row_group_size=max(1, ROW_GROUP_VALUES * len(part) // steps),  # as `prepare` does
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            write_page_checksum=True,
        )
        shards.append(
            Shard(
                path=name,
                sha256=file_sha256(path),
                size_bytes=path.stat().st_size,
                rows=len(part),
                split="train",
                bucket=0,
            )
        )
    snapshot = Snapshot(root=folder / "examples", facts=FACTS, shards=tuple(shards))
    snapshot.write(folder / "snapshot.json")
    return folder / "snapshot.json"
