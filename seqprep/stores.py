"""Where a store lies: a plain folder, or the mirror of one on S3, brought up to date.

Use it wherever a person or a flow names a store. All else works on the folder that it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqprep.errors import RemoteError
from seqprep.remote.address import Address, is_remote, mirror_folder, parse
from seqprep.remote.mirror import Mirror, mirror_at, mirror_of
from seqprep.remote.sync import MODELS, PRUNE, pull, pull_files, push_files
from seqprep.upkeep.gone import FOLDER as GONE
from seqprep.upkeep.in_use import InUseError, alone
from seqprep.upkeep.leftovers import delete, derived, find_leftovers, snapshots, tables_of
from seqprep.upkeep.traces import standing


def store_folder(store: str | Path, *, dataset: str | None = None) -> Path:
    """The folder of a store.

    Args:
        store: a folder, or `s3://BUCKET/PREFIX`.
        dataset: whose log, marks and reports are brought up to date, where this is a mirror.

    Raises:
        RemoteError: if the server cannot be used.

    >>> store_folder("store")
    PosixPath('store')
    """
    mirror = mirror_at(parse(store)) if is_remote(store) else mirror_of(Path(store))
    if mirror is None:
        return Path(store)
    if dataset is not None:
        _refresh(mirror, dataset)
    return mirror.root


def located(path: Path) -> Path:
    """The folder of a store, of a dataset or of a bundle in one, brought up to date.

    Raises:
        RemoteError: if the server cannot be used, or there is nothing.
    """
    if not is_remote(path):
        mirror = mirror_of(path)
        if mirror is not None and path != mirror.root:
            _refresh(mirror, path.relative_to(mirror.root).parts[0])
        return path
    address = parse(path)
    parts = address.prefix.split("/")
    if parts[-1] == "bundle" and parts[-3:-2] == [MODELS]:
        mirror, folder = _inside(address, depth=4)
        pull_files(mirror, folder.parent)
        return folder
    there = Mirror(mirror_folder(address), address).folders(mirror_folder(address))
    if "sequences" in there and address.prefix:
        mirror, folder = _inside(address, depth=1)
        _refresh(mirror, folder.name)
        return folder
    if not there:
        raise RemoteError(
            f"{address}: no dataset here; `seqprep run FILE --store {address}` makes one"
        )
    for name in there:
        store_folder(path, dataset=name)
    return store_folder(path)


def _inside(address: Address, *, depth: int) -> tuple[Mirror, Path]:
    """The mirror of a store, and a folder in it that is named with so many last parts."""
    parts = address.prefix.split("/")
    store = Address(
        bucket=address.bucket, prefix="/".join(parts[:-depth]), endpoint=address.endpoint
    )
    mirror = mirror_at(store)
    return mirror, mirror.root.joinpath(*parts[-depth:])


def _refresh(mirror: Mirror, dataset: str) -> None:
    pull(mirror, dataset)
    folder = mirror.root / dataset
    if (folder / PRUNE).is_file():
        _prune(folder)


def _prune(folder: Path) -> None:
    """Delete here what was given up on the server; later where a run is at work here."""
    try:
        with alone(folder):
            kept = {table.path.name: set(standing(table)) for table in tables_of(folder)}
            delete(find_leftovers(folder, kept, before_s=float("inf")), folder)
            if any(folder.glob(f"*/{GONE}/*.erased")):
                delete(derived(folder), folder)
            (folder / PRUNE).unlink(missing_ok=True)
    except InUseError:
        return


def push_derived(folder: Path) -> None:
    """Send the snapshots, plots and tables that a stage wrote beside the tables of a dataset."""
    mirror = mirror_of(folder)
    if mirror is not None:
        paths: Sequence[Path] = sorted(snapshots(folder).glob("[!.]*.json"))
        there = mirror.listed(snapshots(folder))
        push_files(mirror, paths, there=there)
        push_files(mirror, [one.path for one in derived(folder)])
