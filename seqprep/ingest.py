"""From source files to a version of the `sequences` table: one commit, or none.

Files that were read before are skipped, changed ones replaced, new ones appended; options that
changed bring everything anew. What was rejected is stored beside the table, with file, line and
reason. Use `new_files` for the same cleaning without a table, for prediction.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqprep.arrow_memory import memory_for
from seqprep.checks import check_name
from seqprep.domains import DOMAINS
from seqprep.errors import ConfigError, SeqprepError
from seqprep.garbage import collector_paused
from seqprep.ingestion.commit import commit_chunks
from seqprep.ingestion.derived import DERIVED
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.hashes import NAME as HASHES
from seqprep.ingestion.hashes import hash_files, hashes_to_keep, read_hashes, write_hashes
from seqprep.ingestion.plan import Plan, make_plan
from seqprep.ingestion.records import Context
from seqprep.ingestion.source_chunks import (
    ChunkResult,
    Progress,
    cut_chunks,
    run_chunks,
)
from seqprep.ingestion.spread import spread_chunks
from seqprep.parallel import Runner
from seqprep.source import Source
from seqprep.staging import collect_stale
from seqprep.table import Table
from seqprep.upkeep.in_use import using

MISMATCHES = frozenset({"wrong_channels", "wrong_rate"})
"""Reasons to reject a recording that is unlike the others."""


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
        workers: for large inputs; default one a core, at most eight. Never changes the rows.
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
    if store.is_file():
        raise ConfigError(f"{store}: is a file, where the folder of the store is needed")
    if runner is not None:  # its processes may stand in another folder
        base, store = base.absolute(), store.absolute()
    table = Table(store / dataset / "sequences")
    made = _derived(table, dataset=dataset, started=started)
    if made is not None:
        return made
    with collector_paused():
        files = _listed_and_hashed(source, base, store / dataset / HASHES, rehash=rehash)
        plan = make_plan(source, base, table, files, prune=prune)
    version = plan.version
    if not plan.reusable:
        try:
            with using(store / dataset), memory_for(source.domain):
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
        rejected=info.counts["rejected"],
        reused=True,
        files=info.counts["files"],
        new_files=0,
        missing_files=(),
        labels=info.counts["labels"],
        rejections=info.counts["rejections"],
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
    with collector_paused():
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
    need = 1 + sum(file.size_bytes for file in plan.fresh) // 2**20
    return (
        f"{table.path}: ingest failed: {error}; at most about {need} MB are needed there: free "
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
