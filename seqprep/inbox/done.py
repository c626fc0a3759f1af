"""What is stored of each source file: told by the rows themselves, so there is no second list.

Legend: a part is one Parquet file of a table of predictions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from seqprep.staging import StagedFile
from seqprep.table import Table

NAME = "predictions"
"""The table's folder in that of the predictions."""
SHA256, BUNDLE = "source_sha256", "bundle"
KEYS = (pa.field(SHA256, pa.string()), pa.field(BUNDLE, pa.string()))
"""Columns beside `source` and `error`: SHA-256 of the file, and of the manifest of the bundle that
predicted it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What is stored of a source file.

    Args:
        sha256: of its bytes. bundle: digest of the model that predicted it.
        rows, errors: how many there are.
    """

    sha256: str
    bundle: str
    rows: int
    errors: int


def is_due(before: Done | None, sha256: str, bundle: str, *, again: bool) -> bool:
    """Whether a file is to be predicted.

    Args:
        before: what is stored under its path.
        sha256: of its bytes.
        bundle: digest of the model.
        again: whether also where another model predicted it.
    """
    if before is None or before.sha256 != sha256:
        return True
    return again and before.bundle != bundle


def read_done(table: Table, part: StagedFile) -> dict[str, Done]:
    """What a part holds, by the path of the source file.

    Raises:
        CorruptError: naming the part, if it is missing or damaged.
    """
    found: dict[str, Done] = {}
    keys = ["source", SHA256, BUNDLE]
    for group in range(table.group_count(part, verify=False)):
        rows = table.read_group(part, group, [*keys, "error"])
        counted = rows.group_by(keys).aggregate([([], "count_all"), ("error", "count")])
        for row in counted.to_pylist():
            before = found.get(row["source"])
            found[row["source"]] = Done(
                sha256=row[SHA256],
                bundle=row[BUNDLE],
                rows=row["count_all"] + (before.rows if before else 0),
                errors=row["error_count"] + (before.errors if before else 0),
            )
    return found


def counted(found: Collection[Done]) -> dict[str, int]:
    """Files, rows, and errors among these."""
    return {
        "files": len(found),
        "rows": sum(one.rows for one in found),
        "errors": sum(one.errors for one in found),
    }
