"""Generated inputs of the benchmarks: documents, FASTA, EEG tables. Seeded; NumPy only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

SEED = 7
BLOCK = 2_000_000
"""About how many bytes are made at a time, so that a gigabyte needs no gigabyte of memory."""


def word_list(count: int) -> npt.NDArray[np.str_]:
    """Different pronounceable words, short ones first."""
    rng = np.random.default_rng(SEED)
    syllables = np.array([a + b for a in "bcdfghklmnprstvwz" for b in "aeiou"])
    drawn = rng.integers(0, len(syllables), size=(3 * count, 4))
    sizes = np.clip(np.log10(np.arange(3 * count) + 10).astype(np.int64), 1, 4)
    words: dict[str, None] = {}
    for row, size in zip(drawn.tolist(), sizes.tolist(), strict=True):
        words.setdefault("".join(syllables[place] for place in row[:size]))
        if len(words) == count:
            break
    return np.array(list(words))


def documents(size_bytes: float) -> Iterator[tuple[str, str]]:
    """(text, label) of documents of lognormal length (median 400 words) over Zipfian words."""
    rng = np.random.default_rng(SEED)
    words = word_list(50_000)
    edges = np.cumsum(1 / np.arange(1, len(words) + 1) ** 1.05)
    edges /= edges[-1]
    made = 0
    while made < size_bytes:
        lengths = np.clip(rng.lognormal(np.log(400), 0.7, size=300), 20, 8000).astype(np.int64)
        picked = words[np.searchsorted(edges, rng.random(int(lengths.sum())))].astype(object)
        ends = rng.random(len(picked))
        picked = np.where(ends < 0.06, picked + ".", np.where(ends < 0.1, picked + ",", picked))
        labels = rng.integers(0, 2, size=300)
        start = 0
        for length, label in zip(lengths.tolist(), labels.tolist(), strict=True):
            text = " ".join(picked[start : start + length])
            start += length
            made += len(text) + 32
            yield text, "ab"[label]
            if made >= size_bytes:
                return


def write_json_lines(folder: Path, size_mb: float) -> None:
    """`documents.jsonl` with the keys text and label."""
    with (folder / "documents.jsonl").open("w") as file:
        for text, label in documents(size_mb * 1e6):
            file.write(json.dumps({"text": text, "label": label}) + "\n")


def write_fasta(folder: Path, size_mb: float) -> None:
    """`one.fa` and `two.fa`: lognormal lengths (median 3,000, sigma 1), 60 bases a line."""
    rng = np.random.default_rng(SEED)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    for name in ("one", "two"):
        made, number = 0, 0
        with (folder / f"{name}.fa").open("wb") as file:
            while made < size_mb * 5e5:
                lengths = np.clip(rng.lognormal(np.log(3000), 1.0, size=100), 50, 10**6)
                for length in lengths.astype(np.int64).tolist():
                    bases = letters[rng.integers(0, 4, size=length, dtype=np.uint8)]
                    rows = -(-length // 60)
                    lines = np.full((rows, 61), ord("\n"), dtype=np.uint8)
                    lines[:, :60].flat[:length] = bases
                    body = lines.tobytes()[: length + rows - 1] + b"\n"
                    made += file.write(f">{name}{number} length={length}\n".encode() + body)
                    number += 1
                    if made >= size_mb * 5e5:
                        break


def write_eeg(folder: Path, size_mb: float) -> None:
    """CSV files of about 1 MB: a timestamp and eight channels at 256 Hz, one decimal."""
    rng = np.random.default_rng(SEED)
    for number in range(max(2, round(size_mb))):
        steps = int(17_500 * (0.5 + rng.random()))
        walk = np.cumsum(rng.standard_normal((steps, 8)), axis=0)
        values = 20 * rng.standard_normal((steps, 8)) + 3 * (walk - walk.mean(axis=0))
        rows = [",".join(("timestamp", *(f"c{channel}" for channel in range(8))))]
        tenths = np.rint(values * 10).astype(np.int64) / 10
        rows += [
            f"{step / 256:.6f}," + ",".join(map(str, row))
            for step, row in enumerate(tenths.tolist())
        ]
        path = folder / f"{'ab'[number % 2]}" / f"{number:04d}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(rows) + "\n")


def lengths_of_rows(count: int, *, median: float, sigma: float, high: int) -> npt.NDArray[np.int64]:
    """Lognormal lengths in steps."""
    rng = np.random.default_rng(SEED)
    drawn = rng.lognormal(np.log(median), sigma, size=count)
    return np.clip(drawn, 1, high).astype(np.int64)
