"""The files in a finished training's folder: what they tell, and hashes so that `verify` sees them.

The hashes are written when a training is finished and reported. The log and the lock are left out:
they tell of one process, not of the result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from flows.references import Json
from models.manifest import BundleError, check, seal
from seqprep.digested import read_digested
from seqprep.errors import CorruptError
from seqprep.remote.runs import JOB, push_run
from seqprep.snapshot import file_sha256, replace_bytes
from seqprep.upkeep.model_runs import MARK

NAME = "files.json"
LEFT_OUT = {NAME, MARK, "lock", "train.log"}


def told_at(folder: Path) -> Json:
    """Where the bundle and the page of a finished training lie, and what its report says."""
    report = json.loads((folder / "report.json").read_bytes())
    return {
        "bundle": str(folder / "bundle"),
        "report": str(folder / "report" / "report.md"),
        **{key: report[key] for key in ("metrics", "baselines", "train")},
    }


def seal_run(folder: Path) -> None:
    """Remember the hashes of a finished training's files."""
    files = {name: file_sha256(folder / name) for name in _names(folder)}
    replace_bytes(folder / NAME, seal({"files": files}))


def publish_run(folder: Path) -> None:
    """Make a finished training known to other machines, where its store lies on S3."""
    push_run(folder, [name for name in _names(folder) if name != JOB])


def _names(folder: Path) -> list[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in found
        if path.as_posix() not in LEFT_OUT
        and path.parts[0] != "bundle"  # it has its own manifest
        and not path.parts[0].startswith(".")
    )


def check_run(folder: Path) -> Iterator[str | None]:
    """What is wrong with each file of a training's folder; None for one that is fine."""
    if (folder / "report.json").is_file() or (folder / "bundle").exists():
        yield from _check_bundle(folder / "bundle")
    if (folder / MARK).is_file():
        try:
            read_digested(folder / MARK)
            yield None
        except CorruptError as error:
            yield f"{error}; run the same `remove` again"
    if (folder / NAME).is_file():
        yield from _check_files(folder)


def _check_bundle(bundle: Path) -> Iterator[str | None]:
    try:
        yield from (None for _ in check(bundle)["files"])
        yield None
    except BundleError as error:
        yield str(error)


def _check_files(folder: Path) -> Iterator[str | None]:
    path = folder / NAME
    try:
        listed = json.loads(path.read_bytes())
        fine = path.read_bytes() == seal(listed)
    except ValueError:
        fine = False
    if not fine:
        yield f"{path}: the list of hashes was altered; train again to rewrite it"
        return
    yield None
    for name, sha256 in listed["files"].items():
        if not (folder / name).is_file():
            yield f"{folder / name}: the file is missing; train again to rewrite it"
        elif file_sha256(folder / name) != sha256:
            yield f"{folder / name}: the bytes are not those that were written; train again"
        else:
            yield None
