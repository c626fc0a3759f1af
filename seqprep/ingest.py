"""From source files to a version of the `sequences` table: one commit, or none.

Files that were read before are skipped, changed ones replaced, new ones appended; options that
changed bring everything anew. What was rejected is stored beside the table, with file, line and
reason. Use `read_records` for the same cleaning without a table, for prediction.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from seqprep.domains import DOMAINS
from seqprep.errors import Rejection, SeqprepError
from seqprep.fields import table_digests
from seqprep.files import SourceFile, hash_files, source_root
from seqprep.recipe import Source, as_json, check_name, fingerprint
from seqprep.records import Context, SourceFacts
from seqprep.schema import sequences_schema
from seqprep.source_chunks import (
    ChunkResult,
    FileCounts,
    Progress,
    cut_chunks,
    run_chunks,
    total,
)
from seqprep.table import CommitInfo, StagedFile, StagedWriter, Table, collect_stale

SHOWN_REJECTIONS = 3
"""How many rejections an error quotes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingested:
    """What an ingest did.

    Args:
        dataset: its name. version: of the `sequences` table.
        rows: records accepted, of the whole version; rejected: left out.
        reused: whether the newest version was that of these files already.
        files: source files of the version. new_files: read now, because new or changed.
        missing_files: known, but gone from the source; their rows stay unless pruned.
        labels: rows by label. rejections: by reason. oddities: by name, see records.ODDITIES.
        channels: of signals. rate_hz: of signals, where known.
        seconds: it took.
    """

    dataset: str
    version: int
    rows: int
    rejected: int
    reused: bool
    files: int
    new_files: int
    missing_files: tuple[str, ...]
    labels: dict[str, int]
    rejections: dict[str, int]
    oddities: dict[str, int]
    channels: tuple[str, ...]
    rate_hz: float | None
    seconds: float


def ingest(
    source: Source,
    *,
    dataset: str,
    store: Path,
    base: Path = Path(),
    workers: int | None = None,
    progress: Progress | None = None,
    prune: bool = False,
) -> Ingested:
    """Bring the `sequences` table of a dataset up to date with its source files.

    Args:
        source: where they lie and how they are read.
        dataset: a name; it owns `store/dataset`.
        store: the folder of all datasets.
        base: the folder that `source.path` is relative to.
        workers: processes for large inputs; default the cores there are. Never changes the rows.
        progress: called as (what, done, total).
        prune: whether rows of files that are gone go, too.

    Returns:
        What the version holds, and whether it was there already.

    Raises:
        SeqprepError: if nothing usable is found, or something cannot be read.
    """
    started = time.monotonic()
    check_name(dataset, key="dataset")
    table = Table(store / dataset / "sequences")
    files = hash_files(DOMAINS[source.domain].list_files(source, base))
    plan = _plan(source, base, table, files, prune=prune)
    version = plan.version
    reused = version is not None and table.info(version).fingerprint == plan.fingerprint
    if not reused:
        collect_stale(table.path)
        chunks = cut_chunks(
            plan.fresh, root=table.path, context=plan.context, first=plan.next_chunk
        )
        results = list(run_chunks(chunks, workers=workers, progress=progress))
        version = _commit(table, plan, results, base=base)
    assert version is not None
    return _report(table, version, plan, dataset=dataset, reused=reused, started=started)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What is to be done.

    Args:
        version: the newest one, that this builds upon; None where nothing was committed.
        fingerprint: of the version to be made. options: of the options alone.
        fresh: files to read. missing: paths that are known but gone.
        kept: counts of files whose rows stay. gone: paths whose stored rows go.
        context: for the readers. rejections: lines of the kept files.
        next_chunk: the first free number. afresh: whether nothing stored stays.
    """

    version: int | None
    fingerprint: str
    options: str
    fresh: tuple[SourceFile, ...]
    missing: tuple[str, ...]
    kept: Mapping[str, FileCounts]
    gone: frozenset[str]
    context: Context
    rejections: bytes
    next_chunk: int
    afresh: bool


def _plan(
    source: Source, base: Path, table: Table, files: Sequence[SourceFile], *, prune: bool
) -> _Plan:
    options = options_fingerprint(source, base)
    version = table.version()
    info = None if version is None else table.info(version)
    afresh = info is None or info.params.get("options") != options
    known = {} if info is None or afresh else _known_counts(table, info)
    present = {file.path: file for file in files}
    missing = tuple(sorted(known.keys() - present.keys()))
    fresh = tuple(
        file
        for file in files
        if file.path not in known or known[file.path].identity != file.identity
    )
    gone = {file.path for file in fresh} | (set(missing) if prune else set())
    kept = {path: count for path, count in known.items() if path not in gone}
    identities = [*(file.identity for file in fresh), *(count.identity for count in kept.values())]
    facts = None if info is None or afresh else _known_facts(info)
    context = Context.of(source, base, facts=facts)
    mark = fingerprint(options, sorted(identities))
    if fresh and not (info is not None and info.fingerprint == mark):
        found = DOMAINS[source.domain].probe(fresh, context, facts)
        context = replace(context, facts=found)
    return _Plan(
        version=version,
        fingerprint=mark,
        options=options,
        fresh=fresh,
        missing=missing,
        kept=kept,
        gone=frozenset(gone & known.keys()),
        context=context,
        rejections=b"" if info is None or afresh else _kept_rejections(table, info, kept),
        next_chunk=0 if info is None or afresh else int(info.params["next_chunk"]),
        afresh=afresh,
    )


def options_fingerprint(source: Source, base: Path) -> str:
    """A digest of all that decides a file's rows beside its path and bytes."""
    options = {key: value for key, value in as_json(source).items() if key != "path"}
    return fingerprint(options, DOMAINS[source.domain].version, table_digests(source, base))


