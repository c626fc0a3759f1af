"""Some records of a source in a table of their own, for a look before anything is ingested.

Whole files where all of them are small enough; otherwise the first records of files taken evenly
from the list. Records are cleaned and labelled as an ingest does it. Not for training: what a
sample lacks is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from seqprep.domains import DOMAINS
from seqprep.errors import SeqprepError
from seqprep.fingerprint import as_json
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context
from seqprep.schema import sequences_schema
from seqprep.source import Source
from seqprep.staging import StagedWriter
from seqprep.table import CommitInfo, Table

MOST_FILES = 2000
GATHER_BYTES = 2**23
"""Records are stored together until they take this much."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What was read of a source.

    Args:
        table: with the records as its only version.
        rows: how many there are. files: that were read, of `all_files`.
        whole: whether that is all of the source.
    """

    table: Table
    rows: int
    files: int
    all_files: int
    whole: bool


def read_sample(source: Source, *, base: Path, folder: Path, max_bytes: int) -> Sample:
    """Read about `max_bytes` of a source into a table of `folder`.

    Args:
        source: as in the pipeline file.
        base: folder that `source.path` is relative to.
        folder: for the table; it may be deleted afterwards.
        max_bytes: of records.

    Raises:
        SeqprepError: if nothing usable is found.
    """
    reader = DOMAINS[source.domain]
    listed = reader.list_files(source, base)
    chosen = _evenly(listed)
    context = Context.of(source, base)
    context = replace(context, facts=reader.probe(chosen, context, None))
    schema = sequences_schema(source.domain, source.task)
    table = Table(folder / "sequences")
    small = sum(file.size_bytes for file in chosen) <= max_bytes
    share, cut = max_bytes // max(len(chosen), 1), False
    waiting: list[pa.Table] = []
    with StagedWriter(table.path, "part-00000", schema) as writer:
        for file in chosen:
            left = share
            for batch in reader.read([file], context):
                if not small and left <= 0:
                    cut = True
                    break
                waiting.append(batch.rows)
                left -= batch.rows.nbytes
                if sum(rows.nbytes for rows in waiting) >= GATHER_BYTES:
                    writer.write(pa.concat_tables(waiting))
                    waiting = []
        if waiting:
            writer.write(pa.concat_tables(waiting))
        rows = writer.rows
    if not rows:
        raise SeqprepError(
            f"no usable record in the {len(chosen)} files of the source that were read; "
            "`seqprep ingest FILE` says why"
        )
    table.commit(
        schema=schema,
        files=[writer.staged],
        info=CommitInfo(
            kind="sequences",
            fingerprint="",
            counts={"rows": rows},
            params={"domain": source.domain, "task": source.task, **as_json(context.facts)},
        ),
        base=None,
    )
    whole = len(chosen) == len(listed) and not cut
    return Sample(table=table, rows=rows, files=len(chosen), all_files=len(listed), whole=whole)


def _evenly(files: Sequence[SourceFile]) -> list[SourceFile]:
    """At most MOST_FILES of the files, evenly from the list."""
    if len(files) <= MOST_FILES:
        return list(files)
    places = np.linspace(0, len(files) - 1, MOST_FILES).round().astype(int)
    return [files[place] for place in places.tolist()]
