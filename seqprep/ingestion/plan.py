"""What an ingest has to do: which files to read, which rows stay, which go.

Decided from names and hashes alone, before a file is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqprep.domains import DOMAINS
from seqprep.errors import CorruptError, SeqprepError
from seqprep.fingerprint import as_json, fingerprint, plain_fingerprint
from seqprep.ingestion.fields import Tables, has_grown, read_tables, table_digests
from seqprep.ingestion.files import SHOWN_NAMES, SourceFile, source_root
from seqprep.ingestion.known import known_counts
from seqprep.ingestion.records import Context, SourceFacts
from seqprep.ingestion.source_chunks import (
    FileCounts,
)
from seqprep.ingestion.withdrawn import Withdrawn, read_withdrawn
from seqprep.source import Source
from seqprep.table import CommitInfo, Table

TABLES = "tables"
"""Name under `CommitInfo.state` of the tables of labels and groups."""
UNNAMED = frozenset({"no_label", "no_group"})
"""Reasons to reject a record that a new line of a table may do away with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is to be done.

    Args:
        version: the newest one, that this builds upon; None where nothing was committed.
        fingerprint: of the version to be made. options: of the options alone.
        fresh: files to read. missing: paths that are known but gone.
        kept: counts of files whose rows stay. gone: paths whose stored rows go.
        context: for the readers. rejections: lines of the kept files.
        next_chunk: the first free number. afresh: whether nothing stored stays.
        withdrawn: records that are refused.
        tables: of labels and groups. table_base: digests of those that the stored rows began with;
            lines that were added since change none of these rows.
        reusable: whether the newest version is what would be made, and lies there whole.
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
    reusable: bool
    withdrawn: Withdrawn
    tables: Tables
    table_base: tuple[str, ...]


def make_plan(
    source: Source, base: Path, table: Table, files: Sequence[SourceFile], *, prune: bool
) -> Plan:
    """Compare the files and options with the newest version.

    Args:
        source: what the person wrote.
        base: the folder that `source.path` is relative to.
        table: of the dataset.
        files: the source files, hashed.
        prune: whether rows of files that are gone go, too.

    Raises:
        SeqprepError: if all must be read anew and a known file is gone, unless `prune`.
    """
    version = table.version()
    info = None if version is None else table.info(version)
    tables = read_tables(source, base)
    before = {} if info is None or not tables else _stored_tables(table, info)
    table_base = tuple(table_digests(source, base))
    if info is not None and before and _only_grown(table, info, before, tables):
        table_base = tuple(info.params["table_base"])
    options = options_fingerprint(source, table_base)
    withdrawn = read_withdrawn(table, info)
    afresh = (
        info is None
        or version is None
        or info.params.get("options") != options
        or not table.is_whole(version)
    )
    present = {file.path: file for file in files}
    if info is not None and afresh and not prune:
        _refuse_losses(source, base, table, info, present)
    known = {} if info is None or afresh else _known_counts(table, info)
    missing = tuple(sorted(known.keys() - present.keys()))
    named = {  # by lines that are new: the files are as they were, their records may not be
        path
        for path, count in known.items()
        if tables != before and UNNAMED & count.rejected.keys()
    }
    fresh = tuple(
        file
        for file in files
        if file.path not in known
        or known[file.path].identity != file.identity
        or file.path in named
    )
    gone = {file.path for file in fresh} | (set(missing) if prune else set())
    kept = {path: count for path, count in known.items() if path not in gone}
    identities = [*(file.identity for file in fresh), *(count.identity for count in kept.values())]
    # What no stored row shares any longer binds no new one.
    bound = any(count.rows for count in kept.values())
    facts = _known_facts(info) if info is not None and not afresh and bound else None
    context = Context.of(source, base, facts=facts, tables=tables)
    mark = version_fingerprint(options, identities, withdrawn)
    reusable = info is not None and not afresh and info.fingerprint == mark and not named
    if fresh and not reusable:
        found = DOMAINS[source.domain].probe(fresh, context, facts)
        context = replace(context, facts=found)
    return Plan(
        version=version,
        fingerprint=mark,
        options=options,
        fresh=fresh,
        missing=missing,
        kept=kept,
        gone=frozenset(gone & known.keys()),
        context=context,
        rejections=b""
        if info is None or afresh or reusable
        else _kept_rejections(table, info, kept, all_kept=len(kept) == len(known)),
        next_chunk=0 if info is None or afresh else int(info.params["next_chunk"]),
        afresh=afresh,
        reusable=reusable,
        withdrawn=withdrawn,
        tables=tables,
        table_base=table_base,
    )


