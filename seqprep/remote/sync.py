"""Bring what is not named by its hash from the server into a mirror, and from there to the server.

Of a table that is its Delta log with seals and marks of versions that are gone: there the mirror
must equal the server, and whatever the server lacks is dropped. Of a folder that people and
trainings write to (models, plots) the mirror may hold more; what was once on the server and is not
any more was deleted there, and goes here, too.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seqprep.remote.mirror import Known, Mirror, Seen, md5
from seqprep.upkeep.gone import FOLDER as GONE
from seqprep.upkeep.seals import LOG, REPLACED, SEALS

if TYPE_CHECKING:
    from seqprep.remote.bucket import Stored

MODELS = "models"
SMALL = ("job.json", "report.json", "withdrawn.json", "bundle/manifest.json")
"""Of a training's folder: what lists and comparisons read, fetched before anybody asks."""
PRUNE = ".prune"
"""In a dataset's folder of a mirror: versions went since its files were looked through."""


def pull(mirror: Mirror, dataset: str) -> None:
    """Bring the small files of a dataset up to date, so that everything else reads them here."""
    folder = mirror.root / dataset
    there = mirror.folders(folder)
    with mirror.held(dataset) as known:
        names = {path.parent.name for path in folder.glob(f"*/{LOG}")}
        for name in sorted(names | {one for one in there if is_table(one)}):
            _pull_table(mirror, folder / name, known)
        _pull_models(mirror, folder / MODELS, known)


def is_table(name: str) -> bool:
    """Whether a folder of a dataset holds a table."""
    return name in ("sequences", "registry", "predictions") or name.startswith("examples-")


def pull_table(mirror: Mirror, table: Path) -> None:
    """Bring the log of one table up to date."""
    with mirror.held(table.parent.name) as known:
        _pull_table(mirror, table, known)


def _pull_table(mirror: Mirror, table: Path, known: Known) -> None:
    listed = mirror.listed(table, beginning="_")
    if any(path.parent.name == GONE and mirror.name(path) not in known for path in listed):
        (table.parent / PRUNE).touch()
    _get(mirror, _changed(mirror, listed, known), listed, known)
    for folder in (LOG, SEALS, GONE):
        for path in sorted((table / folder).glob("[!.]*"), reverse=True):
            if path not in listed:
                path.unlink(missing_ok=True)
                known.pop(mirror.name(path), None)
    if not listed:
        with suppress(OSError):
            (table / LOG).rmdir()


def _pull_models(mirror: Mirror, models: Path, known: Known) -> None:
    listed = mirror.listed(models)
    small = [
        path for path in listed if path.relative_to(models).as_posix().partition("/")[2] in SMALL
    ]
    _get(mirror, _changed(mirror, {path: listed[path] for path in small}, known), listed, known)
    runs = {path.relative_to(models).parts[0] for path in listed}
    start = f"{mirror.name(models)}/"
    for run in {name[len(start) :].partition("/")[0] for name in known if name.startswith(start)}:
        if run not in runs:
            shutil.rmtree(models / run, ignore_errors=True)
            for name in [name for name in known if name.startswith(f"{start}{run}/")]:
                del known[name]


def pull_files(mirror: Mirror, folder: Path) -> None:
    """Bring all files of a folder, such as a training's, up to date; those only here stay."""
    dataset = folder.relative_to(mirror.root).parts[0]
    listed = mirror.listed(folder)
    with mirror.held(dataset) as known:
        _get(mirror, _changed(mirror, listed, known), listed, known)


def push_files(
    mirror: Mirror, paths: Sequence[Path], *, there: Mapping[Path, Stored] | None = None
) -> None:
    """Send files that are not what the server has, in this order.

    Args:
        mirror: of all of them.
        paths: of one dataset.
        there: what the server lists; None: nothing beside what is known.
    """
    if not paths:
        return
    with mirror.held(paths[0].relative_to(mirror.root).parts[0]) as known:
        for path in paths:
            name = mirror.name(path)
            etag = known[name].etag if name in known else ""
            if there is not None:
                etag = there[path].etag if path in there else ""
            if not etag or known.get(name) != _seen(path, etag):
                # Written anew is not always changed: an etag mostly is the MD5.
                if etag != md5(path).hex():
                    etag = mirror.bucket.put(name, path)
                known[name] = _seen(path, etag)


def drop(mirror: Mirror, paths: Sequence[Path]) -> None:
    """Delete files on the server, in this order."""
    if not paths:
        return
    mirror.bucket.delete([mirror.name(path) for path in paths])
    with mirror.held(paths[0].relative_to(mirror.root).parts[0]) as known:
        for path in paths:
            known.pop(mirror.name(path), None)


def _changed(mirror: Mirror, listed: Mapping[Path, Stored], known: Known) -> list[Path]:
    """What is not as the server has it, in an order that a log may be read in meanwhile."""
    found = []
    for path, one in listed.items():
        seen = known.get(mirror.name(path))
        if seen is None or not path.is_file() or seen != _seen(path, one.etag):
            found.append(path)
    return sorted(found, key=lambda path: (path.name == REPLACED, path))


def _get(
    mirror: Mirror, paths: Sequence[Path], listed: Mapping[Path, Stored], known: Known
) -> None:
    for path in mirror.copy(paths):
        known[mirror.name(path)] = _seen(path, listed[path].etag)


def _seen(path: Path, etag: str) -> Seen:
    status = path.stat()
    return Seen(etag, status.st_size, status.st_mtime_ns)


def note(mirror: Mirror, known: Known, paths: Iterable[tuple[Path, str]]) -> None:
    """Remember files that were just sent, with the server's etags."""
    for path, etag in paths:
        known[mirror.name(path)] = _seen(path, etag)
