"""Storms: many runs at once, kills at any moment, a disk that is really full or read-only."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from seqprep.errors import SeqprepError
from seqprep.table import Table
from seqprep.upkeep.gone import GoneError
from tests.conftest import ROOT
from tests.seqprep.test_prepare_faults import example_rows
from tests.sources import stored_rows

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
import json, os, random, signal, sys, time
from pathlib import Path
from seqprep.upkeep.collect import collect
from seqprep.upkeep.removal import remove
from seqprep.upkeep.verification import verify_dataset
from tests.forks import child, ends
from tests.seqprep.test_storms import sight
from tests.sources import stored_rows
from tests.stores import documents_of, ingested, prepared
root, kills = Path(sys.argv[1]), int(sys.argv[2])
calm, stormy, told = root / "calm", root / "stormy", root / "told.json"
later = time.time() + 25 * 3600
dice = random.Random(0)

def steps(place, number, group):
    name, folder = f"p{number}", place / "store" / "d"
    new = {f"pos/{name}-0.txt": f"new {number}", "pos/bob-0.txt": f"changed {number}"}
    yield ingested(place, new)
    yield prepared(place)
    yield remove(folder, groups=[group], erase=True, apply=True)
    yield prepared(place)
    yield collect(folder, keep=1, apply=True, now_s=later)

def undisturbed(number, group):
    sights, seconds = [sight(calm)], 0.0
    started = time.monotonic()
    for _ in steps(calm, number, group):
        seconds += time.monotonic() - started
        sights.append(sight(calm))
        started = time.monotonic()
    told.write_text(json.dumps({"sights": sights, "seconds": seconds}))

def all_of(number, group):
    for _ in steps(stormy, number, group):
        pass

def check_killed():
    sights, now = json.loads(told.read_text())["sights"], sight(stormy)
    for table in now:
        # Before the ingest or prepare that was killed, or after it: nothing in between.
        assert now[table] in [seen[table] for seen in sights], (table, now[table])

def check(number, gone):
    assert sight(stormy) == json.loads(told.read_text())["sights"][-1]
    stored = {row["group"] for row in stored_rows(stormy / "store", "d")}
    assert f"p{number}" in stored and not stored & gone, (sorted(stored), sorted(gone))
    assert verify_dataset(stormy / "store" / "d").problems == []

for place in (calm, stormy):
    assert ends(child(lambda: (ingested(place, documents_of()), prepared(place)))) == 0
gone, longest, hits = set(), 0.0, 0
for number in range(kills):
    group = f"p{number - 1}" if number else "joe"
    assert ends(child(lambda: undisturbed(number, group))) == 0
    longest = max(longest, json.loads(told.read_text())["seconds"])
    run = child(lambda: all_of(number, group))
    time.sleep(dice.random() * longest)
    os.kill(run, signal.SIGKILL)
    code = ends(run)
    assert code in (0, -signal.SIGKILL)
    hits += code != 0
    gone.add(group)
    assert ends(child(check_killed)) == 0
    assert ends(child(lambda: all_of(number, group))) == 0
    assert ends(child(lambda: check(number, gone))) == 0
assert 3 * hits >= kills, f"only {hits} of {kills} kills met a live process"
print("done", flush=True)
"""

FULL = """
import json, os, sys
from pathlib import Path
from tests.seqprep.test_storms import MORE, fill, refusal, sight
from tests.stores import documents_of, ingested, prepared
root = Path(sys.argv[1])
store, calm = root / "store", root / "calm"
for place in (root, calm):
    ingested(place, documents_of())
    prepared(place)
old = sight(root)
big = {f"pos/big-{n}.txt": os.urandom(60_000).hex() for n in range(24)}
told = [refusal(lambda: ingested(root, big))]
assert sight(root) == old
for name in big:
    (root / "in" / name).unlink()
for place in (root, calm):
    ingested(place, MORE)
old = sight(root)
junk = fill(store)
while told[-1]:
    told.append(refusal(lambda: prepared(root)))
    assert sight(root) == old or "but its snapshot" in told[-1] or not told[-1]
    # It gets a little further each time.
    os.truncate(junk, max(0, junk.stat().st_size - 2 * 4096))
prepared(calm)
assert sight(root) == sight(calm) != old
print(json.dumps(told))
"""

READ_ONLY = """
import json, sys
from dataclasses import replace
from pathlib import Path
from tests.seqprep.test_storms import MORE, read_only, refusal, sight
from tests.stores import RECIPE, documents_of, ingested, prepared
root = Path(sys.argv[1])
calm, other = root / "calm", replace(RECIPE, buckets=1)
for place in (root, calm):
    ingested(place, documents_of())
    prepared(place)
old = sight(root)
with read_only(root / "store"):
    assert ingested(root).reused and prepared(root).reused, "what is there needs no writing"
    told = [refusal(lambda: ingested(root, MORE)), refusal(lambda: prepared(root, other))]
    assert sight(root) == old
for place in (root, calm):
    ingested(place, MORE)
    prepared(place, other)
assert sight(root) == sight(calm) != old
print(json.dumps(told))
"""

