"""Inputs of the benchmark of appending: many files, and a few short records that join them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.inputs import SEED, documents, write_eeg

SMALL_LINES = 200
"""Of the few a signal: a part of one recording."""


def write_documents(folder: Path, size_mb: float) -> None:
    """One text file a document, in two folders; a serial number makes each its own."""
    for number, (text, label) in enumerate(documents(size_mb * 1e6)):
        path = folder / label / f"{number // 1000:03d}" / f"{number:06d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"n{number} {text}")


def write_fasta_parts(folder: Path, size_mb: float) -> None:
    """A hundred FASTA files of one size, 60 bases a line."""
    rng = np.random.default_rng(SEED)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    for number in range(100):
        lines, made, record = [], 0, 0
        while made < size_mb * 1e4:
            bases = letters[rng.integers(0, 4, size=60 * int(rng.integers(5, 200)))].tobytes()
            body = b"\n".join(bases[at : at + 60] for at in range(0, len(bases), 60))
            lines.append(b">r%d-%d\n%s\n" % (number, record, body))
            made, record = made + len(lines[-1]), record + 1
        path = folder / "ab"[number % 2] / f"{number:03d}.fa"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(lines))


MAKE: dict[str, Callable[[Path, float], None]] = {
    "documents": write_documents,
    "fasta": write_fasta_parts,
    "eeg": write_eeg,
}


def count_records(kind: str, path: Path) -> int:
    """Records of one file."""
    return path.read_bytes().count(b">") if kind == "fasta" else 1


def write_few(kind: str, inputs: Path, like: Path, few: int) -> int:
    """Put a few short records of many lengths beside the others; their bytes.

    Nothing of them comes twice. Of signals it is a part of one recording, since windows have one
    length: it reaches their bucket.
    """
    folder = inputs / "a"
    if kind == "eeg":
        lines = like.read_bytes().splitlines(keepends=True)[:SMALL_LINES]
        return (folder / f"few-{like.name}").write_bytes(b"".join(lines))
    if kind == "documents":
        made = 0
        # in a folder that has a label already, or preparation would leave them out
        there = next(path for path in sorted(folder.iterdir()) if path.is_dir())
        for number, (text, _) in enumerate(islice(documents(1e9), few)):
            words = text.split()[: 2 + 300 * number // few]
            made += (there / f"few{number}.txt").write_text(f"few{number} {' '.join(words)}")
        return made
    rng = np.random.default_rng(SEED + 1)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    sizes = [60 + 1000 * number // few for number in range(few)]
    records = [letters[rng.integers(0, 4, size=size)].tobytes() for size in sizes]
    lines = [b">few%d\n%s\n" % (number, bases) for number, bases in enumerate(records)]
    return (folder / "few.fa").write_bytes(b"".join(lines))
