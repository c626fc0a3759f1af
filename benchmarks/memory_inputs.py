"""Inputs of the memory benchmark: made piece by piece, so that ten gigabytes need no memory.

Also how each of them is read and prepared. All are seeded.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import SEED, documents, write_eeg, write_fasta

TEXT_BLOCK = 5_000
"""Documents that are made once; a number in each repeat makes it no duplicate."""
RECORDINGS = 16
"""Recordings of about a megabyte that are made once; each repeat starts with another value."""
PIECE_BASES = 6_000_000
SHORT_BLOCK = 50_000
LINE = 60


def write_text(folder: Path, size_mb: float) -> None:
    """`documents.jsonl` of so many megabytes."""
    block = list(islice(documents(1e9), TEXT_BLOCK))
    made = 0
    with (folder / "documents.jsonl").open("w") as file:
        for number, (text, label) in enumerate(cycle(block)):
            made += file.write(json.dumps({"text": f"n{number} {text}", "label": label}) + "\n")
            if made >= size_mb * 1e6:
                return


def write_recordings(folder: Path, size_mb: float) -> None:
    """CSV files in the folders `a` and `b`, so many megabytes together."""
    first = folder / "first"
    first.mkdir()
    write_eeg(first, RECORDINGS)
    block = [path.read_text() for path in sorted(first.rglob("*.csv"))]
    for path in sorted(first.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    first.rmdir()
    made = 0
    for number, text in enumerate(cycle(block)):
        header, step, rest = text.split("\n", 2)
        cells = step.split(",")
        cells[1] = f"{number % 100}.{number // 100:04d}"
        path = folder / "ab"[number % 2] / f"{number:05d}.csv"
        path.parent.mkdir(exist_ok=True)
        made += path.write_text("\n".join([header, ",".join(cells), rest]))
        if made >= size_mb * 1e6:
            return


def base_pieces(bases: int) -> Iterator[bytes]:
    """One sequence of so many bases, a whole number of lines at a time."""
    rng = np.random.default_rng(SEED)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    for start in range(0, bases, PIECE_BASES):
        count = min(PIECE_BASES, bases - start)
        yield letters[rng.integers(0, 4, size=count, dtype=np.uint8)].tobytes()


def write_record(folder: Path, size_mb: float, *, layout: str) -> None:
    """`one.fa` with one record of so many million bases, and `few.fa` with thirty short ones.

    Args:
        folder: where to.
        size_mb: of the record.
        layout: `line`: on one line; `wrapped`: 60 bases a line; `gz`: that, compressed.
    """
    opened = gzip.open if layout == "gz" else open
    options: dict[str, Any] = {"compresslevel": 1} if layout == "gz" else {}
    with opened(folder / "one.fa", "wb", **options) as file:
        file.write(b">chr1 one record\n")
        for piece in base_pieces(int(size_mb * 1e6)):
            if layout == "line":
                file.write(piece)
                continue
            lines = [piece[start : start + LINE] for start in range(0, len(piece), LINE)]
            file.write(b"\n".join(lines) + b"\n")
        file.write(b"\n")
    short = "".join(f">s{number}\n{'ACGT' * 40}{'AG' * number}\n" for number in range(30))
    (folder / "few.fa").write_text(short)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One input, and what is done with it.

    Args:
        make: writes so many megabytes into a folder.
        source: keys of `Source`, without the path; label: of its `Field`.
        prepare: keys of `Prepare`.
    """

    make: Callable[[Path, float], None]
    source: Mapping[str, Any]
    label: Mapping[str, Any]
    prepare: Mapping[str, Any] = field(default_factory=dict)


def write_short(folder: Path, size_mb: float) -> None:
    """`a.fa` and `b.fa` with records of 20 to 40 bases: as many as so many megabytes can hold."""
    rng = np.random.default_rng(SEED)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    made = number = 0
    with (folder / "a.fa").open("wb") as first, (folder / "b.fa").open("wb") as second:
        while made < size_mb * 1e6:
            sizes = rng.integers(20, 41, size=SHORT_BLOCK).tolist()
            bases = letters[rng.integers(0, 4, size=40 * SHORT_BLOCK, dtype=np.uint8)].tobytes()
            block = [
                b">%d\n%s\n" % (number + place, bases[40 * place : 40 * place + size])
                for place, size in enumerate(sizes)
            ]
            made += (second if number // SHORT_BLOCK % 2 else first).write(b"".join(block))
            number += SHORT_BLOCK


FASTA: dict[str, Any] = {
    "source": {"domain": "dna", "include": "*.fa"},
    "label": {"from_": "file"},
}
KINDS: dict[str, Kind] = {
    "fasta": Kind(make=write_fasta, **FASTA),
    "text": Kind(
        make=write_text,
        source={"domain": "text", "include": "*.jsonl", "text_column": "text"},
        label={"from_": "column", "column": "label"},
        prepare={"steps": ({"summarize": {"drop_top": 50, "min_count": 2}},)},
    ),
    "eeg": Kind(
        make=write_recordings,
        source={"domain": "eeg", "include": "**/*.csv"},
        label={"from_": "folder"},
    ),
}
"""Many records; their sizes may grow."""
SHORT: dict[str, Kind] = {
    "short": Kind(
        make=write_short,
        prepare={"memory": "64MB", "steps": ({"truncate": {"length": 30, "keep": "tail"}},)},
        **FASTA,
    )
}
"""Records so short that memory goes into what is kept of each."""


def _one_record(layout: str, prepare: Mapping[str, Any]) -> Kind:
    def make(folder: Path, size_mb: float) -> None:
        write_record(folder, size_mb, layout=layout)

    return Kind(make=make, prepare=prepare, **FASTA)


ONE_RECORD: dict[str, Kind] = {
    **{f"one record, {layout}": _one_record(layout, {}) for layout in ("line", "wrapped", "gz")},
    **{
        f"one record, {name}": _one_record("line", prepare)
        for name, prepare in {
            "truncate": {"steps": ({"truncate": {"length": 5_000_000, "keep": "middle"}},)},
            "windows": {"steps": ({"windows": {"length": 1000, "stride": 1000}},)},
            "views": {"steps": ({"subsequences": {"pieces": 5, "piece": 1_000_000, "views": 3}},)},
            "6-mers": {"tokens": {"unit": "kmer", "k": 6}},
            "8-mers": {"tokens": {"unit": "kmer", "k": 8}},
            "remove_steps": {"steps": ({"remove_steps": {"length": 200_000_000}},)},
            "reverse_complement": {"steps": ({"reverse_complement": {"views": 1}},)},
            "shift": {"steps": ({"shift": {"max": 1000, "views": 1}},)},
            "summarize": {"steps": ({"summarize": {"drop_top": 1}},)},
            "hash": {"steps": ({"hash": {"n": 2, "block": 1000, "features": 16}},)},
        }.items()
    },
}
"""One record as long as the largest human chromosome, in each layout of its file and by some
steps; the layouts must give the same files."""
RECORD_MB = 250.0
