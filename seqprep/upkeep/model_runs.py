"""The folders of trainings in a dataset: which examples each was trained on, and whether it runs.

Reads what training leaves in `models/<run>`: `job.json`, the bundle, and the lock that a live
trainer holds. Use it before data is deleted. Not for loading a model, and of bundles that were
copied elsewhere it knows nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqprep.digested import read_digested, write_digested
from seqprep.errors import CorruptError
from seqprep.remote.removal import delete_stored, push, stored_below

FOLDER = "models"
MARK = "withdrawn.json"
"""In a run's folder: which records of its examples were withdrawn since."""
REMOVED = ".removed-"
"""Prefix of a folder that is being deleted."""
_SNAPSHOT = re.compile(r"(?P<recipe>.+)-v(?P<version>\d+)\.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRun:
    """One training.

    Args:
        path: of its folder. live: whether a trainer holds it now.
        recipe, version: of the examples that it reads or was trained on.
        earlier: versions of them that the models which it began from were trained on.
        bundle: of the model, where it is finished.
    """

    path: Path
    live: bool
    recipe: str
    version: int
    bundle: Path | None
    earlier: tuple[int, ...] = ()

    @property
    def versions(self) -> tuple[int, ...]:
        """All versions of the examples that are in its weights."""
        return (self.version, *self.earlier)

    @property
    def withdrawn(self) -> dict[str, dict[str, str]]:
        """By split the records in its examples that were withdrawn since: ids and their groups."""
        try:
            return dict(read_digested(self.path / MARK))
        except FileNotFoundError:
            return {}

    def mark(self, records: Mapping[str, Mapping[str, str]]) -> None:
        """Remember which records of its examples were withdrawn, beside those of before."""
        before = self.withdrawn
        now = {
            split: {**records.get(split, {}), **before.get(split, {})}
            for split in sorted({*before, *records})
        }
        if now != before:
            write_digested(self.path / MARK, now)
            push([self.path / MARK])

    def delete(self) -> None:
        """Delete the folder; a crash leaves one that `delete_removed` knows by its name."""
        stored = list(stored_below(self.path))
        hidden = self.path.with_name(f"{REMOVED}{self.path.name}")
        os.replace(self.path, hidden)
        shutil.rmtree(hidden, ignore_errors=True)
        delete_stored(stored)


def model_runs(folder: Path) -> list[ModelRun]:
    """The trainings of a dataset, sorted by name.

    Raises:
        CorruptError: if it cannot be told what one of them was trained on.
    """
    paths = (path for path in (folder / FOLDER).glob("*") if not path.name.startswith("."))
    found = (_read_run(path) for path in sorted(paths) if path.is_dir())
    return [run for run in found if run is not None]


def _read_run(path: Path) -> ModelRun | None:
    bundles = [path / "bundle", path / ".bundle.old"]
    bundle = next((one for one in bundles if (one / "manifest.json").is_file()), None)
    if bundle is None and not (path / "job.json").is_file():
        return None
    read = _read_job(path) or (None if bundle is None else _read_facts(bundle))
    if read is None:
        raise CorruptError(
            f"{path}: it cannot be told which examples this model was trained on, because its "
            "job.json is damaged; restore it, or delete the folder"
        )
    recipe, version = read
    return ModelRun(
        path=path,
        live=is_live(path),
        recipe=recipe,
        version=version,
        bundle=bundle,
        earlier=_read_earlier(path),
    )


def _read_job(path: Path) -> tuple[str, int] | None:
    job = _json(path / "job.json")
    named = _SNAPSHOT.fullmatch(Path(str(job.get("snapshot", ""))).name)
    return None if named is None else (named["recipe"], int(named["version"]))


def _read_earlier(path: Path) -> tuple[int, ...]:
    """What a warm start brought with it, as the job says."""
    warm = _json(path / "job.json").get("warm_from")
    versions = warm.get("versions") if isinstance(warm, dict) else None
    return tuple(number for number in versions or () if isinstance(number, int))


def _read_facts(bundle: Path) -> tuple[str, int] | None:
    facts = _json(bundle / "model.json").get("facts")
    if not isinstance(facts, dict) or not {"recipe", "examples_version"} <= facts.keys():
        return None
    return str(facts["recipe"]), int(facts["examples_version"])


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_live(path: Path) -> bool:
    """Whether a trainer holds the lock of a run's folder."""
    try:
        handle = os.open(path / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def delete_removed(folder: Path) -> None:
    """Go on with deletions that a crash interrupted."""
    for path in (folder / FOLDER).glob(f"{REMOVED}*"):
        shutil.rmtree(path, ignore_errors=True)
