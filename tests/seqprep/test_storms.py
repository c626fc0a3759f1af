"""Storms: many runs at once, kills at any moment, a disk that is really full."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

RACE = """
import sys
from pathlib import Path
from seqprep.errors import SeqprepError
from seqprep.ingest import ingest
from seqprep.source import Source
from tests.forks import child, ends
from tests.sources import stored_rows, write_files
root, rounds, processes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
source = Source(domain="text", path=str(root / "in"))

def take():
    try:
        ingest(source, dataset="d", store=root / "store")
    except SeqprepError as error:
        # The one that lost, or met a file that was just being written, says so, and what to do;
        # nothing else may go wrong.
        told = str(error)
        if "run again" in told and ("another run committed" in told or "was read" in told):
            return
        raise

def settle():
    ingest(source, dataset="d", store=root / "store")
    stored = {row["id"]: row["text"] for row in stored_rows(root / "store", "d")}
    here = {f"a/{path.name}#0": path.read_text() for path in (root / "in" / "a").iterdir()}
    assert stored == here

for number in range(rounds):
    new = {f"a/{number}-{n}.txt": f"text {number} {n}" for n in range(3)}
    write_files(root / "in", {**new, "a/changing.txt": f"round {number}"})
    runs = [child(take) for _ in range(processes)]
    # Files also come while the others are at work: they no longer all do the same.
    write_files(root / "in", {f"a/{number}-late.txt": f"late {number}"})
    codes = [ends(run) for run in runs]
    codes.append(ends(child(settle)))
    assert codes == [0] * (processes + 1), (number, codes)
print("done", flush=True)
"""

KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from seqprep.upkeep.collect import collect
from seqprep.upkeep.removal import remove
from seqprep.upkeep.verification import verify_dataset
from tests.forks import child, ends
from tests.sources import stored_rows
from tests.stores import documents_of, ingested, prepared
root, kills = Path(sys.argv[1]), int(sys.argv[2])
folder, later = root / "store" / "d", time.time() + 25 * 3600
dice = random.Random(0)

def grow(number):
    name = f"p{number}"
    return {f"pos/{name}-0.txt": f"new {number}", "neg/bob-0.txt": f"changed {number}"}

def all_of(number, group):
    ingested(root, grow(number))
    prepared(root)
    remove(folder, groups=[group], erase=True, apply=True)
    prepared(root)
    collect(folder, keep=1, apply=True, now_s=later)

def check(number, gone):
    stored = {row["group"] for row in stored_rows(root / "store", "d")}
    assert f"p{number}" in stored and not stored & gone, (sorted(stored), sorted(gone))
    assert verify_dataset(folder).problems == []

assert ends(child(lambda: ingested(root, documents_of()))) == 0
gone, longest = set(), 0.0
for number in range(kills):
    group = f"p{number - 1}" if number else "joe"
    started = time.monotonic()
    run = child(lambda: all_of(number, group))
    if number:
        time.sleep(dice.random() * longest)
        os.kill(run, signal.SIGKILL)
    ends(run)
    if not number:
        longest = time.monotonic() - started
    gone.add(group)
    assert ends(child(lambda: all_of(number, group))) == 0
    assert ends(child(lambda: check(number, gone))) == 0
print("done", flush=True)
"""

FULL = """
import json, os, sys
from pathlib import Path
from seqprep.errors import SeqprepError
from tests.sources import stored_rows
from tests.stores import documents_of, ingested, prepared
root = Path(sys.argv[1])
files = documents_of()
ingested(root, files)
prepared(root)
old = stored_rows(root / "store", "d")
big = {f"pos/big-{n}.txt": os.urandom(60_000).hex() for n in range(24)}
told = []
for work in (lambda: ingested(root, big), lambda: prepared(root)):
    try:
        work()
    except SeqprepError as error:
        told.append(str(error))
        now = stored_rows(root / "store", "d")
    else:
        told.append("")
        now = old
    assert now == old
for name in list(big)[2:]:
    (root / "in" / name).unlink()
ingested(root)
prepared(root)
print(json.dumps({"told": told, "rows": len(stored_rows(root / "store", "d"))}))
"""


def run(script: str, *arguments: object, wrapped: tuple[str, ...] = ()) -> str:
    """Run a script in a process of its own, which forks; its last line."""
    done = subprocess.run(
        [*wrapped, sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


def on_a_small_file_system(folder: Path) -> tuple[str, ...]:
    """What a command is put behind, so that `folder` is a file system of 1 MB for it.

    The kernel must let a user mount in a namespace of his own. Where it does not, the default run
    says that it skips, and the full run fails.
    """
    unshare = shutil.which("unshare") or "unshare"
    mount = f'mount -t tmpfs -o size=1m none {folder} && exec "$@"'
    wrapped = (unshare, "-r", "-m", "sh", "-c", mount, "sh")
    try:
        subprocess.run([*wrapped, "true"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("SEQPREP_TEST_PROFILE") == "full":
            raise
        told = getattr(error, "stderr", error)
        pytest.skip(f"no small file system may be mounted here with {unshare}: {told}")
    return wrapped


def test_some_runs_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    """A schedule and a person at the same time would double or lose rows."""
    assert run(RACE, tmp_path, 1, 8) == "done"


@pytest.mark.slow
def test_eight_runs_at_once_fifty_times_lose_and_double_nothing(tmp_path: Path) -> None:
    """What happens once in a hundred races would happen in a year."""
    assert run(RACE, tmp_path, 50, 8) == "done"


def test_some_random_kills_leave_nothing_for_a_person(tmp_path: Path) -> None:
    """A kill in the middle of work would leave a store that a rerun cannot mend."""
    assert run(KILLS, tmp_path, 3) == "done"


@pytest.mark.slow
def test_two_hundred_random_kills_leave_nothing_for_a_person(tmp_path: Path) -> None:
    """The one unlucky moment would be met in the end."""
    assert run(KILLS, tmp_path, 200) == "done"


def test_a_small_file_system_that_is_full_is_named_and_a_rerun_goes_on(tmp_path: Path) -> None:
    """A full disk would leave half a version, or one that nobody can go on from."""
    store = tmp_path / "store"
    store.mkdir()
    done = json.loads(run(FULL, tmp_path, wrapped=on_a_small_file_system(store)))
    assert done["rows"] == 22
    assert str(store / "d" / "sequences") in done["told"][0]
    assert "MB are needed there" in done["told"][0] and "No space left" in done["told"][0]
