"""Withdraw records from a dataset: what that means, and the version without them (CONTRACT 11).

Use `find_withdrawals` to see what would happen and `upkeep.removal.remove` to do it. A record is
named by its id, or all records of a group by its name; other records with the same content go, too.
Tables that were made from its rows, such as codes, are looked through together with its own.
The commit that drops the rows also names the list that later ingests obey, so there is no moment at
which one holds without the other. Not for records that a cleaning rule should leave out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seqprep import __version__
from seqprep.errors import CorruptError, Rejection, SeqprepError
from seqprep.ingestion.commit import counted, put_state
from seqprep.ingestion.known import known_counts
from seqprep.ingestion.plan import TABLES, version_fingerprint
from seqprep.ingestion.rewrite import rewrite
from seqprep.ingestion.source_chunks import FileCounts, rejection_line
from seqprep.ingestion.withdrawn import (
    COLUMNS,
    DETAILS,
    REASON,
    Withdrawn,
    read_withdrawn,
    rejections_of,
)
from seqprep.schema import sequences_schema
from seqprep.staging import StagedFile
from seqprep.table import CommitInfo, Table
from seqprep.upkeep.gone import gone_reason

FACTS = (*COLUMNS, "source", "record", "label")
SHOWN = 6
"""How many names an error lists."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal:
    """What is to be withdrawn, and where it stands.

    Args:
        table: of sequences. version: the newest one.
        withdrawn: the list that will hold. listed: whether it holds already.
        begun: whether a part of what is withdrawn is on the list of the newest version.
        newest: matching rows of the newest version by file; see FACTS, and `why`.
        older: versions that hold such a record, the newest one left out.
        ids: of all matching records in any version, each with its group, "" where no version
            holds it any longer. groups: that were named.
    """

    table: Table
    version: int
    withdrawn: Withdrawn
    listed: bool
    begun: bool
    newest: Mapping[str, pa.Table]
    older: tuple[int, ...]
    ids: Mapping[str, str]
    groups: frozenset[str]

    @property
    def records(self) -> int:
        """How many records leave the newest version."""
        return sum(len(rows) for rows in self.newest.values())

    @property
    def copies(self) -> int:
        """How many of these were not named, but hold the content of one that was."""
        return sum(int((rows["why"].to_numpy() == 2).sum()) for rows in self.newest.values())


def find_withdrawals(
    tables: Sequence[Table], *, ids: Sequence[str], groups: Sequence[str]
) -> list[Withdrawal]:
    """Look for the named records in every version that is still there.

    Args:
        tables: of sequences: the one that is meant, then those that were made from its rows. What
            one of them alone still tells of a record, its content say, is looked for in all.
        ids: of records.
        groups: names of groups.

    Returns:
        What is to be withdrawn from each table.

    Raises:
        SeqprepError: if nothing is named, or a name occurs nowhere.
        CorruptError: if the newest version of a table cannot be read.
    """
    if not ids and not groups:
        raise SeqprepError("name what to remove: --id ID or --group GROUP, each as often as needed")
    stored = [_stored(table) for table in tables]
    named = Withdrawn(ids=tuple(ids), groups=tuple(groups))
    found = pa.concat_tables(
        [_nothing(), *(rows for one in stored for rows in one.matches(named).values())]
    )
    _refuse_unknown(tables[0], named, found, [one.withdrawn for one in stored])
    wanted = named.with_more(
        ids=found["id"].to_pylist(),
        hashes=[one.hex() for one in found["content_hash"].to_pylist()],
    )
    return [_withdrawal(one, wanted, groups=frozenset(groups)) for one in stored]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stored:
    """What stands in a table: its newest version, the list, and the files of every version."""

    table: Table
    version: int
    withdrawn: Withdrawn
    files: Mapping[int, tuple[StagedFile, ...] | None]

    @property
    def current(self) -> set[str]:
        """Paths of the files of the newest version."""
        return {file.path for file in self.files[self.version] or ()}

    def matches(self, wanted: Withdrawn) -> dict[str, pa.Table]:
        """See `_matches`, of the files of every version."""
        every = {file.path: file for listed in self.files.values() for file in listed or ()}
        return dict(_matches(self.table, every.values(), wanted, strict=self.current))


