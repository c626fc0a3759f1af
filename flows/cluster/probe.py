"""What scheduler and workers are asked before they get work, even where seqprep is missing.

The functions travel by value, so they use the standard library only.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import os
import platform
import socket
from typing import Any
from urllib.parse import urlsplit

PACKAGES = ("seqprep", "numpy", "polars", "pyarrow", "prefect", "distributed")
"""Of which the same versions must be everywhere, or tables and messages would differ."""


def versions_here() -> dict[str, str | None]:
    """Of Python and of PACKAGES; None for one that is missing."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def look(token: str, sees: str | None, api: str) -> dict[str, Any]:
    """What a process finds on its machine.

    Args:
        token: path of a file that was just written to the store.
        sees: another path; None for none.
        api: URL of Prefect's server.

    Returns:
        `host`, `versions`, `token` (its text, None where it is not seen), `sees`, `api` (whether
        they are there).
    """
    try:
        with open(token) as file:
            text = file.read()
    except OSError:
        text = None
    where = urlsplit(api)
    try:
        port = where.port or (443 if where.scheme == "https" else 80)
        socket.create_connection((where.hostname or "", port), timeout=5).close()
        reached = True
    except OSError:
        reached = False
    return {
        "host": socket.gethostname(),
        "versions": versions_here(),
        "token": text,
        "sees": sees is None or os.path.exists(sees),
        "api": reached,
    }


async def load(modules: tuple[str, ...]) -> None:
    """Import modules in a thread, so that the process answers others meanwhile.

    Tasks are unpickled where a scheduler or a worker minds its connections; imports of many
    seconds there would lose them.
    """
    for module in modules:
        await asyncio.to_thread(importlib.import_module, module)
