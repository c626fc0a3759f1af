"""Runs that die at a chosen write, rename or commit: one fork for each point.

Use it where a crash at any moment must leave something whole. A point lies before and after each
call that is watched; points are counted from 0 in the order in which the work reaches them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.conftest import ROOT

DIED = 9
"""Exit status of a run that reached its point; 0 where there are fewer points."""
MOST = 400
"""More points than any work has."""
_HARNESS = """
import os, sys
seen, stop = 0, -1

def watched(call):
    def run(*args, **keys):
        global seen
        for after in (False, True):
            result = call(*args, **keys) if after else None
            if seen == stop:
                os._exit({died})
            seen += 1
        return result
    return run

{work}
for stop in map(int, sys.argv[1].split(",")):
    # A fork for each point: starting Python anew for each would take a second.
    child = os.fork()
    if child == 0:
        work(stop)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def die_at(points: Sequence[int], work: str, *arguments: str | Path | float) -> list[int]:
    """Run some work once for each point, and die there; the exit statuses.

    Args:
        points: where to die.
        work: Python that puts `watched(call)` in the place of calls and defines `work(point)`.
        arguments: that it finds in `sys.argv[2:]`.
    """
    code = _HARNESS.format(died=DIED, work=work)
    done = subprocess.run(
        [sys.executable, "-c", code, ",".join(map(str, points)), *map(str, arguments)],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    codes = [int(line) for line in done.stdout.split()]
    assert set(codes) <= {0, DIED}, done.stderr
    return codes


def die_everywhere(root: Path, check: Callable[[Path, list[int]], list[int]]) -> list[int]:
    """Check the death at every point of some work, twenty in a folder; the exit statuses.

    Args:
        root: for the folders.
        check: dies at some points in a folder, and gives the exit statuses; 0 where it ended.
    """
    codes: list[int] = []
    for start in range(0, MOST, 20):
        folder = root / str(start)
        folder.mkdir()
        codes += check(folder, list(range(start, start + 20)))
        shutil.rmtree(folder)
        if 0 in codes:
            break
    return codes
