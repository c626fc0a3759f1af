"""One preparation from the records to the commit.

Where state is kept and the version before kept the columns of its records, only what is new since
then is read and written. Use it from `prepare`, which decides beforehand whether there is anything
to do.
"""

from __future__ import annotations

from dataclasses import replace

from seqprep.fingerprint import as_json
from seqprep.preparation.append import Previous, read_previous
from seqprep.preparation.commit import commit_info
from seqprep.preparation.opened import byte_pairs_of, open_encoder
from seqprep.preparation.published import snapshot_path
from seqprep.preparation.record_columns import (
    RECORD_BYTES,
    Columns,
    HeldColumns,
    SpilledColumns,
)
from seqprep.preparation.roster import read_roster
from seqprep.preparation.spill import SpillFolder
from seqprep.preparation.work import Work, make_everything, make_what_is_new
from seqprep.staging import collect_stale
from seqprep.table import Table

COLUMNS_SHARE = 16
"""The part of the memory, one in so many, that columns of records may take."""
SHARDS_PER_MB = 4096
"""About so many that a snapshot lists in a megabyte."""


def make_version(work: Work) -> int:
    """Run both passes over what must be read and commit; the version."""
    job, frozen = work.job, work.frozen
    newest = work.examples.version()
    kept = None if frozen is None else frozen.fitted
    previous = _previous(work, newest)
    collect_stale(work.examples.path)
    with SpillFolder(work.examples.path.parent, held_bytes=work.held_bytes) as folder:
        roster = read_roster(
            job,
            base=work.base,
            known=None if kept is None else kept.labels,
            stored=None if previous is None else previous.stored,
            columns=_columns(work, folder),
            workers=work.threads,
        )
        byte_pairs = byte_pairs_of(job, roster, kept)
        with open_encoder(job, byte_pairs, workers=work.threads) as encoder:
            work = replace(work, job=replace(job, encoder=encoder, byte_pairs=byte_pairs))
            if previous is None:
                made = make_everything(work, folder, roster, kept)
            else:
                made = make_what_is_new(work, folder, roster, previous)
        info = commit_info(
            job,
            roster,
            made,
            examples=work.examples,
            identity=work.identity,
            frozen=frozen,
            name=work.name,
        )
    return work.examples.commit(
        schema=made.finisher.schema,
        files=made.files,
        remove=made.remove,
        info=info,
        partition_by=("split", "bucket"),
        base=newest,
    )


def _columns(work: Work, folder: SpillFolder) -> Columns:
    """Columns of records stay in memory while they take a small part of it."""
    records = sum(file.rows for file in work.job.table.files(work.job.version))
    if records * RECORD_BYTES <= work.job.memory_bytes // COLUMNS_SHARE:
        return HeldColumns()
    return SpilledColumns(folder)


def _previous(work: Work, newest: int | None) -> Previous | None:
    """The version to build upon; None where all rows must be made again.

    Splits that cut recordings, or leave one group out, are made whole: a new recording or group
    may move every row.
    """
    job, frozen = work.job, work.frozen
    whole = job.split.by == "time" or job.split.leaves_one_out
    if frozen is None or newest is None or frozen.version != newest or whole:
        return None
    found = read_previous(work.examples, newest)
    if found is None or "since" not in found.info.state:
        return None
    if found.info.params["recipe"].get("shard_bytes") != as_json(job.recipe)["shard_bytes"]:
        return None
    placed = found.info.params.get("split_table") == work.identity.table.sha256
    return replace(found, stored=replace(found.stored, placed=placed))


def cannot_write(work: Work, error: OSError) -> str:
    """The message that a disk is full or may not be written, and what to do."""
    table, version = work.job.table, work.job.version
    stored = 1 + sum(file.size_bytes for file in table.files(version)) // 2**20
    copies = 2 + work.job.chain.views
    return (
        f"{work.examples.path}: prepare failed: {error}; about {copies} times the unpacked content "
        f"of {table.path} ({stored} MB packed) are needed there while it runs: free space, "
        "allow writing, or choose another store. Nothing was changed"
    )


def cannot_publish(examples: Table, version: int, error: OSError, *, recipe: str) -> str:
    """The message that all is done but the snapshot file of a version, and what to do."""
    path = snapshot_path(examples, version, recipe=recipe)
    need = 1 + len(examples.files(version)) // SHARDS_PER_MB
    return (
        f"{examples.path}: version {version} is made, but its snapshot {path} cannot be written: "
        f"{error}; about {need} MB are needed there: free space or allow writing, and run again, "
        "which then only writes the snapshot"
    )
