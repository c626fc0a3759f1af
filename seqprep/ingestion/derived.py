"""A `sequences` table whose values were made from the records of another one, e.g. by a model.

Its rows keep id, name, group, label, source and content hash, so that a split by group, duplicates
and withdrawal treat them as the records they were made from. There is nothing to ingest into it:
`ingest` finds the newest version as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from seqprep.errors import SeqprepError
from seqprep.fingerprint import as_json, fingerprint
from seqprep.ingestion.commit import counted, put_state
from seqprep.ingestion.known import known_counts
from seqprep.ingestion.records import SourceFacts
from seqprep.ingestion.withdrawn import Withdrawn
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
        SeqprepError: if the dataset holds records of its own.
    """
    base = table.version()
    made_from = fingerprint(origin.info(version).fingerprint, dict(made_by), task, list(channels))
    if base is not None and _is_there(table, base, made_from):
        return base
    counts = known_counts(origin, origin.info(version))
    schema = sequences_schema(DOMAIN, task)
    sources = sorted(count.path for count in counts if count.rows)
    with StagedWriter(table.path, f"derived-{made_from[:8]}", schema, sources=sources) as writer:
        for part in rows:
            columns = [_column(part, field) for field in schema]
            writer.write(pa.table(columns, schema=schema))
    staged = writer.staged
    counts = [replace(count, stored=staged.path if count.rows else "") for count in counts]
    told = {**made_by, "dataset": origin.path.parent.name, "version": version}
    return table.commit(
        schema=schema,
        files=[staged],
        remove="all",
        info=CommitInfo(
            kind="sequences",
            fingerprint=made_from,
            counts={**counted(counts), "rejected": 0, "rejections": {}, "oddities": {}},
            params={**_params(task, channels), "options": made_from, DERIVED: told},
            state=put_state(table, counts, b"", Withdrawn()),
        ),
        base=base,
    )


def _is_there(table: Table, version: int, made_from: str) -> bool:
    """Whether a version was made from the same.

    Raises:
        SeqprepError: if it holds records of its own.
    """
    info = table.info(version)
    if DERIVED not in info.params:
        raise SeqprepError(
            f"{table.path.parent.name} is a dataset of ingested records; choose another name"
        )
    return info.fingerprint == made_from and table.is_whole(version)


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
