"""Damaged files: a reader gives sound rows, rejections or one clear error; never anything else."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from seqprep.errors import SeqprepError
from seqprep.source import Field, Source, Target
from tests.sources import read_source, write_files

BY_COLUMN = Field(from_="column", column="y")
TABLE: dict[str, Any] = {"domain": "text", "text_column": "t", "label": BY_COLUMN}
LINES = "".join(json.dumps({"t": f"caf\xe9 {n}", "y": "pq"[n % 2]}) + "\n" for n in range(6))
STEPS = "".join(f"{n / 4},{n * 7 % 5},{n}.5,{'ab'[n % 2]}\n" for n in range(9))
LONG = "".join(f"{n / 4},{name},{n * 7 % 5}.5\n" for n in range(5) for name in "LR")
LONG_KEYS: dict[str, Any] = {"domain": "eeg", "form": "long"}
DOCUMENTS = {f"d{n}.txt": f"some text {n}" for n in range(6)}
LISTED = "".join(f'd{n}.txt;"{"pq"[n % 2]}"\r\n' for n in range(6))
BY_TABLE = Field(from_="table", table="listed.csv", key="file", column="who")
LISTED_KEYS: dict[str, Any] = {"domain": "text", "include": "*.txt"}


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A file to be damaged, and how it is read.

    Args:
        name: of the file. data: its bytes before.
        keys: of the source. beside: files that stay sound.
        rows: records that are read before.
        kept: of so large a share of the damaged files rows are read, at least.
        told: of so large a share something is told, at least.
    """

    name: str
    data: bytes
    keys: dict[str, Any]
    beside: dict[str, str] = field(default_factory=dict)
    rows: int
    kept: float = 0.05
    told: float = 0.3


CASES = {
    "fasta": Damaged(
        name="a.fa",
        data=b">a x\nACGTRYN\nacgu\n;c\n>b\nGG--TT\n>c\n\n>d\nMKVEF\n",
        keys={"domain": "dna"},
        rows=2,
    ),
    "fasta.gz": Damaged(
        name="a.fa.gz",
        data=gzip.compress(b">a\nACGT\n>b\nGGTT\n", mtime=0),
        keys={"domain": "dna"},
        rows=2,
        kept=0.01,  # its checksum finds almost all
    ),
    "text": Damaged(
        name="a.txt",
        data="caf\xe9 \u20ac\r\nzwei".encode(),
        keys={"domain": "text"},
        rows=1,
        told=0.015,  # almost any bytes are text
    ),
    "utf16": Damaged(
        name="a.txt", data="caf\xe9 zwei".encode("utf-16"), keys={"domain": "text"}, rows=1
    ),
    "csv": Damaged(
        name="a.csv", data=b't,y\n"one, two",p\n"a ""b""\nc",q\nlast,p\n', keys=TABLE, rows=3
    ),
    "tsv": Damaged(
        name="a.tsv", data=b't\ty\none, two\tp\n"a ""b""\nc"\tq\nlast\tp\n', keys=TABLE, rows=3
    ),
    "jsonl": Damaged(name="a.jsonl", data=LINES.encode(), keys=TABLE, rows=6),
    "labels": Damaged(
        name="listed.csv",
        data=b"file;who\r\n" + LISTED.encode(),
        keys={**LISTED_KEYS, "label": BY_TABLE},
        beside=DOCUMENTS,
        rows=6,
    ),
    "groups": Damaged(
        name="listed.csv",
        data=b"\xef\xbb\xbffile\tgiven\twho\n" + LISTED.replace(";", "\tx\t").encode(),
        keys={**LISTED_KEYS, "group": BY_TABLE},
        beside=DOCUMENTS,
        rows=6,
    ),
    "eeg": Damaged(
        name="a.csv",
        data=b"time,L,R,s\n" + STEPS.encode(),
        keys={"domain": "eeg", "channels": ("L", "R")},
        rows=1,
    ),
    "eeg steps": Damaged(
        name="a.csv",
        data=b"time,L,R,s\r\n" + STEPS.replace("\n", "\r\n").encode(),
        keys={"domain": "eeg", "task": "label_steps", "target": Target(column="s")},
        rows=1,
    ),
    "eeg long": Damaged(
        name="a.csv",
        data=b"time,channel,value\n" + LONG.encode(),
        keys=LONG_KEYS,
        rows=1,
        kept=0.015,  # a sample that one channel lacks is told
    ),
    "eeg rates": Damaged(
        name="a.csv",
        data=b"time,channel,value\n" + LONG.encode() + b"0,x,1\n1,x,2\n",
        keys={**LONG_KEYS, "missing": "interpolate", "mixed_rates": "resample"},
        rows=1,
    ),
    "arff": Damaged(
        name="a.arff",
        data=b"@relation x\n@attribute L real\n@attribute R real\n@data\n1,2\n% c\n3,4",
        keys={"domain": "eeg", "missing": "interpolate"},
        rows=1,
    ),
}
INSERTED = (b"\0", b"\n", b"\r", b'"', b",", b";", b">", b"\xff", b"\xef\xbb\xbf", b"1e999", b" ")


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to three of them changed, cut out, doubled or put in."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.randint(1, 6))
        match rng.randrange(5):
            case 0:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:end] + data[at:]
            case 3:
                data = data[:at] + rng.choice(INSERTED) + data[at:]
            case _:
                data = data[:at]
    return data


Read = Callable[[], tuple[int, int]]
"""Reads a file: how many rows it gives, and how many rejections."""


def damage(path: Path, data: bytes, read: Read, *, seed: str) -> tuple[float, float]:
    """Shares of damaged files of which rows were read, and of which something was told."""
    rng = random.Random(seed)
    kept = told = 0
    many = settings().max_examples
    if seed in ("eeg", "eeg long"):  # of more one ends in a lone quote, on which Polars panics
        many = min(many, 200)
    for _ in range(many):
        path.write_bytes(mutated(data, rng))
        try:
            rows, rejections = read()
        except SeqprepError as error:
            assert path.name in str(error)
            told += 1
            continue
        assert rows or rejections
        kept += rows > 0
        told += rejections > 0
    return kept / many, told / many


@pytest.mark.parametrize("name", CASES)
def test_damage_never_passes_for_something_else(name: str, tmp_path: Path) -> None:
    """Otherwise a broken file would end in a traceback, or in rows that cannot be stored."""
    case = CASES[name]
    write_files(tmp_path, {**case.beside, case.name: ""})
    source = Source(**{"path": str(tmp_path), "label": Field(from_="none"), **case.keys})

    def read() -> tuple[int, int]:
        rows, seen = read_source(source)
        numbers = [(row["source"], row["record"]) for row in rows]
        numbers += [(one.source, one.record) for one in seen.rejections if one.record is not None]
        for file in case.beside or (case.name,):
            found = sorted(number for path, number in numbers if path == file)
            assert found == list(range(len(found)))
        assert all(row["length"] > 0 for row in rows)
        if source.domain == "eeg":
            assert all(abs(value) < 1e39 for row in rows for value in row["values"])
        return len(rows), len(seen.rejections)

    path = tmp_path / case.name
    path.write_bytes(case.data)
    assert read()[0] == case.rows
    kept, told = damage(path, case.data, read, seed=name)
    assert kept >= case.kept and told >= case.told, (kept, told)
