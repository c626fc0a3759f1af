"""The plan of a study, kept beside its results, so that one that was begun goes on by its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from flows.progress import say
from flows.references import Json
from seqprep.snapshot import replace_bytes


def kept_plan(folder: Path, make: Callable[[], Json]) -> tuple[Json, bool]:
    """The plan of a study, and whether it is new: one that was begun before goes on by its own.

    Args:
        folder: of the study.
        make: called where there is none.
    """
    path = folder / "plan.json"
    is_new = not path.is_file()
    if is_new:
        replace_bytes(path, json.dumps(make(), indent=1).encode())
    else:
        say(f"  going on with {folder}")
    return json.loads(path.read_bytes()), is_new
