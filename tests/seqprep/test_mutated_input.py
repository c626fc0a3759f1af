"""Damaged files: a reader gives sound rows, rejections or one clear error; never anything else."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from seqprep import splits
from seqprep.errors import SeqprepError
from seqprep.frequency import Frequency
from seqprep.recipe import Split
from seqprep.source import Field, Source, Target
from seqprep.token_table import NUM_RECORDS, TokenTable
from seqprep.transforms.idf import Idf
from seqprep.transforms.token_rule import Evidence
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


def parquet(columns: dict[str, list[Any]], about: dict[bytes, bytes] | None = None) -> bytes:
    """A Parquet file, not compressed, so that damage reaches what is read."""
    sink = io.BytesIO()
    table = pa.table(columns).replace_schema_metadata(about)
    pq.write_table(table, sink, compression="none", use_dictionary=False)
    return sink.getvalue()


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
    "csv.gz": Damaged(
        name="a.csv.gz",
        data=gzip.compress(b't,y\n"one, two",p\n"a ""b""\nc",q\nlast,p\n', mtime=0),
        keys=TABLE,
        rows=3,
        kept=0.01,
    ),
    "jsonl.gz": Damaged(
        name="a.jsonl.gz",
        data=gzip.compress(LINES.encode(), mtime=0),
        keys=TABLE,
        rows=6,
        kept=0.01,
    ),
    "parquet": Damaged(
        name="a.parquet",
        data=parquet({"t": [f"caf\xe9 {n}" for n in range(40)], "y": ["p", "q"] * 20}),
        keys=TABLE,
        rows=40,
    ),
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
    "target": Damaged(
        name="a.out",
        data="caf\xe9 \u20ac\r\nzwei\n".encode(),
        keys={
            "domain": "text",
            "task": "translate",
            "target": Target(from_="file", suffix=".out"),
            "encoding": "utf-8",
        },
        beside={"a.txt": "x"},
        rows=1,
    ),
    "target utf16": Damaged(
        name="a.out",
        data="caf\xe9 zwei".encode("utf-16"),
        keys={
            "domain": "text",
            "task": "translate",
            "target": Target(from_="file", suffix=".out"),
        },
        beside={"a.txt": "x"},
        rows=1,
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


def flipped(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one to three of them changed: what is cut or shifted is no Parquet file."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    return data


def damage(path: Path, data: bytes, read: Read, *, seed: str) -> tuple[float, float]:
    """Shares of damaged files of which rows were read, and of which something was told."""
    change = flipped if path.suffix == ".parquet" else mutated
    rng = random.Random(seed)
    kept = told = 0
    many = settings().max_examples
    for _ in range(many):
        path.write_bytes(change(data, rng))
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
        assert all(row["target_text"] for row in rows if source.task == "translate")
        if source.domain == "eeg":
            assert all(abs(value) < 1e39 for row in rows for value in row["values"])
        return len(rows), len(seen.rejections)

    path = tmp_path / case.name
    path.write_bytes(case.data)
    assert read()[0] == case.rows
    kept, told = damage(path, case.data, read, seed=name)
    assert kept >= case.kept and told >= case.told, (kept, told)


def test_a_damaged_split_table_never_passes_for_something_else(tmp_path: Path) -> None:
    """Otherwise a broken table would end in a traceback that does not name it."""
    ids = [f"r{n}" for n in range(9)]
    lines = [f"{id_},{('train', 'dev', 'test')[n % 3]}\n" for n, id_ in enumerate(ids)]
    data = b"\xef\xbb\xbfwho,part\n" + "".join(lines).encode()
    split = Split(
        by="table",
        table="split.csv",
        key="who",
        column="part",
        train=("train",),
        validation=("dev",),
        test=("test",),
    )
    records = pa.table(dict.fromkeys(("id", "name", "source", "group"), ids))

    def read() -> tuple[int, int]:
        listed = splits.read_listed(split, base=tmp_path)
        codes = splits.assign(split, records, listed=listed).tolist()
        return len(ids) - codes.count(splits.LEFT_OUT), codes.count(splits.LEFT_OUT)

    (tmp_path / "split.csv").write_bytes(data)
    assert read() == (9, 0)
    kept, told = damage(tmp_path / "split.csv", data, read, seed="split")
    assert kept >= 0.15 and told >= 0.4, (kept, told)


def test_a_damaged_table_of_tokens_never_passes_for_something_else(tmp_path: Path) -> None:
    """Otherwise a rule would end in a traceback, or decide by counts that cannot be."""
    words = [f"w{n}" for n in range(40)]
    counts = np.arange(40, 0, -1)
    data = parquet(
        {"token": words, "count": list(counts), "records": list(counts)}, {NUM_RECORDS: b"40"}
    )
    counted = Frequency(
        tokens=pa.array(words, pa.large_string()), counts=counts, records=counts, num_records=40
    )
    path = tmp_path / "general.parquet"

    def read() -> tuple[int, int]:
        table = TokenTable.read(path, key="idf.reference")
        evidence = Evidence(
            frequency=counted, alive=np.ones(41, dtype=bool), tables={"general.parquet": table}
        )
        Idf(reference="general.parquet", tau=0.0).removed(evidence)
        records = table.column("records", counted.tokens, missing=0)
        assert (records >= 0).all() and records.max() <= (table.num_records or 0)
        return len(table.tokens), 0

    path.write_bytes(data)
    assert read() == (40, 0)
    kept, told = damage(path, data, read, seed="tokens")
    assert kept >= 0.05 and told >= 0.3, (kept, told)
