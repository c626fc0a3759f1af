"""Where a person wants something written, checked before any work. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqprep.errors import ConfigError

TABLES = (".parquet", ".csv")
"""Suffixes of tables: Parquet for other recipes, CSV for people and other programs."""


def check_file_path(path: Path, *, key: str = "--out", suffixes: Sequence[str] = TABLES) -> None:
    """Refuse a path that is no place for a file.

    Raises:
        ConfigError: naming the path, and what is wrong with it.
    """
    if path.suffix not in suffixes:
        raise ConfigError(f"{key} {path}: name a file that ends in {' or '.join(suffixes)}")
    if path.is_dir():
        raise ConfigError(f"{key} {path}: is a folder; name a file")
    check_folder_path(path.parent, key=key)


def check_folder_path(path: Path, *, key: str = "--out") -> None:
    """Refuse a path that is no folder, and cannot become one.

    Raises:
        ConfigError: naming what is in the way.
    """
    for part in (path, *path.parents):
        if part.exists():
            if not part.is_dir():
                raise ConfigError(f"{key}: {part} is a file, not a folder; name another place")
            return
