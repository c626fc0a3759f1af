"""Damaged files: a reader gives sound rows, rejections or one clear error; never anything else."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from seqprep.errors import SeqprepError
from seqprep.source import Field, Source, Target
from tests.sources import read_source

BY_COLUMN = Field(from_="column", column="y")
TABLE: dict[str, Any] = {"domain": "text", "text_column": "t", "label": BY_COLUMN}
LINES = "".join(json.dumps({"t": f"caf\xe9 {n}", "y": "pq"[n % 2]}) + "\n" for n in range(6))
STEPS = "".join(f"{n / 4},{n * 7 % 5},{n}.5,{'ab'[n % 2]}\n" for n in range(9))
LONG = "".join(f"{n / 4},{name},{n * 7 % 5}.5\n" for n in range(5) for name in "LR")
LONG_KEYS: dict[str, Any] = {"domain": "eeg", "form": "long"}
CASES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "fasta": ("a.fa", b">a x\nACGTRYN\nacgu\n;c\n>b\nGG--TT\n>c\n\n>d\nMKVEF\n", {"domain": "dna"}),
    "fasta.gz": ("a.fa.gz", gzip.compress(b">a\nACGT\n>b\nGGTT\n", mtime=0), {"domain": "dna"}),
    "text": ("a.txt", "caf\xe9 \u20ac\r\nzwei".encode(), {"domain": "text"}),
    "utf16": ("a.txt", "caf\xe9 zwei".encode("utf-16"), {"domain": "text"}),
    "csv": ("a.csv", b't,y\n"one, two",p\n"a ""b""\nc",q\nlast,p\n', TABLE),
    "jsonl": ("a.jsonl", LINES.encode(), TABLE),
    "eeg": ("a.csv", b"time,L,R,s\n" + STEPS.encode(), {"domain": "eeg", "channels": ("L", "R")}),
    "eeg steps": (
        "a.csv",
        b"time,L,R,s\r\n" + STEPS.replace("\n", "\r\n").encode(),
        {"domain": "eeg", "task": "label_steps", "target": Target(column="s")},
    ),
    "eeg long": ("a.csv", b"time,channel,value\n" + LONG.encode(), LONG_KEYS),
    "eeg rates": (
        "a.csv",
        b"time,channel,value\n" + LONG.encode() + b"0,x,1\n1,x,2\n",
        {**LONG_KEYS, "missing": "interpolate", "mixed_rates": "resample"},
    ),
    "arff": (
        "a.arff",
        b"@relation x\n@attribute L real\n@attribute R real\n@data\n1,2\n% c\n3,4",
        {"domain": "eeg", "missing": "interpolate"},
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


@pytest.mark.parametrize("case", CASES)
def test_damage_never_passes_for_something_else(case: str, tmp_path: Path) -> None:
    """Otherwise a broken file would end in a traceback, or in rows that cannot be stored."""
    name, data, keys = CASES[case]
    source = Source(**{"path": str(tmp_path), "label": Field(from_="none"), **keys})
    rng = random.Random(case)
    kept = errors = 0
    for _ in range(200):
        (tmp_path / name).write_bytes(mutated(data, rng))
        try:
            rows, seen = read_source(source)
        except SeqprepError as error:
            assert name in str(error)
            errors += 1
            continue
        assert rows or seen.rejections
        numbers = [row["record"] for row in rows]
        numbers += [one.record for one in seen.rejections if one.record is not None]
        assert sorted(numbers) == list(range(len(numbers)))
        assert all(row["length"] > 0 for row in rows)
        if keys["domain"] == "eeg":
            assert all(abs(value) < 1e39 for row in rows for value in row["values"])
        kept += bool(rows)
    assert kept + errors > 0
