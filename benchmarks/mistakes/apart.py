"""The cost of one way in a process of its own, so that memory of the other does not hide it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import peer_environment


def settle() -> None:
    """One thread, denormals flushed, weights of seed 0: the same for every way.

    Raises:
        RuntimeError: if this CPU cannot flush denormals; then times would mean nothing.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if not torch.set_flush_denormal(True):
        raise RuntimeError("this CPU cannot flush denormals; the figures would mean nothing")


def json_apart(module: str, *arguments: str) -> Any:
    """What a module of `benchmarks` prints as its last line, as JSON.

    Args:
        module: its name below `benchmarks`.
        *arguments: of its command line.

    Raises:
        RuntimeError: with the end of its output, if it failed.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as out:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            env=peer_environment(Path(out), 1),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def cost_apart(module: str, way: str, *arguments: str) -> dict[str, float]:
    """What a mistake's module says of one way, `wrong` or `right`; it may take more arguments."""
    found: dict[str, float] = json_apart(f"mistakes.{module}", way, *arguments)
    return found
