"""Predictions without a model: rows of made-up files, staged and published."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from seqprep.inbox.done import KEYS, NAME
from seqprep.inbox.origin import Origin
from seqprep.inbox.predictions import Predictions, Published, part_name
from seqprep.staging import StagedFile, StagedWriter

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("source", pa.string()),
        pa.field("prediction", pa.list_(pa.string())),
        pa.field("error", pa.string()),
        *KEYS,
    ]
)


def origin_of(root: Path, *, bundle: str = "one", **kind: Any) -> Origin:
    """Rows of the files in `root/in`."""
    (root / "in").mkdir(parents=True, exist_ok=True)
    plain = {"domain": "text", "task": "classify", "labels": ["a", "b"]}
    return Origin(
        schema=SCHEMA,
        kind={**plain, **kind},
        folder=root / "in",
        bundle=bundle,
        bundle_path=f"models/{bundle}",
    )


def staged(stored: Predictions, files: Mapping[str, str], *, bundle: str = "one") -> StagedFile:
    """Two rows of each file, path -> SHA-256; the second one is an error."""
    rows = [
        {
            "id": f"{path}#{number}",
            "source": path,
            "prediction": None if number else [bundle, sha256],
            "error": "empty" if number else None,
            "source_sha256": sha256,
            "bundle": bundle,
        }
        for path, sha256 in files.items()
        for number in range(2)
    ]
    with StagedWriter(stored.table.path, part_name(), SCHEMA) as writer:
        writer.write(pa.Table.from_pylist(rows, SCHEMA))
    return writer.staged


def publish(
    root: Path, files: Mapping[str, str], *, bundle: str = "one", again: bool = False, **kind: Any
) -> Published | None:
    """Stage and publish rows in `root/out`."""
    stored = Predictions(root / "out")
    part = staged(stored, files, bundle=bundle)
    return stored.publish(part, origin_of(root, bundle=bundle, **kind), again=again)


def shown(root: Path) -> list[tuple[str, str, str]]:
    """(id, SHA-256, model) of every row that any reader of Delta sees, sorted."""
    frame = pl.read_delta(str(root / "out" / NAME))
    return sorted(frame.select("id", "source_sha256", "bundle").rows())


def rows_of(files: Mapping[str, str], *, bundle: str = "one") -> list[tuple[str, str, str]]:
    """What is shown where these files are stored once."""
    return sorted(
        (f"{path}#{number}", sha256, bundle)
        for path, sha256 in files.items()
        for number in range(2)
    )