ENTRY = """
import json, sys
from contextlib import nullcontext
from pathlib import Path
import seqprep.delta_log as log
from tests.seqprep.test_storms import MORE, full, read_only, refusal, sight
from tests.stores import documents_of, ingested, prepared
root, how = Path(sys.argv[1]), sys.argv[2]
calm = root / "calm"
for place in (root, calm):
    ingested(place, documents_of())
    prepared(place)
logs = list((root / "store" / "d").glob("*/_delta_log"))
harm = nullcontext

def harmed(call):
    # Everything could be written, but not the one file that makes it visible.
    def run(*args, **keys):
        with harm():
            return call(*args, **keys)
    return run

log.DeltaTable.create_write_transaction = harmed(log.DeltaTable.create_write_transaction)
told = []
for work in (lambda place: ingested(place, MORE), prepared):
    old = sight(root)
    harm = (lambda: full(root / "store")) if how == "full" else lambda: read_only(*logs)
    told.append(refusal(lambda: work(root)))
    assert sight(root) == old
    harm = nullcontext
    for place in (root, calm):
        work(place)
    assert sight(root) == sight(calm) != old
print(json.dumps(told))
"""
MORE = {"pos/zoe-0.txt": "common text of zoe", "pos/bob-0.txt": "changed text of bob"}


def sight(root: Path) -> dict[str, Any]:
    """What readers see of `root/store/d`: the rows of each table, or that they were erased."""
    seen: dict[str, Any] = {"sequences": stored_rows(root / "store", "d")}
    for row in seen["sequences"]:
        row["content_hash"] = row["content_hash"].hex()
    try:
        rows = example_rows(Table(root / "store" / "d" / "examples-default"))
    except GoneError:
        seen["examples"] = "gone"
    else:
        # Not where they lie: shards that were appended to hold the same rows in others.
        rows = [{key: value for key, value in row.items() if key != "path"} for row in rows]
        seen["examples"] = sorted(rows, key=lambda row: (row["id"], row["view"], row["window"]))
    return seen


def refusal(work: Callable[[], object]) -> str:
    """What a person is told who cannot do some work; "" where it was done."""
    try:
        work()
    except SeqprepError as error:
        return str(error)
    return ""


def fill(folder: Path) -> Path:
    """Fill what is left of a file system; the file that does."""
    handle = os.open(folder / "junk", os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(handle, b"x" * 4096)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
    finally:
        os.close(handle)
    return folder / "junk"


@contextmanager
def read_only(*folders: Path) -> Iterator[None]:
    """Folders on file systems of our own that cannot be written: root may write past a chmod."""
    for folder in folders:
        subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
    try:
        yield
    finally:
        for folder in folders:
            subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """A file system without any room."""
    junk = fill(folder)
    try:
        yield
    finally:
        junk.unlink()


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


def check_refusal(message: str, table: Path, *, reason: str) -> None:
    """It names path, reason and need, and says that nothing was done, in one line."""
    assert message.startswith(f"{table}: ") and reason in message, message
    assert "needed there" in message and "1 MB" in message, message
    assert message.endswith("Nothing was changed"), message
    assert message.isprintable(), message


def test_a_small_file_system_that_is_full_is_named_and_a_rerun_goes_on(tmp_path: Path) -> None:
    """A full disk would leave half a version, or one that nobody can go on from."""
    folder = tmp_path / "store" / "d"
    first, *others, last = json.loads(run(FULL, tmp_path, wrapped=small(tmp_path)))
    assert str(folder / "sequences") in first
    assert "MB are needed there" in first and "No space left" in first
    made = [message for message in others if "but its snapshot" in message]
    for message in others[: len(others) - len(made)]:
        check_refusal(message, folder / "examples-default", reason="")
    assert len(others) > len(made) + 2 and last == ""
    assert any("No space left" in message for message in others)


def test_a_read_only_store_is_named_and_can_be_read(tmp_path: Path) -> None:
    """A store that is mounted to be read would show a traceback, or could not even be read."""
    told = json.loads(run(READ_ONLY, tmp_path, wrapped=small(tmp_path)))
    for message, name in zip(told, ("sequences", "examples-default"), strict=True):
        check_refusal(message, tmp_path / "store" / "d" / name, reason="Read-only file system")


@pytest.mark.parametrize(
    ("how", "reason"), [("full", "No space left"), ("read-only", "Read-only file system")]
)
def test_a_log_that_cannot_be_written_is_named(tmp_path: Path, how: str, reason: str) -> None:
    """What delta-rs says would be shown raw, without what is needed and what became of the data."""
    told = json.loads(run(ENTRY, tmp_path, how, wrapped=small(tmp_path)))
    for message, name in zip(told, ("sequences", "examples-default"), strict=True):
        check_refusal(message, tmp_path / "store" / "d" / name, reason=reason)


def small(root: Path) -> tuple[str, ...]:
    """A small file system as the store of a test."""
    (root / "store").mkdir()
    return on_a_small_file_system(root / "store")
