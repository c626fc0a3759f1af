"""Versions whose files were deleted on purpose, and why: by `gc`, or by `remove --erase`.

A version gets its mark before its first file goes, so that a crash in between leaves a version that
nobody uses rather than one that looks damaged; deleting the rest can go on at any time. A mark is
an empty file `_gone/<version>.<reason>` in the table's folder: there is nothing in it that could
be altered, and readers of Delta skip such folders.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from seqprep.errors import CorruptError

FOLDER = "_gone"
Reason = Literal["collected", "erased"]
WHY: dict[Reason, str] = {
    "collected": "was collected by gc",
    "erased": "was erased, because it held a record that was withdrawn",
}
"""What a reason means, for a person; the last one that applies is told."""


class GoneError(CorruptError):
    """A version was deleted on purpose."""


def mark_gone(table: Path, version: int, reason: Reason) -> Path:
    """Mark a version before its files are deleted; lasting when this returns. Returns the mark."""
    folder = table / FOLDER
    folder.mkdir(exist_ok=True)
    mark = folder / f"{version}.{reason}"
    mark.touch()
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return mark


def gone_reason(table: Path, version: int) -> Reason | None:
    """Why a version is gone; None if it is not."""
    found: Reason | None = None
    for reason in WHY:
        if (table / FOLDER / f"{version}.{reason}").is_file():
            found = reason
    return found


def refuse_gone(table: Path, version: int) -> None:
    """Refuse to use a version that is gone.

    Raises:
        GoneError: saying why, and what to do.
    """
    reason = gone_reason(table, version)
    if reason is not None:
        stage = "ingest" if table.name == "sequences" else "prepare"
        raise GoneError(
            f"{table}: version {version} {WHY[reason]}, and its files are deleted; run {stage} "
            "again, or use a newer version"
        )
