"""What the studies share: limits of their options, their trainings, where each is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqprep import __version__
from seqprep.errors import ConfigError
from seqprep.fingerprint import fingerprint
from seqprep.upkeep.leftovers import STUDIES

OF_TRIALS: Mapping[str, Any] = {
    "early_stopping": None,
    "processes": 1,
    "threads": 1,
    "tracking": "none",
}
"""Keys under `train` that every training of a study has alike: each gets all of its updates, on one
process, and is kept for its scores alone."""


def kept_epoch(select_by: str) -> str:
    """Which epoch of a training is kept, in a person's words.

    Args:
        select_by: as in the pipeline file.
    """
    if select_by == "last":
        return "The last epoch of each is kept, as the file asks (`select_by: last`)."
    return "Of its epochs the best on validation is kept."


def check_limits(minutes: float, **counts: int | None) -> None:
    """Refuse a study that may take no time, or does nothing.

    Args:
        minutes: that all of it may take.
        counts: by the name of the option; None where a person names no number.

    Raises:
        ConfigError: naming the option.
    """
    if not minutes > 0:
        raise ConfigError(f"--minutes must be > 0, got {minutes}")
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ConfigError(f"--{name} must be >= 1, got {count}")


def check_validation(has_rows: bool, *, study: str) -> None:
    """Refuse a study without rows to choose on.

    Args:
        has_rows: whether the split leaves any.
        study: what it is called.

    Raises:
        ConfigError: saying what to change.
    """
    if not has_rows:
        raise ConfigError(
            f"{study} chooses on validation rows, and there are none; give split.validation a "
            "share or values"
        )


def study_folder(dataset: Path, study: str, *made_of: Any, asked: Mapping[str, Any]) -> Path:
    """Where a study is written: named by what determines it, not by how far it came.

    Args:
        dataset: folder of the dataset.
        study: what it is called.
        made_of: what its result follows from, beside what was asked.
        asked: its options; how many train at once changes nothing.
    """
    options = {key: value for key, value in asked.items() if key != "workers"}
    return dataset / STUDIES / f"{study}-{fingerprint(*made_of, options, __version__)[:12]}"
