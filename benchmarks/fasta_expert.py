"""The FASTA job by an expert with Biopython and NumPy: bare, and with what ours gives beside it.

In both a process a file reads, encodes and writes. In the whole job it also cleans and hashes; the
parent then looks for records that stand in two files, and commits two Delta tables. What ours has
beyond that: buckets and shards by length, rejected records, fitted state, and files that survive a
crash.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import ZSTD_LEVEL, Facts, Settings, folder_mb

KEEP = 4096
CODES = {"A": 2, "C": 3, "G": 4, "T": 5}
ROWS = 2000
"""Records that are handled at a time."""
SPLITS = ("train",) * 8 + ("validation", "test")


def biopython_expert(settings: Settings) -> Any:
    """SimpleFastaParser, `bytes.translate`, flat NumPy arrays, a process for each file."""
    import numpy  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    from Bio.SeqIO import FastaIO  # noqa: F401

    def job() -> Facts:
        paths = sorted(settings.inputs.glob("*.fa"))
        with ProcessPoolExecutor(settings.processes) as pool:
            rows = sum(pool.map(partial(expert_file, out=settings.out), paths))
        return {"rows": rows, "parquet_mb": folder_mb(settings.out)}

    return job


def expert_file(path: Path, *, out: Path) -> int:
    """Truncated codes of one file, `ROWS` records a row group; the number of records."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    table, rows = code_table(), 0
    schema = pa.schema(
        [("id", pa.string()), ("label", pa.string()), ("tokens", pa.list_(pa.int8()))]
    )
    with (
        path.open() as file,
        pq.ParquetWriter(out / f"{path.stem}.parquet", schema, **options()) as to,
    ):
        for records in groups(SimpleFastaParser(file)):
            codes = [bases[:KEEP].encode().translate(table) for _, bases in records]
            offsets = np.cumsum([0, *map(len, codes)]).astype(np.int32)
            flat = np.frombuffer(b"".join(codes), dtype=np.int8)
            tokens = pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))
            ids = [title.split(None, 1)[0] for title, _ in records]
            to.write_table(pa.table([ids, [path.stem] * len(ids), tokens], schema=schema))
            rows += len(ids)
    return rows


def biopython_expert_same(settings: Settings) -> Any:
    """The whole job; imports are not timed, starting the processes is."""
    import deltalake  # noqa: F401
    import numpy  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    from Bio.SeqIO import FastaIO  # noqa: F401

    def job() -> Facts:
        paths = sorted(settings.inputs.glob("*.fa"))
        for name in ("sequences", "examples"):
            (settings.out / name).mkdir()
        with ProcessPoolExecutor(settings.processes) as pool:
            found = list(pool.map(partial(_file, out=settings.out), paths))
        seen: set[bytes] = set()
        rows = 0
        for path, (digests, _) in zip(paths, found, strict=True):
            if seen.intersection(digests):
                _drop(settings.out / "examples" / f"{path.stem}.parquet", seen)
            rows += len(set(digests) - seen)
            seen.update(digests)
        sources = {path.name: digest for path, (_, digest) in zip(paths, found, strict=True)}
        for name in ("sequences", "examples"):
            _commit(settings.out / name, sources)
        return {"rows": rows, "parquet_mb": folder_mb(settings.out)}

    return job


def _file(path: Path, *, out: Path) -> tuple[list[bytes], str]:
    """Both tables of one file; the digests of its records, and its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    with path.open("rb") as raw:
        of_file = hashlib.file_digest(raw, "sha256").hexdigest()
    names = [("id", pa.string()), ("label", pa.string())]
    wide = pa.schema([*names, ("bases", pa.string()), ("content_hash", pa.binary())])
    more = [("split", pa.string()), ("content_hash", pa.binary())]
    narrow = pa.schema([*names, *more, ("tokens", pa.list_(pa.int8()))])
    name = f"{path.stem}.parquet"
    every: list[bytes] = []
    seen: set[bytes] = set()
    with (
        path.open() as file,
        pq.ParquetWriter(out / "sequences" / name, wide, **options()) as cleaned,
        pq.ParquetWriter(out / "examples" / name, narrow, **options()) as examples,
    ):
        for records in groups(SimpleFastaParser(file)):
            digests = _write(records, path.stem, seen, cleaned=cleaned, examples=examples)
            every.extend(digests)
    return every, of_file


def _write(
    records: list[tuple[str, str]], label: str, seen: set[bytes], *, cleaned: Any, examples: Any
) -> list[bytes]:
    """Write one group of records to both tables; their digests."""
    import numpy as np
    import pyarrow as pa

    table = code_table()
    clean, other = bytes.maketrans(b"acgtuU", b"ACGTTT"), bytes.maketrans(b"ACGT", b"TGCA")
    ids = [title.split(None, 1)[0] for title, _ in records]
    bases = [content.encode().translate(clean) for _, content in records]
    digests = [hashlib.sha256(min(one, one.translate(other)[::-1])).digest() for one in bases]
    letters = pa.array(bases, pa.binary()).cast(pa.string())
    cleaned.write_table(
        pa.table([ids, [label] * len(ids), letters, digests], schema=cleaned.schema)
    )
    fresh = [n for n, digest in enumerate(digests) if digest not in seen]
    seen.update(digests)
    codes = [bases[n][:KEEP].translate(table) for n in fresh]
    offsets = np.cumsum([0, *map(len, codes)]).astype(np.int32)
    flat = np.frombuffer(b"".join(codes), dtype=np.int8)
    kept = [
        [ids[n] for n in fresh],
        [label] * len(fresh),
        [SPLITS[digests[n][0] % len(SPLITS)] for n in fresh],
        [digests[n] for n in fresh],
        pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat)),
    ]
    examples.write_table(pa.table(kept, schema=examples.schema))
    return digests


def _drop(path: Path, seen: set[bytes]) -> None:
    """Write a table of examples again without records that an earlier file has."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    known = pc.is_in(table["content_hash"], value_set=pa.array(list(seen), pa.binary()))
    pq.write_table(table.filter(pc.invert(known)), path, **options())


def _commit(folder: Path, sources: dict[str, str]) -> None:
    """Make all files of a folder the first version of a Delta table."""
    import pyarrow.parquet as pq
    from deltalake import CommitProperties, Schema
    from deltalake.transaction import AddAction, create_table_with_add_actions

    files = sorted(folder.glob("*.parquet"))
    actions = [
        AddAction(
            file.name,
            file.stat().st_size,
            {},
            int(file.stat().st_mtime * 1000),
            True,
            json.dumps({"numRecords": pq.read_metadata(file).num_rows}),
        )
        for file in files
    ]
    create_table_with_add_actions(
        str(folder),
        Schema.from_arrow(pq.read_schema(files[0])),
        actions,
        commit_properties=CommitProperties(custom_metadata=sources),
    )


def code_table() -> bytes:
    """For `bytes.translate`: letters of either case to codes, U as T, all else to OOV."""
    table = bytearray([1] * 256)
    for base, code in (*CODES.items(), ("U", 5)):
        table[ord(base)] = table[ord(base.lower())] = code
    return bytes(table)


def options() -> dict[str, Any]:
    """Compression like ours."""
    return {"compression": "zstd", "compression_level": ZSTD_LEVEL, "write_page_checksum": True}


def groups(records: Any) -> Any:
    """Lists of at most `ROWS` records."""
    held = []
    for record in records:
        held.append(record)
        if len(held) == ROWS:
            yield held
            held = []
    if held:
        yield held
