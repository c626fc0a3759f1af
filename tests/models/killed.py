"""Train in forked children that end at a given moment, as if killed: `python -m` this file.

A moment is an update, or a file of the job that is opened for writing, flushed, renamed or removed.
Nothing is closed, flushed or undone after it; what was being flushed is cut in half.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from models import train
from models.job import read_job
from models.training import loop

ROOT = Path(__file__).resolve().parents[2]
KILLED = 9
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree")


def run_killed(jobs: list[Path], points: int) -> list[dict[str, Any]]:
    """For each job what came of it whole, and killed at so many moments and after each gone on."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.models.killed", str(points), *map(str, jobs)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        timeout=3600,
    )
    results: list[dict[str, Any]] = json.loads(done.stdout)
    return results


def plans(moments: int, points: int) -> list[list[int]]:
    """Moments spread over all of a run; some plans kill a second and a third time."""
    first = np.unique(np.linspace(1, moments, points).astype(int)).tolist()
    again = np.random.default_rng(moments).integers(1, moments // 2, (len(first), 2)).tolist()
    return [
        [moment, *more[: n % 3]] for n, (moment, more) in enumerate(zip(first, again, strict=True))
    ]


class Moments:
    """Counts the moments of this process, and ends it at one of them.

    Args:
        folder: of the job. last: at which it ends; 0 for never.
    """

    def __init__(self, folder: Path, last: int) -> None:
        self.folder, self.last, self.count = str(folder), last, 0

    def watch(self) -> None:
        """Be told of all of them; for the rest of this process."""
        sys.addaudithook(self._audit)
        fsync = os.fsync

        def flushed(file: int) -> None:
            self.pass_by(lambda: os.ftruncate(file, os.fstat(file).st_size // 2))
            fsync(file)

        os.fsync = flushed  # type: ignore[assignment]

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event in _CHANGES:
            path = arguments[0]
        else:
            return
        if str(path).startswith(self.folder):
            self.pass_by()

    def pass_by(self, undo: Callable[[], None] = lambda: None) -> None:
        """One moment."""
        self.count += 1
        if self.count == self.last:
            undo()
            os._exit(KILLED)


def _child(job: Path, log: int, last: int) -> None:
    """Train; the rows of each update are noted before it."""
    work = read_job(job)
    moments = Moments(Path(work.out), last)
    note(moments, log)
    moments.watch()
    train.train(work)
    os.write(log, json.dumps(["moments", moments.count]).encode() + b"\n")


def note(moments: Moments, log: int) -> None:
    """Write the number and the rows of each update to a file."""
    update = loop.update

    def noted(run: loop.Run, batch: Any, share: float) -> Any:
        row = [run.progress.seen, batch.ids.to_pylist()]
        os.write(log, json.dumps(row).encode() + b"\n")
        moments.pass_by()
        return update(run, batch, share)

    loop.update = noted  # type: ignore[assignment]


def _forked(job: Path, log: int, last: int) -> int:
    """Train in a child; its exit status."""
    child = os.fork()
    if not child:
        status = 1
        try:
            _child(job, log, last)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _scenario(job: Path, kills: list[int]) -> dict[str, Any]:
    """Killed at each of these moments, the next one counted from where it went on, then let go."""
    folder = job.parent / f"scenario-{uuid4().hex}"
    folder.mkdir()
    body = json.loads(job.read_bytes())
    body["out"] = str(folder / "out")
    own, path = folder / "job.json", folder / "log"
    own.write_text(json.dumps(body))
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    statuses = [_forked(own, log, moment) for moment in (*kills, 0)]
    os.close(log)
    report = json.loads((folder / "out/report.json").read_bytes())
    events = [json.loads(x) for x in (folder / "out/metrics.jsonl").read_text().splitlines()]
    notes = [json.loads(line) for line in path.read_text().splitlines()]
    updates: dict[int, set[str]] = {}
    for number, rows in (entry for entry in notes if entry[0] != "moments"):
        updates.setdefault(number, set()).add(json.dumps(rows))
    weights = (folder / "out/bundle/weights.safetensors").read_bytes()
    history = report["train"]["history"]
    return {
        "statuses": statuses,
        "moments": max((entry[1] for entry in notes if entry[0] == "moments"), default=0),
        "losses": [(entry["train_loss"], entry["validation_loss"]) for entry in history],
        "weights": hashlib.sha256(weights).hexdigest(),
        "rows": [sorted(updates[number]) for number in sorted(updates)],
        "epochs": [event["epoch"] for event in events if event["event"] == "epoch"],
    }


def _all(job: Path, points: int) -> dict[str, Any]:
    # What PyTorch imports late the children find imported.
    train.train(replace(read_job(job), out=str(job.parent / "first")))
    whole = _scenario(job, [])
    kills = plans(whole["moments"], points)
    return {"whole": whole, "kills": kills, "killed": [_scenario(job, plan) for plan in kills]}


if __name__ == "__main__":
    print(json.dumps([_all(Path(job), int(sys.argv[1])) for job in sys.argv[2:]]))
