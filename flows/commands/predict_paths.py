"""The paths of a prediction, checked before anything is started. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqprep.errors import ConfigError, SeqprepError


def check_prediction(bundle: Path, inputs: Sequence[Path], out: Path) -> None:
    """Refuse what is no bundle, no input, or no place for a file.

    Raises:
        SeqprepError: naming the path.
    """
    check_bundle(bundle)
    if out.is_dir() or (out.parent.exists() and not out.parent.is_dir()):
        raise SeqprepError(
            f"--out {out}: must be the name of a new Parquet file, e.g. predictions.parquet"
        )
    check_inputs(inputs)
    check_out(out, inputs)


def check_bundle(bundle: Path) -> None:
    """Refuse what is no bundle.

    Raises:
        SeqprepError: naming the path, and the bundle that was probably meant.
    """
    if not (bundle / "manifest.json").is_file():
        found = [bundle / "bundle", *sorted(bundle.glob("models/*/bundle"))]
        meant = [path for path in found if (path / "manifest.json").is_file()]
        newest = max(meant, key=lambda path: path.stat().st_mtime, default=None)
        hint = "" if newest is None else f"; did you mean {newest}?"
        raise SeqprepError(f"{bundle}: not a model bundle (it has no manifest.json){hint}")


def check_inputs(inputs: Sequence[Path]) -> None:
    """Refuse inputs that are not there.

    Raises:
        SeqprepError: naming the first.
    """
    for path in inputs:
        if not path.exists():
            raise SeqprepError(f"{path}: no such file or folder to predict")


def check_out(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse to write where the person's own data may lie.

    Raises:
        ConfigError: if `out` is an input, lies in an input folder, or is not named as Parquet.
    """
    if out.suffix != ".parquet":
        raise ConfigError(
            f"--out {out}: predictions are Parquet; name a file that ends in .parquet"
        )
    for path in inputs:
        if out.resolve() == path.resolve() or path.resolve() in out.resolve().parents:
            raise ConfigError(
                f"--out {out} is, or lies in, what is to be predicted ({path}); name another place"
            )


def check_inbox(folder: Path, out: Path) -> None:
    """Refuse what is no folder to look into, or no place for its predictions.

    Raises:
        SeqprepError: if there is no such folder.
        ConfigError: if one lies in the other, or `out` is something else.
    """
    if not folder.is_dir():
        raise SeqprepError(f"{folder}: no such folder to look into for new files")
    inbox, place = folder.resolve(), out.resolve()
    if inbox.is_relative_to(place) or place.is_relative_to(inbox):
        raise ConfigError(
            f"--out {out} and the folder that is looked into ({folder}) must not lie in each "
            "other; name another place"
        )
    if place.exists() and not place.is_dir():
        raise ConfigError(f"--out {out}: is a file; name a folder for the predictions")
    if (place / "sequences" / "_delta_log").is_dir():
        raise ConfigError(
            f"--out {out}: is a dataset, whose upkeep would delete what it does not know; name a "
            "folder of its own"
        )