def _stored(table: Table) -> _Stored:
    newest = table.version()
    if newest is None:
        raise SeqprepError(f"{table.path}: there are no sequences; nothing to remove")
    return _Stored(
        table=table,
        version=newest,
        withdrawn=read_withdrawn(table, table.info(newest)),
        files=_files_by_version(table, newest),
    )


def _withdrawal(stored: _Stored, wanted: Withdrawn, *, groups: frozenset[str]) -> Withdrawal:
    before, current = stored.withdrawn, stored.current
    withdrawn = before.with_more(ids=wanted.ids, groups=wanted.groups, hashes=wanted.hashes)
    matches = stored.matches(wanted)
    older = tuple(
        version
        for version, listed in sorted(stored.files.items())
        # One that cannot be read may hold it.
        if version != stored.version
        and (listed is None or any(file.path in matches for file in listed))
    )
    kinds = ("ids", "groups", "hashes")
    return Withdrawal(
        table=stored.table,
        version=stored.version,
        withdrawn=withdrawn,
        listed=withdrawn == before,
        begun=any({*getattr(before, kind)} & {*getattr(wanted, kind)} for kind in kinds),
        newest={path: rows for path, rows in matches.items() if path in current and len(rows)},
        older=older,
        ids=dict.fromkeys(wanted.ids, "") | _groups(matches.values()),
        groups=groups,
    )


def _groups(matches: Iterable[pa.Table]) -> dict[str, str]:
    """The group of each matching record."""
    return {
        id_: group
        for rows in matches
        for id_, group in zip(rows["id"].to_pylist(), rows["group"].to_pylist(), strict=True)
    }


def _files_by_version(table: Table, newest: int) -> dict[int, tuple[StagedFile, ...] | None]:
    """The files of every version that is not gone; None where they cannot be told."""
    found: dict[int, tuple[StagedFile, ...] | None] = {}
    for version, _, _ in table.history():
        if gone_reason(table.path, version) is not None:
            continue
        try:
            found[version] = table.files(version)
        except CorruptError:
            if version == newest:
                raise
            found[version] = None
    return found


def _matches(
    table: Table, files: Iterable[StagedFile], wanted: Withdrawn, *, strict: set[str]
) -> Iterator[tuple[str, pa.Table]]:
    """(path, matching rows) of each file that has some; no rows where it cannot be read.

    Args:
        table: of sequences.
        files: of any version.
        wanted: what matches.
        strict: files that must be readable.

    Raises:
        CorruptError: if one of these is not.
    """
    for file in files:
        try:
            parts = [
                rows
                for group in range(table.group_count(file, verify=file.path in strict))
                if len(rows := _matching(table.read_group(file, group, FACTS), wanted))
            ]
        except CorruptError:
            if file.path in strict:
                raise
            yield file.path, _nothing()
            continue
        if parts:
            yield file.path, pa.concat_tables(parts)


def _matching(rows: pa.Table, wanted: Withdrawn) -> pa.Table:
    why = wanted.find(rows)
    rows = rows.set_column(rows.schema.get_field_index("label"), "label", _text(rows["label"]))
    found = rows.append_column("why", pa.array(why)).filter(pa.array(why >= 0))
    return found.cast(_nothing().schema)  # as files that cannot be read give


def _text(labels: pa.ChunkedArray) -> pa.ChunkedArray:
    """Labels that are counted by name; numbers are not."""
    if pa.types.is_string(labels.type):
        return labels
    return pa.chunked_array([pa.nulls(len(labels), pa.string())])


def _nothing() -> pa.Table:
    kinds = {"content_hash": pa.binary(), "record": pa.int32(), "why": pa.int8()}
    return pa.table({name: pa.array([], kinds.get(name, pa.string())) for name in (*FACTS, "why")})


