"""Files of a dataset that no version needs: what runs left when they died, and what was given up.

Only files that seqprep itself names so are looked at; anything else in the folder is left alone.
Use it from `collect` and `removal`, which decide which versions stay, and hold the dataset's lock
while they delete.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from seqprep.inbox.done import NAME as PREDICTIONS
from seqprep.preparation.spill import collect_spills
from seqprep.registry import NAME as REGISTRY
from seqprep.remote.removal import NOTHING, Listed, delete_stored
from seqprep.remote.sync import is_table
from seqprep.table import Table
from seqprep.upkeep.model_runs import FOLDER as MODELS
from seqprep.upkeep.model_runs import REMOVED, is_live

STUDIES = "studies"
"""Folder of a dataset with the trainings, codes and pages of studies, which can be run again."""
DERIVED = (".csv", ".json", ".parquet", ".png")
SPILLS = (".spill-*", ".spilling-*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """A file or folder that may go.

    Args:
        path: of it. kind: what it is, for a person. size_bytes: all of it.
        stored: whether it lies on the server, too, or only there.
    """

    path: Path
    kind: str
    size_bytes: int
    stored: bool = False


def tables_of(folder: Path) -> list[Table]:
    """The tables of a dataset: its sequences first, then the examples of each recipe."""
    examples = sorted(path.parent for path in folder.glob("examples-*/_delta_log"))
    sequences = folder / "sequences"
    first = [sequences] if (sequences / "_delta_log").is_dir() else []
    return [Table(path) for path in (*first, *examples)]


def registry_of(folder: Path) -> list[Table]:
    """The table of what happened to the dataset's models, if there is one; all of it stays."""
    path = folder / REGISTRY
    return [Table(path)] if (path / "_delta_log").is_dir() else []


def predictions_of(folder: Path) -> list[Table]:
    """The table of predictions of a folder's files, if there is one; see `inbox`."""
    path = folder / PREDICTIONS
    return [Table(path)] if (path / "_delta_log").is_dir() else []


def collectable(folder: Path) -> list[Table]:
    """The tables whose old versions may go."""
    return [*tables_of(folder), *predictions_of(folder)]


def recipe_of(table: Table) -> str:
    """The recipe that owns a table of examples."""
    return table.path.name.removeprefix("examples-")


Kept = Mapping[str, set[int]]
"""The versions that stay, by the name of the table's folder."""


def find_leftovers(
    folder: Path, kept: Kept, *, before_s: float, there: Listed = NOTHING
) -> list[Leftover]:
    """All that no kept version needs and that nothing has touched since `before_s`.

    Args:
        folder: of the dataset.
        kept: every version that stays.
        before_s: seconds since 1970.
        there: what lies on the server, where the folder mirrors one and that is meant.

    Raises:
        CorruptError: if it cannot be told what a kept version needs.
    """
    needed: set[Path] = set()
    for table in collectable(folder):
        for version in kept[table.path.name]:
            needed |= needed_files(table, version)
    for table in registry_of(folder):
        for version, _, _ in table.history():
            needed |= needed_files(table, version)
    kinds = dict(_known_files(folder)) | dict(_known_objects(folder, there))
    return [
        _leftover(path, kind, there)
        for path, kind in kinds.items()
        if path not in needed and _age(path, there) < before_s
    ]


def _leftover(path: Path, kind: str, there: Listed) -> Leftover:
    size_bytes = there[path].size_bytes if path in there else _size(path)
    return Leftover(path=path, kind=kind, size_bytes=size_bytes, stored=path in there)


def needed_files(table: Table, version: int) -> set[Path]:
    """The files of a version: rows, state, and the snapshot of examples."""
    state = table.info(version).state
    needed = {table.path / file.path for file in table.files(version)}
    needed |= {table.state.path / name for name in state.values()}
    if table.path.name != "sequences":
        needed.add(snapshots(table.path.parent) / f"{recipe_of(table)}-v{version}.json")
    return needed


def snapshots(folder: Path) -> Path:
    """Where the snapshots of a dataset lie."""
    return folder / "snapshots"


def _known_files(folder: Path) -> Iterator[tuple[Path, str]]:
    for table in (*collectable(folder), *registry_of(folder)):
        for path in table.path.rglob("*.parquet"):
            if not path.relative_to(table.path).parts[0].startswith("_"):
                yield path, f"rows of {table.path.name}"
    for path in (folder / "state").glob("[0-9a-f]*.*"):
        yield path, "state"
    for path in snapshots(folder).glob("*.json"):
        yield path, "snapshot"
    for path in _temporaries(folder):
        yield path, "left by a run that died"


def _known_objects(folder: Path, there: Listed) -> Iterator[tuple[Path, str]]:
    """Those of the objects on the server that are named as files of `_known_files`."""
    for path in there:
        first, *rest = path.relative_to(folder).parts
        if is_table(first) and path.suffix == ".parquet" and not rest[0].startswith("_"):
            yield path, f"rows of {first}"
        elif first == "state":
            yield path, "state"
        elif path.parent == snapshots(folder):
            yield path, "snapshot"


def derived(folder: Path, *, there: Listed = NOTHING) -> list[Leftover]:
    """What commands made of a dataset's records beside its tables: plots, and whole studies."""
    paths = {path for path in folder.glob("plots/*") if path.is_file()}
    paths |= {path for path in (folder / STUDIES).rglob("*") if path.is_file()}
    paths |= {path for path in folder.glob("[!.]*") if path.is_file() and path.suffix in DERIVED}
    plots = folder / "plots"
    paths |= {path for path in there if path.parent == plots or path.parent == folder}
    return [_leftover(path, "table or plot", there) for path in sorted(paths)]


def _temporaries(folder: Path) -> Iterator[Path]:
    for pattern in SPILLS:
        yield from (path for path in folder.glob(pattern) if not is_live(path))
    yield from (folder / MODELS).glob(f"{REMOVED}*")
    for path in folder.rglob(".*.tmp"):
        run = _run_of(folder, path)
        spilled = path.relative_to(folder).parts[0].startswith(".spill")
        if not spilled and (run is None or not is_live(run)):
            yield path


def _run_of(folder: Path, path: Path) -> Path | None:
    parts = path.relative_to(folder).parts
    return folder / MODELS / parts[1] if parts[0] == MODELS and len(parts) > 2 else None


def _age(path: Path, there: Listed) -> float:
    """When it was last changed; never, where a run has just deleted it itself."""
    stored_s = there[path].modified_s if path in there else None
    try:
        return max(path.lstat().st_mtime, stored_s or 0.0)
    except FileNotFoundError:
        return float("inf") if stored_s is None else stored_s


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if file.is_file())


def delete(leftovers: list[Leftover], folder: Path) -> None:
    """Delete them; what is gone already is fine.

    Rows go before the state that lists them, and folders of partitions that are empty go, too.
    """
    leftovers = sorted(leftovers, key=lambda one: one.kind == "state")
    delete_stored([one.path for one in leftovers if one.stored])
    for one in leftovers:
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path, ignore_errors=True)
        else:
            one.path.unlink(missing_ok=True)
    collect_spills(folder)
    for table in tables_of(folder):
        for path in sorted(table.path.glob("split=*/bucket=*")) + sorted(
            table.path.glob("split=*")
        ):
            if not any(path.iterdir()):
                path.rmdir()