def _known_counts(table: Table, info: CommitInfo) -> dict[str, FileCounts]:
    entries = json.loads(table.state.get(info.state["sources"]))
    return {entry["path"]: FileCounts(**entry) for entry in entries}


def _known_facts(info: CommitInfo) -> SourceFacts:
    given = info.params
    return SourceFacts(
        channels=tuple(given["channels"]),
        rate_hz=given["rate_hz"],
        target_names=tuple(given["target_names"]),
        target_classes=tuple(given["target_classes"]),
    )


def _kept_rejections(table: Table, info: CommitInfo, kept: Mapping[str, FileCounts]) -> bytes:
    lines = table.state.get(info.state["rejections"]).splitlines(keepends=True)
    return b"".join(line for line in lines if json.loads(line)["source"] in kept)


def _commit(table: Table, plan: _Plan, results: Sequence[ChunkResult], *, base: Path) -> int:
    source = plan.context.source
    rejections = plan.rejections + b"".join(result.rejections for result in results)
    rewritten = _rewrite(table, plan)
    counts = [_moved(count, rewritten) for count in plan.kept.values()]
    counts += [count for result in results for count in result.counts]
    counts.sort(key=lambda count: count.path)
    rows = sum(count.rows for count in counts)
    if rows == 0:
        raise SeqprepError(_nothing_usable(source, base, counts, rejections))
    sources = json.dumps([asdict(count) for count in counts], sort_keys=True).encode()
    info = CommitInfo(
        kind="sequences",
        fingerprint=plan.fingerprint,
        counts=_counts(counts),
        params=_params(plan, len(results)),
        state={
            "sources": table.state.put(sources, "json"),
            "rejections": table.state.put(rejections, "jsonl"),
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


def _counts(counts: Sequence[FileCounts]) -> dict[str, Any]:
    rejections = total(counts, "rejected")
    return {
        "rows": sum(count.rows for count in counts),
        "rejected": sum(rejections.values()),
        "files": len(counts),
        "labels": total(counts, "labels"),
        "rejections": rejections,
        "oddities": total(counts, "oddities"),
    }


def _params(plan: _Plan, chunks: int) -> dict[str, Any]:
    source, facts = plan.context.source, plan.context.facts
    return {
        "domain": source.domain,
        "task": source.task,
        "options": plan.options,
        "source": {key: value for key, value in as_json(source).items() if key != "path"},
        "next_chunk": plan.next_chunk + chunks,
        "missing_files": list(plan.missing),
        **as_json(facts),
    }


def _rewrite(table: Table, plan: _Plan) -> dict[str, StagedFile | None]:
    """Parquet files that lose rows -> what takes their place (None where no row is left)."""
    if plan.afresh or not plan.gone or plan.version is None:
        return {}
    gone = pa.array(sorted(plan.gone), pa.string())
    groups = Counter(file.path for file, _ in table.row_groups(plan.version))
    placed: dict[str, StagedFile | None] = {}
    for file in table.files(plan.version):
        if not plan.gone & set(file.sources):
            continue
        left = [path for path in file.sources if path not in plan.gone]
        placed[file.path] = _without(table, file, groups[file.path], gone, left) if left else None
    return placed


def _without(
    table: Table, file: StagedFile, groups: int, gone: pa.Array, left: Sequence[str]
) -> StagedFile:
    """The file's rows without those of the sources that are gone."""
    name = file.path.rsplit("-", 1)[0]
    first = table.read_group(file, 0)
    with StagedWriter(table.path, name, first.schema, sources=left) as writer:
        for group in range(groups):
            rows = table.read_group(file, group)
            writer.write(rows.filter(pc.invert(pc.is_in(rows.column("source"), value_set=gone))))
    return writer.staged


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


def _report(
    table: Table, version: int, plan: _Plan, *, dataset: str, reused: bool, started: float
) -> Ingested:
    info = table.info(version)
    counts = info.counts
    return Ingested(
        dataset=dataset,
        version=version,
        rows=counts["rows"],
        rejected=counts["rejected"],
        reused=reused,
        files=counts["files"],
        new_files=0 if reused else len(plan.fresh),
        missing_files=plan.missing,
        labels=counts["labels"],
        rejections=counts["rejections"],
        oddities=counts["oddities"],
        channels=tuple(info.params["channels"]),
        rate_hz=info.params["rate_hz"],
        seconds=time.monotonic() - started,
    )


def read_records(
    source: Source,
    paths: Sequence[Path],
    *,
    base: Path = Path(),
    facts: SourceFacts | None = None,
) -> Iterator[tuple[pa.Table, list[Rejection]]]:
    """Read new files with the cleaning of an ingest; labels, groups and targets are not needed.

    Args:
        source: of the training; its path is not used.
        paths: files or folders to read.
        base: the folder that relative paths are relative to.
        facts: what training found that all records share: files with other channels are rejected.

    Yields:
        Rows in the schema of `sequences`, and the records that were rejected, in order.

    Raises:
        SeqprepError: if a path does not exist or a file cannot be read.
    """
    if source.domain == "prices":
        raise SeqprepError("prices are generated, there are no files to read")
    reader = DOMAINS[source.domain]
    files = _files_of(source, [base / path for path in paths])
    context = Context.of(source, base, facts=facts, predicting=True)
    context = replace(context, facts=reader.probe(files, context, facts))
    for batch in reader.read(files, context):
        yield pa.Table.from_batches([batch.rows]), list(batch.rejections)


def _files_of(source: Source, paths: Sequence[Path]) -> list[SourceFile]:
    """The files to predict, named relative to the folder that holds all of them."""
    roots = [path.absolute() if path.is_dir() else path.absolute().parent for path in paths]
    folder = Path(os.path.commonpath(roots))
    found: dict[str, SourceFile] = {}
    for path in paths:
        given = replace(source, path=str(path.absolute()), nltk=None, target=None, task="classify")
        prefix = Path(os.path.relpath(path.absolute(), folder))
        for file in DOMAINS[source.domain].list_files(given, Path()):
            name = prefix if path.is_file() else prefix / file.path
            found[name.as_posix()] = replace(file, path=name.as_posix())
    return [found[name] for name in sorted(found)]
