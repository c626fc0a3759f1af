"""Small seeded data for tests: snapshots of examples with a structure that a model can learn."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from Bio.Seq import Seq

from seqprep.fingerprint import fingerprint
from seqprep.ragged import row_keys
from seqprep.schema import (
    CONTENT_COLUMN,
    NUM_RESERVED_TARGET,
    SPLITS,
    Split,
    Task,
    examples_schema,
    sequences_schema,
)
from seqprep.snapshot import Facts, Shard, Snapshot, file_sha256
from seqprep.staging import StagedWriter
from seqprep.table import CommitInfo, Table

VOCAB = 8


def lognormal_lengths(
    rows: int, *, seed: int = 0, median: float = 20, sigma: float = 0.6, longest: int = 200
) -> np.ndarray:
    """Lengths `(rows,)` in steps, many short and few long ones."""
    lengths = np.random.default_rng(seed).lognormal(np.log(median), sigma, rows)
    return np.clip(lengths, 1, longest).astype(np.int64)


def token_rows(rows: int, *, seed: int, labels: int = 2, vocab: int = VOCAB) -> dict[str, Any]:
    """Token rows whose class is carried by which of the last ids occurs, anywhere."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, labels, rows)
    tokens = []
    for length, code in zip(lognormal_lengths(rows, seed=seed), label, strict=True):
        row = rng.integers(2, vocab - labels, length)
        row[rng.integers(0, length, max(1, length // 8))] = vocab - labels + code
        tokens.append(row.tolist())
    return {"tokens": tokens, "label": label.tolist()}


def value_rows(rows: int, *, seed: int, channels: int = 2) -> dict[str, Any]:
    """Value rows, row-major, whose class is their standard deviation."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    values = [
        (rng.normal(size=(length, channels)) * (0.5 + code)).astype(np.float32).ravel().tolist()
        for length, code in zip(lognormal_lengths(rows, seed=seed), label, strict=True)
    ]
    return {"values": values, "label": label.tolist()}


def counting_rows(rows: int, *, seed: int) -> list[list[int]]:
    """Token rows that count in a circle from anywhere, by 1 or by 2, and end after two rounds."""
    rng = np.random.default_rng(seed)
    ids = VOCAB - NUM_RESERVED_TARGET
    return [
        (NUM_RESERVED_TARGET + (first + by * np.arange(2 * ids // by)) % ids).tolist()
        for first, by in zip(rng.integers(0, ids, rows), rng.integers(1, 3, rows), strict=True)
    ]


def rows_of_task(task: Task, rows: int, *, seed: int) -> dict[str, Any]:
    """Columns of inputs and targets for a task, learnable from `rows` rows."""
    rng = np.random.default_rng(seed + 1)
    if task == "classify":
        return token_rows(rows, seed=seed)
    if task == "regress":
        data = value_rows(rows, seed=seed)
        return {"values": data["values"], "label": [100.0 + 5.0 * code for code in data["label"]]}
    if task == "translate":
        tokens = [rng.integers(2, VOCAB, n).tolist() for n in rng.integers(2, 7, rows)]
        return {"tokens": tokens, "target_tokens": [[t + 2 for t in row[::-1]] for row in tokens]}
    if task == "next":
        return {"tokens": counting_rows(rows, seed=seed)}
    values = value_rows(rows, seed=seed)["values"]
    if task == "reconstruct":
        return {"values": values}
    steps = [np.asarray(row, np.float32).reshape(-1, 2) for row in values]
    if task == "label_steps":
        return {"values": values, "targets": [(s[:, 0] > 0).astype(int).tolist() for s in steps]}
    assert task == "regress_steps", task
    return {"values": values, "targets": [(100 + s @ [1.0, -1.0]).tolist() for s in steps]}


def facts_of_task(task: Task, data: dict[str, Any], **changes: Any) -> Facts:
    """Facts that fit the columns of `data`."""
    tokens = "tokens" in data
    every: dict[str, Any] = {
        "dataset": "synthetic",
        "recipe": "default",
        "task": task,
        "domain": "dna" if tokens else "eeg",
        "vocab_size": VOCAB if tokens else None,
        "channels": () if tokens else ("left", "right"),
        "labels": ("no", "yes") if task in ("classify", "label_steps") else (),
        "target_names": ("q",) if task == "regress_steps" else (),
        "target_vocab_size": VOCAB + 2 if task == "translate" else None,
    }
    return Facts(**{**every, **changes})


def example_table(data: dict[str, Any], facts: Facts, *, prefix: str = "r") -> pa.Table:
    """Rows with the schema of `examples`."""
    width = max(1, len(facts.channels))
    content = data.get("tokens") or data["values"]
    lengths = [len(row) // width for row in content]
    ids = pa.array(data.get("id") or [f"{prefix}#{n}" for n in range(len(content))])
    zeros = [0] * len(content)
    columns = {
        "id": ids,
        "key": row_keys(ids).view(np.int64),
        "view": data.get("view") or zeros,
        "window": data.get("window") or zeros,
        "length": lengths,
        "record_length": lengths,
        **{
            k: data[k]
            for k in ("tokens", "values", "label", "targets", "target_tokens")
            if k in data
        },
    }
    schema = examples_schema(facts.task, vocab_size=facts.vocab_size)
    return pa.table([pa.array(columns[f.name], f.type) for f in schema], schema=schema)


def write_snapshot(
    root: Path, facts: Facts, tables: dict[Split, pa.Table], *, shards: int = 2
) -> Path:
    """Write tables as Parquet shards and the snapshot that names them; its path."""
    listed = []
    for split, table in tables.items():
        step = -(-len(table) // shards)
        for number in range(shards):
            name = f"split={split}/bucket=0/part-{number:03d}.parquet"
            path = root / "examples" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = table.slice(number * step, step)
            pq.write_table(part, path, write_page_checksum=True)
            listed.append(
                Shard(
                    path=name,
                    sha256=file_sha256(path),
                    size_bytes=path.stat().st_size,
                    rows=len(part),
                    split=split,
                    bucket=0,
                )
            )
    snapshot = Snapshot(
        root=root / "examples",
        facts=facts,
        shards=tuple(sorted(listed, key=lambda shard: shard.path)),
    )
    snapshot.write(root / "snapshot.json")
    return root / "snapshot.json"


def task_snapshot(
    root: Path, task: Task, *, rows: int = 60, shards: int = 2, seed: int = 0, **changes: Any
) -> Path:
    """A snapshot of learnable rows: `rows` for training, a third of that for each other split."""
    data = {
        split: rows_of_task(task, rows if split == "train" else rows // 3, seed=seed + 10 * number)
        for number, split in enumerate(SPLITS)
    }
    facts = facts_of_task(task, data["train"], **changes)
    tables = {split: example_table(data[split], facts, prefix=split) for split in SPLITS}
    return write_snapshot(root, facts, tables, shards=shards)


def write_sequences(
    store: Path,
    records: list[dict[str, Any]],
    *,
    domain: str = "text",
    task: Task = "classify",
    dataset: str = "synthetic",
    chunk_rows: int = 7,
    file_rows: int | None = None,
    **params: Any,
) -> Table:
    """Commit a `sequences` table as an ingest would; the table.

    Args:
        store: folder of the datasets.
        records: columns by name; `id` defaults to `f.txt#<number>`, the group to the id, and the
            content hash to that of the content (DNA: of the smaller strand).
        domain: of the table.
        task: of the table.
        dataset: its folder.
        chunk_rows: rows of a row group.
        file_rows: rows of a file; default all in one. The same rows are the same file again.
        **params: facts of the table, e.g. `channels`.
    """
    table = Table(store / dataset / "sequences")
    schema = sequences_schema(domain, task)
    content = CONTENT_COLUMN[domain]
    width = max(1, len(params.get("channels", ())))
    rows = [_sequence_row(n, record, content, width) for n, record in enumerate(records)]
    files = []
    for first in range(0, len(rows), file_rows or len(rows)):
        some = rows[first : first + (file_rows or len(rows))]
        with StagedWriter(table.path, f"part-{first:05d}", schema) as writer:
            for start in range(0, len(some), chunk_rows):
                part = some[start : start + chunk_rows]
                columns = [[row.get(field.name) for row in part] for field in schema]
                arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
                writer.write(pa.table(arrays, schema=schema))
        files.append(writer.staged)
    base = table.version()
    table.commit(
        schema=schema,
        files=files,
        remove="all",
        info=CommitInfo(
            kind="sequences",
            fingerprint=fingerprint(rows_digest(rows), params),
            params={"domain": domain, "task": task, **params},
        ),
        base=base,
    )
    return table


def rows_digest(rows: list[dict[str, Any]]) -> str:
    """A digest of literal rows."""
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def _sequence_row(number: int, record: dict[str, Any], content: str, width: int) -> dict[str, Any]:
    source = record.get("source", f"f{number:05d}.txt")
    id_ = record.get("id", f"{source}#{record.get('record', 0)}")
    value = record[content]
    key = value if content != "bases" else min(value, str(Seq(value).reverse_complement()))
    return {
        "name": id_,
        "group": id_,
        "length": len(value) // (width if content == "values" else 1),
        "record": 0,
        "content_hash": hashlib.sha256(repr(key).encode()).digest(),
        **record,
        "id": id_,
        "source": source,
    }


def documents(rows: int, *, seed: int = 0, groups: int = 0) -> list[dict[str, Any]]:
    """Text records of two classes that differ by a rare word anywhere among frequent ones."""
    rng = np.random.default_rng(seed)
    common = [f"w{n}" for n in range(30)]
    records = []
    for number in range(rows):
        label = ("neg", "pos")[number % 2]
        words = rng.choice(common, rng.integers(3, 40), p=_zipf(30)).tolist()
        words.insert(int(rng.integers(0, len(words))), {"neg": "awful", "pos": "great"}[label])
        record = {"text": " ".join(words) + f" u{number}.", "label": label}
        if groups:
            record["group"] = f"g{number % groups}"
        records.append(record)
    return records


def _zipf(count: int) -> np.ndarray:
    weights = 1 / np.arange(1, count + 1)
    return weights / weights.sum()
