"""Some twenty small files of each domain, recipes with random steps, and what tables hold."""

from __future__ import annotations

import random
from pathlib import Path

from seqprep.recipe import Prepare, Split, Tokens
from seqprep.source import Source
from seqprep.table import Table
from tests.sources import write_files
from tests.synthetic import documents


def listed(table: Table) -> list[tuple[str, str]]:
    """(path, SHA-256) of every file of the newest version, and of its fitted state."""
    files = [(file.path, file.sha256) for file in table.files()]
    return [*files, *sorted(table.info().state.items())]


def fasta(records: int, *, seed: int) -> str:
    rng = random.Random(seed)
    lines = []
    for number in range(records):
        lines.append(f">r{number}")
        lines.append("".join(rng.choices("ACGT", k=rng.randrange(30, 300))))
    return "\n".join(lines) + "\n"


def eeg(steps: int, *, seed: int) -> str:
    rng = random.Random(seed)
    rows = [f"{n / 100},{rng.gauss(0, 1):.4f},{rng.gauss(0, 2):.4f}" for n in range(steps)]
    return "\n".join(["time,left,right", *rows]) + "\n"


def source_files(root: Path, domain: str) -> Source:
    """Some twenty files of two classes."""
    files: dict[str, bytes | str] = {}
    for number in range(20):
        label = "ab"[number % 2]
        match domain:
            case "dna":
                files[f"{label}/{number:02d}.fa"] = fasta(6, seed=number)
            case "text":
                text = documents(20, seed=number)[number]["text"] * (1 + number % 3)
                files[f"{label}/{number:02d}.txt"] = text
            case "eeg":
                files[f"{label}/{number:02d}.csv"] = eeg(40 + 7 * number, seed=number)
    if domain == "eeg":
        files["b/bad.csv"] = "time,left,right\n0.00,1,2\n0.01,x,3\n"
        return Source(domain="eeg", path=str(write_files(root, files)), rate_hz=100.0)
    return Source(domain=domain, path=str(write_files(root, files)))  # type: ignore[arg-type]


RECIPES = {
    "dna": Prepare(
        tokens=Tokens(unit="kmer", k=3, stride=1),
        steps=(
            {"reverse_complement": {"views": 1}},
            {"truncate": {"length": 60, "keep": "head_tail"}},
        ),
        buckets=3,
        shard_bytes="2KB",
    ),
    "text": Prepare(
        steps=({"summarize": {"drop_top": 2, "min_count": 2}}, {"windows": {"length": 12}}),
        buckets=2,
        shard_bytes="1KB",
    ),
    "eeg": Prepare(steps=({"block_means": {"block": 2}},), buckets=3, shard_bytes="2KB"),
}
SPLIT = Split(train=0.6, validation=0.2, test=0.2, seed=3)
