"""From source files to a version of the `sequences` table: one commit, or none.

Files that were read before are skipped, changed ones replaced, new ones appended; options that
changed bring everything anew. What was rejected is stored beside the table, with file, line and
reason. Use `read_records` for the same cleaning without a table, for prediction.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from seqprep.checks import check_name
from seqprep.domains import DOMAINS
from seqprep.errors import REASONS, InputError, Rejection, SeqprepError
from seqprep.ingestion.commit import commit_chunks
from seqprep.ingestion.derived import DERIVED
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.hashes import NAME as HASHES
from seqprep.ingestion.hashes import hash_files, hashes_to_keep, read_hashes, write_hashes
from seqprep.ingestion.plan import Plan, make_plan
from seqprep.ingestion.records import Context, Reader, SourceFacts
from seqprep.ingestion.source_chunks import (
    ChunkResult,
    Progress,
    cut_chunks,
    run_chunks,
)
from seqprep.ingestion.spread import spread_chunks
from seqprep.parallel import Runner
from seqprep.schema import sequences_schema
from seqprep.source import Source
from seqprep.staging import collect_stale
from seqprep.table import Table
from seqprep.upkeep.in_use import using

MISMATCHES = frozenset({"wrong_channels", "wrong_rate"})
"""Reasons to reject a recording that is unlike the others."""
GATHER_BYTES = 2**23
"""Small files are read together until their rows take this much."""


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
    rehash: bool = False,
    runner: Runner | None = None,
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
        rehash: whether to hash files again whose size, times and inode are what they were.
        runner: reads the files elsewhere, see `ingestion.spread`; the rows are the same.

    Returns:
        What the version holds, and whether it was there already.

    Raises:
        SeqprepError: if nothing usable is found, or something cannot be read.
    """
    started = time.monotonic()
    check_name(dataset, key="dataset")
    if runner is not None:  # its processes may stand in another folder
        base, store = base.absolute(), store.absolute()
    table = Table(store / dataset / "sequences")
    made = _derived(table, dataset=dataset, started=started)
    if made is not None:
        return made
    files = _listed_and_hashed(source, base, store / dataset / HASHES, rehash=rehash)
    plan = make_plan(source, base, table, files, prune=prune)
    version = plan.version
    if not plan.reusable:
        try:
            with using(store / dataset):
                version = _read_and_commit(
                    table, plan, base, workers=workers, progress=progress, runner=runner
                )
        except OSError as error:
            raise SeqprepError(_cannot_write(table, plan, error)) from error
    assert version is not None
    return _report(table, version, plan, dataset=dataset, reused=plan.reusable, started=started)


def _derived(table: Table, *, dataset: str, started: float) -> Ingested | None:
    """What a table of values that were made from another one holds; None for other tables."""
    version = table.version()
    if version is None:
        return None
    info = table.info(version)
    if DERIVED not in info.params:
        return None
    return Ingested(
        dataset=dataset,
        version=version,
        rows=info.counts["rows"],
        rejected=0,
        reused=True,
        files=info.counts["files"],
        new_files=0,
        missing_files=(),
        labels=info.counts["labels"],
        rejections={},
        oddities={},
        channels=tuple(info.params["channels"]),
        rate_hz=None,
        seconds=time.monotonic() - started,
    )


def _listed_and_hashed(
    source: Source, base: Path, cache: Path, *, rehash: bool
) -> list[SourceFile]:
    """The source files with their hashes, which are remembered for the next time."""
    known = read_hashes(cache)
    listed = DOMAINS[source.domain].list_files(source, base)
    files = hash_files(listed, {} if rehash else known)
    keep = hashes_to_keep(files)
    if keep != known:
        write_hashes(cache, keep)
    return files


