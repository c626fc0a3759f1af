"""FASTA to truncated base codes in Parquet, beside Biopython.

The job: read multi-line FASTA, map bases to small integers (anything else to OOV), keep the first
4,096 bases, write codes and label (the file's name) as Parquet. One peer writes just that; another
one also what `ingest` gives: a cleaned table, a digest of each record that is the same for both
strands, and one copy of equal records. Beside them stand two floors: the bytes read, and our
Parquet written by pyarrow alone.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import ZSTD_LEVEL, Benchmark, Facts, Settings, folder_mb, main
from benchmarks.floors import floor_cases
from benchmarks.inputs import write_fasta

KEEP = 4096
CODES = {"A": 2, "C": 3, "G": 4, "T": 5}
ROWS = 2000
"""Records that a peer writes at a time."""


def ours(settings: Settings) -> Any:
    """`ingest` and `prepare`."""
    import pandas  # noqa: F401  # Arrow loads it on first use; imports are not timed

    from seqprep.ingest import ingest
    from seqprep.prepare import prepare
    from seqprep.recipe import Prepare, Split
    from seqprep.source import Field, Source

    source = Source(
        domain="dna", path=str(settings.inputs), include="*.fa", label=Field(from_="file")
    )
    recipe = Prepare(steps=({"truncate": {"length": KEEP, "keep": "head"}},))

    def job() -> Facts:
        common: dict[str, Any] = {"dataset": "fasta", "store": settings.out}
        ingest(source, workers=settings.processes, **common)
        done = prepare(
            domain="dna",
            task="classify",
            split=Split(),
            recipe=recipe,
            workers=settings.processes,
            **common,
        )
        return {"rows": sum(done.rows.values()), "parquet_mb": folder_mb(settings.out)}

    return job


def biopython_documented(settings: Settings) -> Any:
    """As Biopython's tutorial reads, with Python lists of codes."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from Bio import SeqIO

    def job() -> Facts:
        ids, labels, tokens = [], [], []
        for path in sorted(settings.inputs.glob("*.fa")):
            for record in SeqIO.parse(path, "fasta"):
                bases = str(record.seq).upper().replace("U", "T")[:KEEP]
                ids.append(record.id)
                labels.append(path.stem)
                tokens.append([CODES.get(base, 1) for base in bases])
        table = pa.table(
            {"id": ids, "label": labels, "tokens": pa.array(tokens, pa.list_(pa.int8()))}
        )
        pq.write_table(table, settings.out / "examples.parquet", **options())
        return {"rows": len(ids), "parquet_mb": folder_mb(settings.out)}

    return job


def biopython_expert(settings: Settings) -> Any:
    """SimpleFastaParser, `bytes.translate`, flat NumPy arrays, a process for each file."""
    return over_files(settings, expert_file)


def biopython_expert_same(settings: Settings) -> Any:
    """The same by an expert who also keeps the cleaned records, their digests and one of each."""
    return over_files(settings, expert_file_same)


def over_files(settings: Settings, work: Any) -> Any:
    """Run one function a file in worker processes, which are started before the clock."""
    import numpy  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    from Bio.SeqIO import FastaIO  # noqa: F401

    def job() -> Facts:
        paths = sorted(settings.inputs.glob("*.fa"))
        with ProcessPoolExecutor(settings.processes) as pool:
            rows = sum(pool.map(partial(work, out=settings.out), paths))
        return {"rows": rows, "parquet_mb": folder_mb(settings.out)}

    return job


def options() -> dict[str, Any]:
    """Compression like ours."""
    return {"compression": "zstd", "compression_level": ZSTD_LEVEL, "write_page_checksum": True}


def code_table() -> bytes:
    """For `bytes.translate`: letters of either case to codes, U as T, all else to OOV."""
    table = bytearray([1] * 256)
    for base, code in (*CODES.items(), ("U", 5)):
        table[ord(base)] = table[ord(base.lower())] = code
    return bytes(table)


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


def expert_file_same(path: Path, *, out: Path) -> int:
    """Cleaned records with strand-free digests, one of each, and their truncated codes."""
    import hashlib

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    table, rows, seen = code_table(), 0, set()
    clean = bytes.maketrans(b"acgtuU", b"ACGTTT")
    other = bytes.maketrans(b"ACGT", b"TGCA")
    names = [("id", pa.string()), ("label", pa.string())]
    wide = pa.schema([*names, ("bases", pa.string()), ("content_hash", pa.binary())])
    narrow = pa.schema([*names, ("tokens", pa.list_(pa.int8()))])
    with (
        path.open() as file,
        pq.ParquetWriter(out / f"{path.stem}-clean.parquet", wide, **options()) as cleaned,
        pq.ParquetWriter(out / f"{path.stem}.parquet", narrow, **options()) as examples,
    ):
        for records in groups(SimpleFastaParser(file)):
            ids = [title.split(None, 1)[0] for title, _ in records]
            bases = [content.encode().translate(clean) for _, content in records]
            digests = [
                hashlib.sha256(min(one, one.translate(other)[::-1])).digest() for one in bases
            ]
            labels = [path.stem] * len(ids)
            columns = [ids, labels, pa.array(bases, pa.binary()).cast(pa.string()), digests]
            cleaned.write_table(pa.table(columns, schema=wide))
            fresh = [n for n, digest in enumerate(digests) if digest not in seen]
            seen.update(digests)
            codes = [bases[n][:KEEP].translate(table) for n in fresh]
            offsets = np.cumsum([0, *map(len, codes)]).astype(np.int32)
            flat = np.frombuffer(b"".join(codes), dtype=np.int8)
            tokens = pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat))
            kept = [[ids[n] for n in fresh], [path.stem] * len(fresh), tokens]
            examples.write_table(pa.table(kept, schema=narrow))
            rows += len(fresh)
    return rows


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


BENCHMARK = Benchmark(
    name="fasta",
    title="FASTA to truncated codes",
    make=write_fasta,
    cases={
        "ours": ours,
        "biopython_documented": biopython_documented,
        "biopython_expert": biopython_expert,
        "biopython_expert_same": biopython_expert_same,
        **floor_cases(ours),
    },
    aims={"biopython_documented": 7.0, "biopython_expert_same": 1.0, "floors": 0.5},
    size_mb=170,
    notes=(
        "Two files, lognormal lengths. `biopython_expert` writes one table of codes and no more; "
        "`biopython_expert_same` also the cleaned records, digests that are the same for both "
        "strands, and one copy of equal records, as ours does beside splits, buckets and commits. "
        "The floors read the bytes and do nothing with them, and write the Parquet of ours again "
        "with pyarrow alone."
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
