"""One preparation from the records to the commit: both passes, the shards, what is said of them.

Memory does not grow with the data: between the passes content lies on disk. Use it from `prepare`,
which decides beforehand whether there is anything to do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqprep.checks import parse_bytes
from seqprep.fingerprint import as_json, fingerprint
from seqprep.fitted import Fitted
from seqprep.parallel import Progress
from seqprep.preparation.first_pass import Encoding, Job, first_pass
from seqprep.preparation.fitting import bucket_limits, fit
from seqprep.preparation.frozen import Frozen, Identity
from seqprep.preparation.prepared import drift, report
from seqprep.preparation.published import known_facts
from seqprep.preparation.roster import Roster, read_roster
from seqprep.preparation.second_pass import Finisher, second_pass, slot_schema
from seqprep.preparation.shards import Slots, write_shards
from seqprep.preparation.spill import SpillFolder, release_memory
from seqprep.preparation.totals import Totals
from seqprep.staging import StagedFile, collect_stale
from seqprep.table import CommitInfo, Table

MAX_SLOTS = 500
"""Files that may be open at a time. Past it slots grow beyond their eighth of the memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """One preparation.

    Args:
        job: what is prepared. examples: where it goes. identity: of both. name: of the dataset.
        frozen: state that is kept; None: fit anew.
        base: folder of `split.table`. threads: to use. progress: see `parallel.Progress`.
    """

    job: Job
    examples: Table
    identity: Identity
    frozen: Frozen | None
    base: Path
    threads: int
    progress: Progress | None
    name: str


def make_version(work: Work) -> int:
    """Run both passes and commit; the version."""
    job, frozen = work.job, work.frozen
    newest = work.examples.version()
    kept = None if frozen is None else frozen.fitted
    roster = read_roster(
        job.table,
        job.version,
        split=job.split,
        recipe=job.recipe,
        task=job.task,
        base=work.base,
        known=None if kept is None else kept.labels,
    )
    with SpillFolder(work.examples.path.parent) as folder:
        encoding = first_pass(
            job, roster, folder, known=kept, workers=work.threads, progress=work.progress
        )
        fitted = fit(job, roster, encoding) if kept is None else kept
        finisher = Finisher.of(
            job.chain,
            fitted,
            task=job.task,
            scale=job.recipe.scale,
            max_vocab=job.tokens.max_vocab,
        )
        files, totals, fitted = _write(work, folder, roster, encoding, finisher)
    made = report(job, roster, encoding, totals, finisher, limits=fitted.limits, dataset=work.name)
    counts = {**made, **drift(job, roster, encoding, totals, finisher, frozen=frozen)}
    return work.examples.commit(
        schema=finisher.schema,
        files=files,
        remove="all",
        info=_commit_info(work, fitted, finisher, counts),
        partition_by=("split", "bucket"),
        base=newest,
    )


def _commit_info(
    work: Work, fitted: Fitted, finisher: Finisher, counts: dict[str, Any]
) -> CommitInfo:
    job, frozen = work.job, work.frozen
    return CommitInfo(
        kind="examples",
        fingerprint=fingerprint(work.identity.rows, frozen and frozen.name),
        counts=counts,
        params={
            "facts": known_facts(job, fitted, finisher, name=work.name),
            "recipe": as_json(job.recipe),
            "split": as_json(job.split),
            "split_table": work.identity.table,
            "options": work.identity.options,
            "rows": work.identity.rows,
            "frozen_from": frozen and frozen.version,
            "sequences_version": job.version,
        },
        state={"fitted": work.examples.state.put(fitted.to_bytes(), "json")},
    )


def _write(
    work: Work, folder: SpillFolder, roster: Roster, encoding: Encoding, finisher: Finisher
) -> tuple[list[StagedFile], Totals, Fitted]:
    """The second pass and the shards; their files, the numbers, and the state with its limits."""
    job, fitted = work.job, finisher.fitted
    with Slots(folder, _slots(job, encoding), slot_schema(finisher.schema)) as slots:
        totals = second_pass(
            job,
            roster,
            encoding,
            finisher,
            folder,
            slots,
            workers=work.threads,
            progress=work.progress,
        )
    release_memory()
    if work.frozen is None:
        fitted = replace(fitted, limits=bucket_limits(job, totals))
    collect_stale(work.examples.path)
    files = write_shards(
        slots,
        work.examples.path,
        finisher.schema,
        limits=fitted.limits,
        shard_bytes=parse_bytes(job.recipe.shard_bytes, key="shard_bytes"),
        workers=work.threads,
        progress=work.progress,
    )
    return files, totals, fitted


def _slots(job: Job, encoding: Encoding) -> int:
    """How many slots keep one of them, with its copies while it is sorted, within the memory."""
    memory = parse_bytes(job.recipe.memory, key="prepare.memory")
    late_views = any(step.views for _, step in job.chain.late)
    growth = 1 + job.chain.views if late_views else 1
    return min(MAX_SLOTS, max(1, -(-encoding.size_bytes * growth // (memory // 8))))


def cannot_write(work: Work, error: OSError) -> str:
    """The message that a disk is full or may not be written, and what to do."""
    table, version = work.job.table, work.job.version
    stored = sum(file.size_bytes for file in table.files(version)) / 2**20
    copies = 2 + work.job.chain.views
    return (
        f"{work.examples.path}: prepare failed: {error}; about {copies} times the unpacked content "
        f"of {table.path} ({stored:.0f} MB packed) are needed there while it runs: free space, "
        "allow writing, or choose another store. Nothing was changed"
    )
