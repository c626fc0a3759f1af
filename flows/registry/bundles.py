"""The bundles that a registry speaks of: where they lie, and whether they are still what they were.

Use it where a model is to be read, by its dataset's name or by an event; `current` says which model
becomes current.
"""

from __future__ import annotations

import re
from pathlib import Path

from models.manifest import MANIFEST, bundle_digest
from seqprep.checks import NAME
from seqprep.errors import SeqprepError
from seqprep.registry import Event, Registry
from seqprep.remote.runs import pull_run
from seqprep.stores import located, store_folder

CURRENT = re.compile(rf"(?P<dataset>{NAME.pattern})@current")
"""A model by its dataset's name, where a bundle's folder is asked for."""


def find_bundle(name: str, *, store: Path) -> Path:
    """The folder of a bundle that is named by itself, or as DATASET@current.

    Args:
        name: as a person gave it.
        store: folder of the datasets, for the second form.

    Raises:
        SeqprepError: if the dataset has no current model, or its bundle is gone or altered.
    """
    named = CURRENT.fullmatch(name)
    if named is None or Path(name).exists():
        return located(Path(name))
    folder = store_folder(store, dataset=named["dataset"]) / named["dataset"]
    current = current_bundle(folder)
    if current is None:
        raise SeqprepError(
            f"{name}: {folder} has no current model; `seqprep train` makes one, or "
            f"`seqprep promote {folder} RUN` chooses one"
        )
    return current[1]


def current_bundle(folder: Path) -> tuple[Event, Path] | None:
    """What made the current model of a dataset current, and its bundle; None where there is none.

    Args:
        folder: of the dataset.

    Raises:
        SeqprepError: if the bundle is gone or altered.
    """
    current = Registry(dataset_at(folder)).current()
    return None if current is None else (current, bundle_of(folder, current))


def bundle_of(folder: Path, event: Event) -> Path:
    """The bundle that an event speaks of.

    Args:
        folder: of the dataset.
        event: of its registry.

    Raises:
        SeqprepError: if it is gone, or another one lies there.
    """
    bundle = folder / "models" / event.run / "bundle"
    pull_run(bundle.parent)
    if not (bundle / MANIFEST).is_file():
        raise SeqprepError(
            f"{bundle}: the bundle is gone; train it again, or `seqprep promote {folder} RUN` "
            "chooses another"
        )
    if bundle_digest(bundle) != event.bundle:
        raise SeqprepError(
            f"{bundle}: not the bundle that was registered; restore it, or delete its folder and "
            "train again"
        )
    return bundle


def dataset_at(folder: Path) -> Path:
    """A folder that is a dataset's.

    Raises:
        SeqprepError: if it is not.
    """
    if not (folder / "sequences" / "_delta_log").is_dir():
        raise SeqprepError(f"{folder}: no dataset here; `seqprep show STORE` lists them")
    return folder
