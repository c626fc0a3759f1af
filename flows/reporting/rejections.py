"""The records that an ingest left out: where their list lies, and its first lines."""

from __future__ import annotations

import json

from flows.references import Json
from seqprep.table import Table

SHOWN = 5
"""Rejected records that are shown; the file has all."""


def rejected_records(table: Table, version: int | None = None) -> Json:
    """Where a version's list of rejected records lies, and its first lines.

    Args:
        table: of sequences.
        version: of it; default the newest.
    """
    name = table.info(version).state["rejections"]
    lines = table.state.get(name).splitlines()[:SHOWN]
    return {"path": str(table.state.path / name), "first": [json.loads(line) for line in lines]}
