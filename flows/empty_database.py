"""An empty database of Prefect, kept beside its package and copied into each new project.

Prefect makes one by a hundred migrations, some seven seconds of the first run in each folder.
`./run` keeps one when it sets the environment up (`python -m flows.empty_database`); without it
Prefect makes its own, as ever.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

NAME = "prefect.db"
"""Of the database in Prefect's home."""
ELSEWHERE = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")
"""Variables that name another database."""


def kept() -> Path:
    """Where the empty database lies: in this environment, by the version that made it."""
    return Path(sys.prefix) / "share" / "seqprep" / f"prefect-{version('prefect')}.db"


def keep() -> None:
    """Make the empty database, where none is kept.

    Raises:
        subprocess.CalledProcessError: if Prefect cannot make it.
    """
    target = kept()
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as home:
        own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
        environment = {**own, "PREFECT_HOME": home, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        (Path(home) / NAME).replace(target)


def is_made(home: Path) -> bool:
    """Whether a run in this home need not wait for a database to be made."""
    return (home / NAME).exists() or kept().exists()


def place(home: Path) -> None:
    """Copy the empty database into a home that has none; two processes may do so at once.

    Args:
        home: of Prefect, created if it is missing.
    """
    is_needed = not (home / NAME).exists() and not any(name in os.environ for name in ELSEWHERE)
    if not is_needed or not kept().exists():
        return
    home.mkdir(mode=0o700, parents=True, exist_ok=True)  # as Prefect makes it
    with tempfile.TemporaryDirectory(dir=home) as folder:
        copy = Path(folder) / NAME
        shutil.copyfile(kept(), copy)
        # It never replaces one that came meanwhile. Where a disk has no links, Prefect makes it.
        with suppress(OSError):
            os.link(copy, home / NAME)


if __name__ == "__main__":
    keep()
