"""Compare every byte of a dataset with what was committed: `verify`.

Rows and state with the manifests, the Delta log with its seals, snapshots and caches with the
digests inside them. Leftovers of versions that are gone are compared with the digest in their
names, so that no file of a store is left out. Use it after a disk was in doubt, or a store was
copied. Bundles of models have a check of their own: `models.manifest.check`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from seqprep import delta_log
from seqprep.digested import read_digested
from seqprep.errors import CorruptError, SeqprepError
from seqprep.ingestion.hashes import NAME as HASHES
from seqprep.snapshot import Snapshot, file_sha256
from seqprep.staging import StagedFile
from seqprep.table import Table
from seqprep.upkeep.gone import gone_reason
from seqprep.upkeep.leftovers import (
    collectable,
    recipe_of,
    registry_of,
    snapshots,
    tables_of,
)
from seqprep.upkeep.seals import check_seals

_DIGEST = re.compile(r"[0-9a-f]{64}")
DIGITS = 16
"""Hexadecimal digits of its SHA-256 in the name of a file with rows."""


@dataclass(kw_only=True, slots=True)
class Verified:
    """What was compared.

    Args:
        files: how many are what was committed. problems: one message for each that is not.
        unsealed: files of a Delta log without a digest, which only had to read well.
    """

    files: int = 0
    problems: list[str] = field(default_factory=list)
    unsealed: int = 0

    def take(self, found: Iterator[str | None]) -> None:
        """Count what was compared; None is a file that is fine."""
        for problem in found:
            if problem is None:
                self.files += 1
            else:
                self.problems.append(problem)


def verify_dataset(folder: Path) -> Verified:
    """Compare all files of a dataset beside its models, or of predictions of a folder's files."""
    done = Verified()
    for table in (*collectable(folder), *registry_of(folder)):
        for _, error, sealed in check_seals(table.path):
            done.take(iter([None if error is None else str(error)]))
            done.unsealed += not sealed
        done.take(_unbroken(_check_rows(table)))
    for table in tables_of(folder):
        done.take(_unbroken(_check_snapshots(table)))
    done.take(_check_strays(folder))
    done.take(_check_state(folder))
    done.take(_check_hashes(folder))
    done.problems = list(dict.fromkeys(done.problems))
    return done


def _unbroken(found: Iterator[str | None]) -> Iterator[str | None]:
    """A check that ends with a problem where a damaged log does not let it go on."""
    try:
        yield from found
    except SeqprepError as error:
        yield str(error)


def _check_rows(table: Table) -> Iterator[str | None]:
    """Each file with rows once, by the manifests, and the manifests against the log."""
    listed: dict[str, StagedFile] = {}
    newest: set[str] = set()
    for version, _, _ in table.history():
        if gone_reason(table.path, version) is not None:
            continue
        newest = set()
        try:
            files = table.files(version)
            newest = {file.path for file in files}
            listed |= {file.path: file for file in files}
            yield from _check_version(table, version, files)
        except CorruptError as error:
            yield str(error)
    for path in sorted(_rows_of(table)):
        name = path.relative_to(table.path).as_posix()
        yield _problem_of_rows(table, listed.pop(name, None), path, newest)
    for file in listed.values():
        yield _problem_of_rows(table, file, table.path / file.path, newest)


def _check_version(
    table: Table, version: int, files: tuple[StagedFile, ...]
) -> Iterator[str | None]:
    """State of a version, and whether the log lists the files that its manifest lists."""
    for name in table.info(version).state.values():
        path = table.state.path / name
        if not path.is_file():
            yield f"{path}: the file is missing; run the stage that made it again"
    if version == table.version():
        logged = {(one.path, one.size_bytes) for one in delta_log.listed_files(table.path, version)}
        if logged != {(file.path, file.size_bytes) for file in files}:
            yield (
                f"{table.path / '_delta_log'}: version {version} lists other files than its "
                "manifest; restore the log"
            )


def _rows_of(table: Table) -> Iterator[Path]:
    for path in table.path.rglob("*.parquet"):
        if not path.relative_to(table.path).parts[0].startswith("_"):
            yield path


def _problem_of_rows(
    table: Table, file: StagedFile | None, path: Path, newest: set[str]
) -> str | None:
    if file is None:
        # No version lists it any longer, but its name still says what it held.
        if path.stem.rpartition("-")[2] == file_sha256(path)[:DIGITS]:
            return None
        return f"{path}: the bytes are not those of its name; no version needs it, `gc` deletes it"
    try:
        table.check(file)
    except CorruptError as error:
        if file.path in newest:
            return str(error)
        what = "the bytes are not those that were committed" if path.is_file() else "is missing"
        return (
            f"{path}: {what}; only older versions hold it: restore the file, or let "
            "`gc --keep 1` give up those that no model needs"
        )
    return None


def _check_state(folder: Path) -> Iterator[str | None]:
    """All state files; each is named by what it holds."""
    for path in sorted((folder / "state").glob("*")):
        digest = path.name.partition(".")[0]
        if not _DIGEST.fullmatch(digest):
            continue
        if file_sha256(path) == digest:
            yield None
        else:
            yield f"{path}: the bytes are not those that were committed; restore the file"


def _check_snapshots(table: Table) -> Iterator[str | None]:
    if table.path.name == "sequences":
        return
    for version in range((table.version() or 0) + 1):
        path = snapshots(table.path.parent) / f"{recipe_of(table)}-v{version}.json"
        if path.is_file() or gone_reason(table.path, version) is None:
            yield _problem_of_snapshot(table, path)


def _check_strays(folder: Path) -> Iterator[str | None]:
    """Snapshots of recipes that the dataset does not have."""
    recipes = {recipe_of(table) for table in tables_of(folder)}
    for path in sorted(snapshots(folder).glob("*.json")):
        if path.stem.rpartition("-v")[0] not in recipes:
            yield f"{path}: not the snapshot of a recipe in this dataset; delete it"


def _problem_of_snapshot(table: Table, path: Path) -> str | None:
    try:
        snapshot = Snapshot.read(path)
    except CorruptError as error:
        return str(error)
    # Its digest leaves out where the shards lie and how the file is spaced.
    body = json.loads(path.read_bytes())
    spaced = json.dumps(body, indent=1).encode()
    if snapshot.root != table.path.resolve() or path.read_bytes() != spaced:
        return f"{path}: the snapshot was altered; run prepare again to rewrite it"
    return None


def _check_hashes(folder: Path) -> Iterator[str | None]:
    path = folder / HASHES
    if path.is_file():
        try:
            read_digested(path)
        except CorruptError as error:
            yield f"{error}; delete it: nothing is lost, files are hashed again"
        else:
            yield None
