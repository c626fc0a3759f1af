"""Source files for tests of reading: literal files, and what is made of them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from seqprep.domains import DOMAINS
from seqprep.errors import Rejection
from seqprep.ingestion.records import Context, SourceFacts
from seqprep.source import Source
from seqprep.table import Table


def write_files(root: Path, files: dict[str, bytes | str]) -> Path:
    """Source files with literal content under `root`, folders made as needed; `.gz` compressed."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data, mtime=0) if name.endswith(".gz") else data)
    return root


@dataclass
class Seen:
    """What a reader saw beside the rows."""

    facts: SourceFacts
    rejections: list[Rejection] = field(default_factory=list)
    oddities: dict[str, int] = field(default_factory=dict)

    @property
    def reasons(self) -> list[tuple[str, int | None, str]]:
        """(file, line, reason) of each rejection, in order."""
        return [(one.source, one.line, one.reason) for one in self.rejections]


def read_source(source: Source, base: Path = Path()) -> tuple[list[dict[str, Any]], Seen]:
    """All rows that a source's reader accepts, and what else it saw; nothing is stored."""
    reader = DOMAINS[source.domain]
    files = reader.list_files(source, base)
    context = Context.of(source, base)
    context = replace(context, facts=reader.probe(files, context, None))
    rows: list[dict[str, Any]] = []
    seen = Seen(facts=context.facts)
    for batch in reader.read(files, context):
        rows.extend(batch.rows.to_pylist())
        seen.rejections.extend(batch.rejections)
        for (_, oddity), count in batch.oddities.items():
            seen.oddities[oddity] = seen.oddities.get(oddity, 0) + count
    return rows, seen


def stored_rows(store: Path, dataset: str, version: int | None = None) -> list[dict[str, Any]]:
    """The rows of a dataset's `sequences` table, sorted by id."""
    table = Table(store / dataset / "sequences")
    rows: list[dict[str, Any]] = []
    for file, group in table.row_groups(version):
        rows.extend(table.read_group(file, group).to_pylist())
    return sorted(rows, key=lambda row: row["id"])
