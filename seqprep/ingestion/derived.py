"""A `sequences` table whose values were made from the records of another one, e.g. by a model.

Its rows keep id, name, group, label, source and content hash, so that a split by group, duplicates
and withdrawal treat them as the records they were made from. There is nothing to ingest into it:
`ingest` finds the newest version as it is. What was withdrawn from it stays out of every later
version (CONTRACT 11); what was withdrawn from its origin is not among the rows it is made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from seqprep import delta_log
from seqprep.errors import CorruptError, SeqprepError
from seqprep.fingerprint import as_json, fingerprint
from seqprep.ingestion.commit import counted, put_state
from seqprep.ingestion.known import known_counts
from seqprep.ingestion.plan import version_fingerprint
from seqprep.ingestion.records import Batch, SourceFacts
from seqprep.ingestion.source_chunks import FileCounts, count_batch, rejection_line
from seqprep.ingestion.withdrawn import leave_out, read_withdrawn
from seqprep.schema import Task, sequences_schema
from seqprep.source import Domain, Source
from seqprep.staging import StagedWriter
from seqprep.table import CommitInfo, Table

DERIVED = "derived"
"""The key of a commit's parameters that says what its rows were made from."""
DOMAIN: Domain = "eeg"
"""The domain of tables of values."""


def derived_source(task: Task) -> Source:
    """What a pipeline file says under `source` of such a table; its path is a formality."""
    return Source(domain=DOMAIN, path="sequences", task=task)


def derived_task(origin: Table, version: int) -> Task:
    """What can be learnt from the labels of the records: classify or regress, else reconstruct."""
    found: Task = "reconstruct"
    for file, group in origin.row_groups(version, verify=False):
        label = origin.read_group(file, group, ["label"])["label"]
        if pa.types.is_floating(label.type):
            return "regress"
        if label.null_count < len(label):
            found = "classify"
    return found


def commit_derived(
    table: Table,
    rows: Iterator[pa.Table],
    *,
    origin: Table,
    version: int,
    task: Task,
    channels: Sequence[str],
    made_by: Mapping[str, Any],
) -> int:
    """Make rows the newest version of a table, in place of all that it held.

    Rows that were withdrawn from the table are left out and counted, as an ingest does.

    Args:
        table: of the new dataset.
        rows: some rows of `origin` at a time with `values` `(steps x channels)`, `length` in steps
            and what is to be kept beside them in `attributes`.
        origin: the table that they were made from.
        version: of it.
        task: of the new dataset.
        channels: names of the values.
        made_by: what made them, for the commit.

    Returns:
        The new version; the newest one where it was made from the same by the same.

    Raises:
        SeqprepError: if the dataset holds records of its own, or was made from another dataset.
        CorruptError: if the list of what was withdrawn from it is missing or altered.
    """
    base = table.version()
    made_from = fingerprint(origin.info(version).fingerprint, dict(made_by), task, list(channels))
    if base is not None and _is_there(table, base, made_from, origin):
        return base
    withdrawn = read_withdrawn(table, None if base is None else table.info(base))
    counts = {
        count.path: FileCounts(*count.identity, size_bytes=count.size_bytes)
        for count in known_counts(origin, origin.info(version))
    }
    schema = sequences_schema(DOMAIN, task)
    lines: list[bytes] = []
    with StagedWriter(table.path, f"derived-{made_from[:8]}", schema) as writer:
        for part in rows:
            batch = leave_out(Batch(rows=part), withdrawn)
            count_batch(batch, counts)
            lines.extend(rejection_line(rejection) for rejection in batch.rejections)
            columns = [_column(batch.rows, field) for field in schema]
            writer.write(pa.table(columns, schema=schema))
        writer.sources = sorted(path for path, count in counts.items() if count.rows)
    staged = writer.staged
    listed = [replace(count, stored=staged.path if count.rows else "") for count in counts.values()]
    identities = [count.identity for count in listed]
    told = {**made_by, "dataset": origin.path.parent.name, "version": version}
    return table.commit(
        schema=schema,
        files=[staged],
        remove="all",
        info=CommitInfo(
            kind="sequences",
            fingerprint=version_fingerprint(made_from, identities, withdrawn)
            if withdrawn
            else made_from,
            counts=counted(listed),
            params={**_params(task, channels), "options": made_from, DERIVED: told},
            state=put_state(table, listed, b"".join(lines), withdrawn),
        ),
        base=base,
    )


