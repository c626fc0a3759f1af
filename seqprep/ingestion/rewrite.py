"""Stored files that lose rows: what takes their place in the next version.

A published file never changes, so its remaining rows are written anew, byte for byte as they were
stored; the bytes are compared with what was committed before any row of them is committed again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from seqprep.staging import StagedFile, StagedWriter
from seqprep.table import Table

Keep = Callable[[pa.Table], pa.Array]
"""Which rows of a chunk stay, as booleans."""


def rewrite(table: Table, file: StagedFile, keep: Keep, *, left: Sequence[str]) -> StagedFile:
    """Write the rows of a file that stay.

    Args:
        table: that has the file.
        file: one of its files.
        keep: see Keep.
        left: the source files that still have rows in it.

    Raises:
        CorruptError: if the file is missing or altered.
    """
    groups = table.group_count(file)
    name = file.path.rsplit("-", 1)[0]
    first = table.read_group(file, 0)
    with StagedWriter(table.path, name, first.schema, sources=left) as writer:
        for group in range(groups):
            rows = table.read_group(file, group)
            writer.write(rows.filter(keep(rows)))
    return writer.staged


def without_sources(gone: pa.Array) -> Keep:
    """Keep the rows whose source is not among `gone`."""
    return lambda rows: pc.invert(pc.is_in(rows.column("source"), value_set=gone))
