"""Stored files that lose rows: what takes their place in the next version.

A published file never changes, so its remaining rows are written anew, byte for byte as they were
stored; the bytes are compared with what was committed before any row of them is committed again.
Small files can be joined on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from seqprep.staging import StagedFile, StagedWriter
from seqprep.table import Table

GROUP_ROWS, GROUP_BYTES = 4096, 2**23
"""Chunks that are smaller than both are joined, too."""
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


def join(
    table: Table,
    files: Sequence[tuple[StagedFile, Collection[str]]],
    schema: pa.Schema,
    *,
    name: str,
) -> StagedFile:
    """Write the rows of several files as one.

    Args:
        table: that has the files.
        files: each with the sources whose rows are left out; some row must stay.
        schema: of the rows.
        name: first part of the new file's name.

    Raises:
        CorruptError: if a file is missing or altered.
    """
    with StagedWriter(table.path, name, schema) as writer:
        for rows in _in_groups(_kept(table, files)):
            writer.write(rows)
    return writer.staged


def _kept(table: Table, files: Sequence[tuple[StagedFile, Collection[str]]]) -> Iterator[pa.Table]:
    for file, gone in files:
        keep = without_sources(pa.array(sorted(gone), pa.string()))
        for group in range(table.group_count(file)):
            rows = table.read_group(file, group)
            yield rows.filter(keep(rows))


def _in_groups(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Rows of small chunks, many at a time."""
    waiting: list[pa.Table] = []
    for part in parts:
        waiting.append(part)
        if (
            sum(map(len, waiting)) >= GROUP_ROWS
            or sum(one.nbytes for one in waiting) >= GROUP_BYTES
        ):
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
