"""The commit of an ingest: new files in, those that lose rows rewritten, all in one step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from seqprep.errors import SeqprepError
from seqprep.fingerprint import as_json
from seqprep.ingestion.files import source_root
from seqprep.ingestion.known import counts_to_bytes
from seqprep.ingestion.plan import TABLES, Plan
from seqprep.ingestion.rewrite import rewrite, without_sources
from seqprep.ingestion.source_chunks import (
    ChunkResult,
    FileCounts,
    total,
)
from seqprep.ingestion.withdrawn import STATE, Withdrawn
from seqprep.schema import sequences_schema
from seqprep.source import Source
from seqprep.staging import StagedFile
from seqprep.table import CommitInfo, Table

SHOWN_REJECTIONS = 3
"""How many rejections an error quotes."""


def commit_chunks(table: Table, plan: Plan, results: Sequence[ChunkResult], *, base: Path) -> int:
    """Make what was read the newest version, beside the rows that stay.

    Args:
        table: of the dataset.
        plan: what was to be done.
        results: of the chunks, in order.
        base: the folder that `source.path` is relative to, for messages.

    Returns:
        The new version.

    Raises:
        SeqprepError: if no record is left.
        ConflictError: if another run committed something else meanwhile.
    """
    source = plan.context.source
    rejections = plan.rejections + b"".join(result.rejections for result in results)
    rewritten = _rewrite(table, plan)
    counts = [_moved(count, rewritten) for count in plan.kept.values()]
    counts += [count for result in results for count in result.counts]
    counts.sort(key=lambda count: count.path)
    rows = sum(count.rows for count in counts)
    if rows == 0:
        raise SeqprepError(_nothing_usable(source, base, counts, rejections))
    info = CommitInfo(
        kind="sequences",
        fingerprint=plan.fingerprint,
        counts=counted(counts),
        params=_params(plan, len(results)),
        state={
            **put_state(table, counts, rejections, plan.withdrawn),
            **_put_tables(table, plan),
        },
    )
    staged = [result.staged for result in results if result.staged is not None]
    return table.commit(
        schema=sequences_schema(source.domain, source.task),
        files=[*(file for file in rewritten.values() if file is not None), *staged],
        remove="all" if plan.afresh else list(rewritten),
        info=info,
        base=plan.version,
    )


def put_state(
    table: Table, counts: Sequence[FileCounts], rejections: bytes, withdrawn: Withdrawn
) -> dict[str, str]:
    """Store what a version knows beside its rows; names of the files."""
    state = {
        "sources": table.state.put(counts_to_bytes(counts), "json"),
        "rejections": table.state.put(rejections, "jsonl"),
    }
    if withdrawn:
        state[STATE] = table.state.put(withdrawn.to_bytes(), "json")
    return state


def _put_tables(table: Table, plan: Plan) -> dict[str, str]:
    if not plan.tables:
        return {}
    body = json.dumps(plan.tables, sort_keys=True, separators=(",", ":")).encode()
    return {TABLES: table.state.put(body, "json")}


def counted(counts: Sequence[FileCounts]) -> dict[str, Any]:
    """What a commit says of its rows, in numbers."""
    rejections = total(counts, "rejected")
    return {
        "rows": sum(count.rows for count in counts),
        "rejected": sum(rejections.values()),
        "files": len(counts),
        "labels": total(counts, "labels"),
        "rejections": rejections,
        "oddities": total(counts, "oddities"),
    }


def _params(plan: Plan, chunks: int) -> dict[str, Any]:
    source, facts = plan.context.source, plan.context.facts
    return {
        "domain": source.domain,
        "task": source.task,
        "options": plan.options,
        "table_base": list(plan.table_base),
        "source": {key: value for key, value in as_json(source).items() if key != "path"},
        "next_chunk": plan.next_chunk + chunks,
        "missing_files": list(plan.missing),
        **as_json(facts),
    }


def _rewrite(table: Table, plan: Plan) -> dict[str, StagedFile | None]:
    """Parquet files that lose rows -> what takes their place (None where no row is left)."""
    if plan.afresh or not plan.gone or plan.version is None:
        return {}
    gone = pa.array(sorted(plan.gone), pa.string())
    placed: dict[str, StagedFile | None] = {}
    for file in table.files(plan.version):
        if not plan.gone & set(file.sources):
            continue
        left = [path for path in file.sources if path not in plan.gone]
        keep = without_sources(gone)
        placed[file.path] = rewrite(table, file, keep, left=left) if left else None
    return placed


def _moved(count: FileCounts, rewritten: Mapping[str, StagedFile | None]) -> FileCounts:
    file = rewritten.get(count.stored)
    return count if file is None else replace(count, stored=file.path)


def _nothing_usable(
    source: Source, base: Path, counts: Sequence[FileCounts], rejections: bytes
) -> str:
    where = source.nltk or source_root(source, base)
    names = ", ".join(repr(count.path) for count in counts[:SHOWN_REJECTIONS])
    message = f"no usable record in {where}: read {len(counts)} files such as {names}"
    lines = [json.loads(line) for line in rejections.splitlines()[:SHOWN_REJECTIONS]]
    shown = [
        f"{line['source']}"
        + (f", line {line['line']}" if line["line"] else "")
        + f": {line['detail']} [{line['reason']}]"
        for line in lines
    ]
    return "; ".join([message, *shown])