def _refuse_unknown(
    table: Table, named: Withdrawn, found: pa.Table, before: Sequence[Withdrawn]
) -> None:
    """Refuse a name that is nowhere: a slip of the pen would leave the record in."""
    ids = {*found["id"].to_pylist(), *(id_ for one in before for id_ in one.ids)}
    groups = {*found["group"].to_pylist(), *(name for one in before for name in one.groups)}
    unknown = [f"id {one!r}" for one in named.ids if one not in ids]
    unknown += [f"group {one!r}" for one in named.groups if one not in groups]
    if unknown:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        what = (
            "an id is the file's path, # and the record's number from 0, e.g. 'a/b.txt#0'"
            if unknown[0].startswith("id ")
            else "a group is what source.group finds, or the record's id where there is none"
        )
        raise SeqprepError(
            f"{table.path}: no version holds {', '.join(unknown[:SHOWN])}{more}; {what}. Nothing "
            "was removed"
        )


def commit_withdrawal(found: Withdrawal) -> int:
    """Commit the version without the records, and the list; the version.

    Raises:
        ConflictError: if another run committed meanwhile.
        CorruptError: if a file that loses rows is altered.
    """
    if found.listed and not found.newest:
        return found.version
    table, info = found.table, found.table.info(found.version)
    counts = {count.path: count for count in known_counts(table, info)}
    lines = _without_details(table.state.get(info.state["rejections"]), found.ids)
    placed: dict[str, StagedFile | None] = {}
    for file in table.files(found.version):
        if file.path in found.newest:
            rows = found.newest[file.path]
            lines += _count_out(rows, counts)
            placed[file.path] = _without(table, file, rows, counts)
    for count in counts.values():
        if count.stored in placed:
            put = placed[count.stored]
            count.stored = put.path if put is not None and count.rows else ""
    return table.commit(
        schema=sequences_schema(info.params["domain"], info.params["task"]),
        files=[file for file in placed.values() if file is not None],
        remove=list(placed),
        info=_info(found, info, list(counts.values()), b"".join(lines)),
        base=found.version,
    )


def _without_details(rejections: bytes, ids: Collection[str]) -> list[bytes]:
    """The list of rejections; what it tells of a record that was withdrawn may quote it."""
    lines = []
    for line in rejections.splitlines(keepends=True):
        told = json.loads(line)
        if f"{told['source']}#{told['record']}" in ids and told["reason"] != REASON:
            line = rejection_line(Rejection(**{**told, "detail": DETAILS[0]}))
        lines.append(line)
    return lines


def _count_out(rows: pa.Table, counts: Mapping[str, FileCounts]) -> list[bytes]:
    """Move the rows from accepted to rejected; their lines for the list of rejections."""
    for source, number in Counter(rows["source"].to_pylist()).items():
        count = counts[source]
        count.rows -= number
        count.rejected[REASON] = count.rejected.get(REASON, 0) + number
    for (source, label), number in Counter(
        zip(rows["source"].to_pylist(), rows["label"].to_pylist(), strict=True)
    ).items():
        if label is not None:
            labels = counts[source].labels
            labels[label] -= number
            if not labels[label]:
                del labels[label]
    return [rejection_line(one) for one in rejections_of(rows, rows["why"].to_numpy())[0]]


def _without(
    table: Table, file: StagedFile, gone: pa.Table, counts: Mapping[str, FileCounts]
) -> StagedFile | None:
    left = [source for source in file.sources if counts[source].rows]
    if not left:
        return None
    ids = pa.array(np.unique(gone["id"].to_pylist()).tolist(), pa.string())
    return rewrite(
        table, file, lambda rows: pc.invert(pc.is_in(rows.column("id"), value_set=ids)), left=left
    )


def _info(
    found: Withdrawal, before: CommitInfo, counts: list[FileCounts], rejections: bytes
) -> CommitInfo:
    identities = [count.identity for count in counts]
    return replace(
        before,
        code_version=__version__,
        fingerprint=version_fingerprint(before.params["options"], identities, found.withdrawn),
        counts=counted(counts),
        state={
            **{name: before.state[name] for name in (TABLES,) if name in before.state},
            **put_state(found.table, counts, rejections, found.withdrawn),
        },
    )
