"""What a version knows of its source files, as its state keeps it: one list for each count.

There may be very many files and all of them are written with every version, so they are kept by
column, which is several times faster to write and to read than an object a file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields

from seqprep.ingestion.source_chunks import FileCounts
from seqprep.table import CommitInfo, Table

_NAMES = tuple(item.name for item in fields(FileCounts))


def counts_to_bytes(counts: Sequence[FileCounts]) -> bytes:
    """The counts of files as JSON; `counts_from_bytes` undoes it.

    >>> one = FileCounts(path="a", sha256="0", beside_sha256="", size_bytes=1, labels={"x": 1})
    >>> counts_from_bytes(counts_to_bytes([one])) == [one]
    True
    """
    columns = {name: [getattr(count, name) for count in counts] for name in _NAMES}
    return json.dumps(columns, sort_keys=True, separators=(",", ":")).encode()


def counts_from_bytes(data: bytes) -> list[FileCounts]:
    """Undo `counts_to_bytes`; also reads an object a file, as older versions have it."""
    found = json.loads(data)
    if isinstance(found, list):
        return [FileCounts(**entry) for entry in found]
    columns = [found[name] for name in _NAMES]
    return [FileCounts(*row) for row in zip(*columns, strict=True)]


def known_counts(table: Table, info: CommitInfo) -> list[FileCounts]:
    """What came of each source file of a version, sorted by path."""
    return counts_from_bytes(table.state.get(info.state["sources"]))
