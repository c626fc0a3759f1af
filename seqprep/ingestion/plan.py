"""What an ingest has to do: which files to read, which rows stay, which go.

Decided from names and hashes alone, before a file is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqprep.domains import DOMAINS
from seqprep.fingerprint import as_json, fingerprint
from seqprep.ingestion.fields import table_digests
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context, SourceFacts
from seqprep.ingestion.source_chunks import (
    FileCounts,
)
from seqprep.source import Source
from seqprep.table import CommitInfo, Table


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
    """
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
    return Plan(
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