def _is_there(table: Table, version: int, made_from: str, origin: Table) -> bool:
    """Whether a version was made from the same, be it that rows of it were withdrawn since.

    Raises:
        SeqprepError: if it holds records of its own, or was made from another dataset.
    """
    params, name = table.info(version).params, table.path.parent.name
    if DERIVED not in params:
        raise SeqprepError(f"{name} is a dataset of ingested records; choose another name")
    if params[DERIVED]["dataset"] != origin.path.parent.name:
        raise SeqprepError(
            f"{name} was made from {params[DERIVED]['dataset']}, not from "
            f"{origin.path.parent.name}, whose records may have the same ids as withdrawn ones of "
            "the other; choose another name"
        )
    return bool(params["options"] == made_from) and table.is_whole(version)


def made_from_records(folder: Path) -> list[Path]:
    """Datasets of the same store that were made from a dataset's records, or from such a dataset.

    Args:
        folder: of the dataset whose records they are.

    Returns:
        Their folders, the nearest ones first. A version that is gone counts, for what was prepared
        from it may still be there.

    Raises:
        CorruptError: if it cannot be told what one of the store's datasets was made from.
    """
    tables = sorted(folder.parent.glob("*/sequences/_delta_log"))
    origins = {path.parent.parent: _origins(Table(path.parent)) for path in tables}
    found = [folder]
    for known in found:  # grows meanwhile
        names = {folder.name for folder in found}
        found += [
            one
            for one, made_from in origins.items()
            if known.name in made_from and one.name not in names
        ]
    return found[1:]


def _origins(table: Table) -> set[str]:
    """Names of the datasets that the versions of a table were made from; none for most tables.

    All versions of a table are made or none is, so an entry of the log that is damaged is no
    matter as long as another one tells.
    """
    newest = table.version()
    told, damaged = [], None
    for version in range(0 if newest is None else newest + 1):
        try:
            entry = delta_log.read_entry(table.path, version)
        except CorruptError as error:
            damaged = error
            continue
        if entry is not None:
            told.append(CommitInfo(**entry[1]).params)
    if damaged is not None and not told:
        raise damaged
    return {params[DERIVED]["dataset"] for params in told if DERIVED in params}


def _params(task: Task, channels: Sequence[str]) -> dict[str, Any]:
    """What every commit of sequences says."""
    return {
        "domain": DOMAIN,
        "task": task,
        "table_base": [],
        "source": {k: v for k, v in as_json(derived_source(task)).items() if k != "path"},
        "next_chunk": 1,
        "missing_files": [],
        **as_json(SourceFacts(channels=tuple(channels))),
    }


def _column(part: pa.Table, field: pa.Field) -> pa.ChunkedArray | pa.Array:
    if field.name not in part.column_names:
        return pa.nulls(len(part), field.type)
    return part[field.name].cast(field.type)


def with_attributes(
    attributes: Sequence[str | None], more: Sequence[Mapping[str, Any]]
) -> pa.Array:
    """JSON objects of attributes, each with some keys more.

    >>> with_attributes(['{"a": "1"}', None], [{"b": 2}, {"b": 3}]).to_pylist()
    ['{"a": "1", "b": 2}', '{"b": 3}']
    """
    pairs = zip(attributes, more, strict=True)
    return pa.array(
        [json.dumps({**json.loads(known or "{}"), **new}) for known, new in pairs], pa.string()
    )