def _stored_tables(table: Table, info: CommitInfo) -> Tables:
    """The tables of labels and groups that a version was read with; {} where it kept none."""
    name = info.state.get(TABLES)
    try:
        return {} if name is None else json.loads(table.state.get(name))
    except CorruptError:
        return {}


def _only_grown(table: Table, info: CommitInfo, before: Tables, now: Tables) -> bool:
    """Whether the tables gained lines and no stored record can have another value by them.

    A record is looked up by its name first, so a new line may come before the one that a record of
    a FASTA file was found by, if that one names its id or its file.
    """
    if not has_grown(before, now):
        return False
    if before == now or info.params.get("domain") != "dna":
        return True
    try:
        paths = {count.path for count in known_counts(table, info)}
    except CorruptError:
        return False
    keys = {key for values in before.values() for key in values}
    return not any(key in paths or key.rpartition("#")[0] in paths for key in keys)


def version_fingerprint(
    options: str, identities: Sequence[tuple[str, str, str]], withdrawn: Withdrawn
) -> str:
    """A digest of all that decides the rows of a version."""
    # Without withdrawals it is what it was before there were any.
    refused = [fingerprint(withdrawn)] if withdrawn else []
    return plain_fingerprint(options, sorted(identities), *refused)


def options_fingerprint(source: Source, table_base: Sequence[str]) -> str:
    """A digest of all that decides a file's rows beside its path and bytes."""
    options = {key: value for key, value in as_json(source).items() if key != "path"}
    return fingerprint(options, DOMAINS[source.domain].version, list(table_base))


def _refuse_losses(
    source: Source, base: Path, table: Table, info: CommitInfo, present: Mapping[str, SourceFile]
) -> None:
    """Refuse to read everything anew where known files cannot be read: their rows would be lost."""
    try:
        known = {path for path, count in _known_counts(table, info).items() if count.rows}
    except CorruptError:
        known = set(info.params["missing_files"])
    root = None if source.path is None else source_root(source, base)
    lost = [
        path
        for path in sorted(known - present.keys())
        # What lies there still was left out by the options, not lost.
        if root is None or not (root / path).exists()
    ]
    if lost and source.domain != "prices":
        raise SeqprepError(
            f"{table.path}: options changed or stored files are damaged, so all source files must "
            f"be read again, and {len(lost)} of them are gone: {', '.join(lost[:SHOWN_NAMES])}; "
            "put them back, or accept with --prune that their rows are lost"
        )


def _known_counts(table: Table, info: CommitInfo) -> dict[str, FileCounts]:
    return {count.path: count for count in known_counts(table, info)}


def _known_facts(info: CommitInfo) -> SourceFacts:
    given = info.params
    return SourceFacts(
        channels=tuple(given["channels"]),
        rate_hz=given["rate_hz"],
        target_names=tuple(given["target_names"]),
        target_classes=tuple(given["target_classes"]),
    )


def _kept_rejections(
    table: Table, info: CommitInfo, kept: Mapping[str, FileCounts], *, all_kept: bool
) -> bytes:
    stored = table.state.get(info.state["rejections"])
    if all_kept:
        return stored
    lines = stored.splitlines(keepends=True)
    return b"".join(line for line in lines if json.loads(line)["source"] in kept)
