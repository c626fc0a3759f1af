"""Predictions of the files of a folder: a row a record, and by these which files are done.

A Delta table beside its state, as those of a dataset. A source file is its path in the folder and
its SHA-256. One commit adds all rows of some files and takes out those of other bytes under the
same path, so that the rows of a file are there once and whole, or not at all. Use it where files
are predicted as they come; many runs may write at once. Small Parquet files are joined as new ones
come, so that a look every minute for years leaves a few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from seqprep.fingerprint import fingerprint
from seqprep.inbox.done import NAME, Done, counted, is_due, read_done
from seqprep.inbox.origin import Origin, check_origin
from seqprep.ingestion.rewrite import join
from seqprep.staging import StagedFile
from seqprep.table import CommitInfo, ConflictError, Table

FULL_BYTES = 64 * 2**20
"""Parquet files that would be larger than this are not joined."""
ATTEMPTS = 50
"""How often rows are committed again after somebody else's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What a commit added.

    Args:
        version: of the table.
        files, rows, errors: that were added. replaced: files of these that had rows before.
    """

    version: int
    files: int
    rows: int
    errors: int
    replaced: int


class Predictions:
    """The predictions of one folder's files.

    Args:
        folder: that holds the table and its state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.table = Table(folder / NAME)
        self._held: dict[str, dict[str, Done]] = {}

    def done(self, version: int | None) -> dict[str, Done]:
        """What is stored of each source file in a version, by path.

        Raises:
            CorruptError: naming a file of the table that is missing or damaged.
        """
        parts = () if version is None else self.table.files(version)
        # A published file never changes, so each is read once.
        self._held = {
            part.path: self._held.get(part.path) or read_done(self.table, part) for part in parts
        }
        return {path: one for held in self._held.values() for path, one in held.items()}

    def check(self, origin: Origin, version: int | None) -> None:
        """Refuse rows that do not belong to those that are there.

        Raises:
            SeqprepError: if they are of another kind, or of files of another folder.
        """
        if version is not None:
            check_origin(origin, self.table.info(version).params, place=self.folder)

    def publish(self, part: StagedFile, origin: Origin, *, again: bool = False) -> Published | None:
        """Make staged rows visible, all at once, in the place of those that they replace.

        Args:
            part: staged in the table's folder, under a name that no other run uses.
            origin: of its rows.
            again: whether they replace those of other models.

        Returns:
            What was added; None where others had done all of it in the meantime.

        Raises:
            ConflictError: if others write all the time.
            SeqprepError: if the rows do not belong here; see `check`.
        """
        new = read_done(self.table, part)
        # Two runs that say the same are two: the rows of one must not pass for those of the other.
        mark = fingerprint(part.sha256, uuid4().hex)
        first = self.table.version()
        for _ in range(ATTEMPTS):
            base = self.table.version()
            self.check(origin, base)
            done = self.done(base)
            due = {
                path: one
                for path, one in new.items()
                if is_due(done.get(path), one.sha256, one.bundle, again=again)
            }
            if not due:
                self._discard([part], since=first)
                return None
            change = _Change(part=part, new=new, due=due, done=done, base=base, mark=mark)
            try:
                return self._commit(change, origin)
            except ConflictError:
                continue
        self._discard([part], since=first)
        raise ConflictError(f"{self.table.path}: others write all the time; run again")

    def _commit(self, change: _Change, origin: Origin) -> Published:
        """One commit upon a version; what was written for nothing is deleted."""
        before = () if change.base is None else self.table.files(change.base)
        small = _small(before, change.part.size_bytes)
        losing = [
            part
            for part in before
            if part not in small and self._held[part.path].keys() & change.replaced
        ]
        staged = self._rewritten(change, small, losing, origin.schema)
        try:
            version = self.table.commit(
                schema=origin.schema,
                files=staged,
                info=_info(change, origin, self._paths(change.base)),
                base=change.base,
                remove=[part.path for part in (*small, *losing)],
            )
        except ConflictError:
            self._discard([one for one in staged if one != change.part], since=change.base)
            raise
        if change.part not in staged:
            self._discard([change.part], since=version)
        return Published(
            version=version, replaced=len(change.replaced), **counted(change.due.values())
        )

    def _rewritten(
        self,
        change: _Change,
        small: Sequence[StagedFile],
        losing: Sequence[StagedFile],
        schema: pa.Schema,
    ) -> list[StagedFile]:
        """The new rows together with small parts, and what is left of parts that lose some."""
        left_out = change.new.keys() - change.due.keys()
        staged = [change.part]
        if small or left_out:
            sources = [(part, change.replaced) for part in small]
            joined = [*sources, (change.part, left_out)]
            staged = [join(self.table, joined, schema, name=part_name())]
        for part in losing:
            if self._held[part.path].keys() - change.replaced:
                rest = [(part, change.replaced)]
                staged.append(join(self.table, rest, schema, name=part_name()))
        return staged

    def _paths(self, version: int | None) -> dict[str, str]:
        """Where the models lay that predicted rows, by digest."""
        return {} if version is None else dict(self.table.info(version).params["bundles"])

    def _discard(self, staged: Collection[StagedFile], *, since: int | None) -> None:
        """Delete files that no version after `since` lists: a commit may land and seem to fail."""
        newest = self.table.version()
        listed: set[str] = set()
        for version in range(0 if since is None else since, 0 if newest is None else newest + 1):
            listed |= {file.path for file in self.table.files(version)}
        for file in staged:
            if file.path not in listed:
                (self.table.path / file.path).unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Change:
    """What a commit is to do.

    Args:
        part: staged rows. new: what they say of each file; due: of those that are still missing.
        done: what is stored in version `base`. mark: fingerprint of the commit.
    """

    part: StagedFile
    new: Mapping[str, Done]
    due: Mapping[str, Done]
    done: Mapping[str, Done]
    base: int | None
    mark: str

    @property
    def replaced(self) -> set[str]:
        """Files whose rows are taken out for new ones."""
        return self.due.keys() & self.done.keys()


def part_name() -> str:
    """A name that no other run gives: what one takes back another may just have committed."""
    return f"part-{uuid4().hex[:12]}"


def _small(parts: Sequence[StagedFile], size_bytes: int) -> list[StagedFile]:
    """Parts that are joined with a new one of this size: as many as keeps their number a logarithm.

    >>> parts = [StagedFile(path=str(n), size_bytes=n, rows=1, sha256="") for n in (9, 2, 1)]
    >>> [part.path for part in _small(parts, 1)]
    ['1', '2']
    """
    found = []
    for part in sorted(parts, key=lambda part: (part.size_bytes, part.path)):
        if part.size_bytes > 2 * size_bytes or size_bytes + part.size_bytes > FULL_BYTES:
            break
        found.append(part)
        size_bytes += part.size_bytes
    return found


def _info(change: _Change, origin: Origin, paths: Mapping[str, str]) -> CommitInfo:
    """What a commit says about itself: numbers of the whole version, and of what is new in it."""
    now = {**change.done, **change.due}.values()
    models = Counter(one.bundle for one in now)
    paths = {**paths, origin.bundle: origin.bundle_path}
    return CommitInfo(
        kind=NAME,
        fingerprint=change.mark,
        counts={
            **counted(now),
            "models": dict(models),
            "added": {**counted(change.due.values()), "replaced": len(change.replaced)},
        },
        params={
            "kind": dict(origin.kind),
            "folder": str(origin.folder),
            "bundles": {digest: paths[digest] for digest in models if digest in paths},
        },
    )