def _read_and_commit(
    table: Table,
    plan: Plan,
    base: Path,
    *,
    workers: int | None,
    progress: Progress | None,
    runner: Runner | None,
) -> int:
    collect_stale(table.path)
    chunks = cut_chunks(
        plan.fresh,
        root=table.path,
        context=plan.context,
        first=plan.next_chunk,
        withdrawn=plan.withdrawn,
    )
    if runner is None or not chunks:
        found = run_chunks(chunks, workers=workers, progress=progress)
    else:
        found = spread_chunks(
            chunks, runner=runner, base=base, tables=plan.tables, progress=progress
        )
    results = list(found)
    if not plan.kept:  # one odd file that joins a dataset is rejected, and the others go on
        _refuse_mismatch(plan.context, results)
    return commit_chunks(table, plan, results, base=base)


def _refuse_mismatch(context: Context, results: Sequence[ChunkResult]) -> None:
    """Refuse where most files that were read differ from what all must share.

    Raises:
        SeqprepError: naming what was expected and the first file that differs.
    """
    counts = [count for result in results for count in result.counts]
    differing = [count for count in counts if MISMATCHES & count.rejected.keys()]
    if 2 * len(differing) <= len(counts):
        return
    lines = (json.loads(line) for result in results for line in result.rejections.splitlines())
    first = next(line for line in lines if line["reason"] in MISMATCHES)
    facts = context.facts
    channels = facts.channels or tuple(str(name) for name in context.source.channels)
    rate = "" if facts.rate_hz is None else f" at {facts.rate_hz:.6g} Hz"
    where = first["source"] + (f", line {first['line']}" if first["line"] else "")
    raise SeqprepError(
        f"{len(differing)} of {len(counts)} files read have other channels or another sampling "
        f"rate than expected ({', '.join(channels) or 'any channels'}{rate}); the first, {where}: "
        f"{first['detail']} [{first['reason']}]; set source.rate_hz or source.channels to what the "
        "files have, or leave files out with source.exclude. Nothing was committed"
    )


def _cannot_write(table: Table, plan: Plan, error: OSError) -> str:
    need = sum(file.size_bytes for file in plan.fresh) / 2**20
    return (
        f"{table.path}: ingest failed: {error}; at most about {need:.0f} MB are needed there: free "
        "space, allow writing, or choose another store. Nothing was changed"
    )


def _report(
    table: Table, version: int, plan: Plan, *, dataset: str, reused: bool, started: float
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
        SeqprepError: if a path does not exist, or none of the files can be read. A file that
            cannot be read among others is a rejection of the whole file.
    """
    if source.domain == "prices":
        raise SeqprepError("prices are generated, there are no files to read")
    if not paths:
        raise SeqprepError("there is nothing to read: no file or folder was named")
    reader = DOMAINS[source.domain]
    files = _files_of(source, [base / path for path in paths])
    context = Context.of(source, base, facts=facts, predicting=True)
    context = replace(context, facts=reader.probe(files, context, facts))
    yield from _gathered(_each_file(reader, files, context))


def _each_file(
    reader: Reader, files: Sequence[SourceFile], context: Context
) -> Iterator[tuple[pa.Table, list[Rejection]]]:
    """Batches of each file; what stops a file is a rejection of it, unless it stops all."""
    failures = []
    for file in files:
        try:
            for batch in reader.read([file], context):
                yield batch.rows, list(batch.rejections)
        except InputError as error:
            failures.append(error)
            if len(failures) == len(files):
                raise failures[0] from None
            reason = error.reason if error.reason in REASONS else "unreadable"
            rejection = Rejection(
                source=file.path, record=None, line=error.line, reason=reason, detail=error.text
            )
            schema = sequences_schema(context.source.domain, context.source.task)
            yield schema.empty_table(), [rejection]


def _gathered(
    parts: Iterable[tuple[pa.Table, list[Rejection]]],
) -> Iterator[tuple[pa.Table, list[Rejection]]]:
    """The same, many small files at a time."""
    tables: list[pa.Table] = []
    rejections: list[Rejection] = []
    size_bytes = 0
    for table, rejected in parts:
        tables.append(table)
        rejections += rejected
        size_bytes += table.nbytes
        if size_bytes >= GATHER_BYTES:
            yield pa.concat_tables(tables), rejections
            tables, rejections, size_bytes = [], [], 0
    if tables:
        yield pa.concat_tables(tables), rejections


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
