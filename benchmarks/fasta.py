"""FASTA to truncated base codes in Parquet, beside Biopython.

The job: read multi-line FASTA, map bases to small integers (anything else to OOV), keep the first
4,096 bases, write codes and label (the file's name) as Parquet. Two peers write just that; another
one gives also what `ingest` and `prepare` give. Beside them stand two floors: the bytes read, and
our Parquet written by pyarrow alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.common import Benchmark, Facts, Settings, folder_mb, main
from benchmarks.fasta_expert import (
    CODES,
    KEEP,
    biopython_expert,
    biopython_expert_same,
    options,
)
from benchmarks.floors import floor_cases
from benchmarks.inputs import write_fasta
from benchmarks.stages import STAGE_NOTE, StageClock


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
        clock = StageClock()
        clock.time("ingest", lambda: ingest(source, workers=settings.processes, **common))
        plan = partial(
            prepare,
            domain="dna",
            task="classify",
            split=Split(),
            recipe=recipe,
            workers=settings.processes,
            **common,
        )
        rows = sum(clock.time("prepare", plan).rows.values())
        return {"rows": rows, "parquet_mb": folder_mb(settings.out), **clock.facts}

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
    aims={
        "biopython_documented": 7.0,
        "biopython_expert_same": 1.0,
        "floors": 0.5,
    },
    size_mb=170,
    stages=2,
    notes=(
        "Two files, lognormal lengths. `biopython_expert` writes one table of codes and no more; "
        "`biopython_expert_same` does what ours does but for buckets and shards: digests of the "
        "files, cleaned records, digests that are the same for both strands, one copy of equal "
        "records in all files, a split, and two Delta tables, each committed once. The floors "
        "read the bytes and do nothing with them, and write the Parquet of ours again with "
        f"pyarrow alone. {STAGE_NOTE}"
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
