"""An ingest that dies or finds no room at any write leaves a whole version, old or new."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pyarrow as pa
import pytest

from seqprep.errors import CorruptError, InputError
from seqprep.ingest import Ingested, ingest
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.hashes import Known, hash_files
from seqprep.source import Source
from seqprep.staging import STALE_S, StagedWriter, collect_stale
from seqprep.table import Table
from tests.conftest import ROOT
from tests.sources import stored_rows, write_files
from tests.watched import DIED, die_at

WORK = """
from pathlib import Path
import seqprep.delta_log as log
from seqprep.ingest import ingest
from seqprep.source import Source
root = Path(sys.argv[2])
os.replace, os.fsync = watched(os.replace), watched(os.fsync)
log.create_table_with_add_actions = watched(log.create_table_with_add_actions)
log.DeltaTable.create_write_transaction = watched(log.DeltaTable.create_write_transaction)
source = Source(domain="text", path=str(root / "in"))

def work(point):
    ingest(source, dataset="d", store=root / f"store{point}")
"""
POINTS = 30
"""More than there are: two for each fsync, rename and commit of the second ingest."""
FAILURES = 40
"""More than there are places where a disk may turn out to be full."""
OLD = {"neg/a.txt": "bad", "neg/b.txt": "worse", "pos/a.txt": "good"}
NEW = {"neg/b.txt": "dreadful", "pos/b.txt": "best"}


def rows(store: Path) -> list[dict[str, Any]] | None:
    """What a reader sees; None if there is no version yet."""
    table = Table(store / "d" / "sequences")
    if table.version() is None:
        return None
    table.verify()
    return stored_rows(store, "d")


def started(root: Path, points: Sequence[int], *, first: bool) -> tuple[Any, Any]:
    """A store for each point, and what a reader sees before and after the ingest under test."""
    source = Source(domain="text", path=str(root / "in"))
    write_files(root / "in", OLD)
    old = None
    if not first:
        ingest(source, dataset="d", store=root / "store")
        old = rows(root / "store")
        for point in points:
            shutil.copytree(root / "store", root / f"store{point}")
    write_files(root / "in", NEW)
    ingest(source, dataset="d", store=root / "whole")
    return old, rows(root / "whole")


FIRST = pytest.mark.parametrize("first", [True, False], ids=["first ingest", "second ingest"])


@FIRST
def test_dying_anywhere_leaves_a_whole_version_and_a_rerun_mends_it(
    tmp_path: Path, first: bool
) -> None:
    """Otherwise a power cut could leave half a dataset that looks like a whole one."""
    source = Source(domain="text", path=str(tmp_path / "in"))
    old, new = started(tmp_path, range(POINTS), first=first)
    codes = die_at(range(POINTS), WORK, tmp_path)
    assert codes.count(DIED) >= 10
    assert codes == [DIED] * codes.count(DIED) + [0] * codes.count(0)
    found = []
    for point in range(POINTS):
        found.append(rows(tmp_path / f"store{point}"))
        assert found[-1] in (old, new), f"point {point}"
        ingest(source, dataset="d", store=tmp_path / f"store{point}")
        assert rows(tmp_path / f"store{point}") == new, f"point {point}"
    assert found[0] == old
    assert found[-1] == new


FAILING = """
import builtins, errno, io, itertools, json
import pyarrow as pa
import pyarrow.parquet as pq
import seqprep.delta_log as log
from pathlib import Path
from seqprep.errors import SeqprepError
ENOUGH = 10**9
points = itertools.count()  # threads count as well

def point(what):
    # A disk that is full stays full: everything after the point fails, too.
    if next(points) >= stop:
        raise OSError(errno.ENOSPC, f"No space left on device, says {what}")

def failing(call, after=False):
    def run(*args, **keys):
        point(call.__name__)
        result = call(*args, **keys)
        if after:
            point(f"what follows {call.__name__}")
        return result
    return run

class Raw(io.FileIO):
    def write(self, data):
        point("write")
        return super().write(data)

def opening(call):
    def run(path, mode="r", *args, **keys):
        if mode != "wb":
            return call(path, mode, *args, **keys)
        point("open")
        file = io.BufferedWriter(Raw(path, mode))
        return pa.PythonFile(file, mode) if call is sink else file
    return run

def creating(path, flags, *args, call=os.open, **keys):
    if flags & os.O_CREAT:
        point("open")
    return call(path, flags, *args, **keys)

sink = pa.OSFile
pa.OSFile, io.open, os.open = opening(sink), opening(io.open), creating
builtins.open = io.open
for name in ("replace", "rename", "fsync", "mkdir", "utime"):
    setattr(os, name, failing(getattr(os, name)))
for name in ("__init__", "write_table", "close"):
    setattr(pq.ParquetWriter, name, failing(getattr(pq.ParquetWriter, name)))
log.create_table_with_add_actions = failing(log.create_table_with_add_actions, after=True)
transaction = log.DeltaTable.create_write_transaction
log.DeltaTable.create_write_transaction = failing(transaction, after=True)

def tell(told, work):
    global stop
    message = None
    try:
        work()
    except SeqprepError as error:
        message = str(error)
    stop = ENOUGH
    told.write_text(json.dumps(message))
"""
"""What lets every write fail from one point on, as on a disk that is full; for `fail_at`."""
FAILING_WORK = """
from seqprep.ingest import ingest
from seqprep.source import Source
root = Path(sys.argv[2])
source = Source(domain="text", path=str(root / "in"))

def work(point):
    store = root / f"store{point}"
    tell(root / f"told{point}", lambda: ingest(source, dataset="d", store=store))
"""


def fail_at(points: Sequence[int], work: str, root: Path, *arguments: str) -> list[str | None]:
    """Run some work once for each point, from which on every write fails; what each run says.

    Args:
        points: where the disk is full: before each folder, file, write, flush, rename and commit,
            and after the entry of the log. They are counted from 0 as the work reaches them.
        work: Python that defines `work(point)`, which calls `tell(root / f"told{point}", ...)`.
        root: of all that.
        arguments: that it finds in `sys.argv[3:]`.

    Returns:
        The message of each run's SeqprepError, None where it succeeded; other errors fail here.
    """
    codes = die_at(points, FAILING + work, root, *arguments)
    assert codes == [0] * len(points)
    return [json.loads((root / f"told{point}").read_text()) for point in points]


def check_failing(root: Path, points: Sequence[int], *, first: bool) -> list[str | None]:
    old, new = started(root, points, first=first)
    source = Source(domain="text", path=str(root / "in"))
    told = fail_at(points, FAILING_WORK, root)
    for point, message in zip(points, told, strict=True):
        store = root / f"store{point}"
        assert rows(store) == (new if message is None else old), f"point {point}: {message}"
        if message is not None:
            assert str(store / "d" / "sequences") in message, f"point {point}"
            assert "about 1 MB are needed there" in message and "\n" not in message, message
            assert "No space left" in message and message.endswith("Nothing was changed"), message
        assert not list(store.rglob(".*.tmp")), f"point {point}"
        ingest(source, dataset="d", store=store)
        assert rows(store) == new, f"point {point}"
    failed = len(told) - told.count(None)
    assert None not in told[:failed]
    return told


@FIRST
def test_a_disk_that_is_full_at_some_points_is_named(tmp_path: Path, first: bool) -> None:
    """Otherwise a write that nobody thought of would show a traceback, or leave half a table."""
    told = check_failing(tmp_path, range(1, 34, 4), first=first)
    assert len(told) > told.count(None) + 5 and told[-1] is None


@pytest.mark.slow
@FIRST
def test_a_disk_that_is_full_at_any_point_is_named(tmp_path: Path, first: bool) -> None:
    """Otherwise the one write whose failure is not told would be met in the end."""
    told = check_failing(tmp_path, range(FAILURES), first=first)
    assert told.count(None) <= FAILURES - 25 and told[-1] is None


FULL = """
import resource, signal, sys
from pathlib import Path
from seqprep.errors import SeqprepError
from seqprep.ingest import ingest
from seqprep.source import Source
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    ingest(Source(domain="text", path=sys.argv[1]), dataset="d", store=Path(sys.argv[2]))
except SeqprepError as error:
    print(error)
    sys.exit(2)
"""


@pytest.mark.parametrize("limit_bytes", [0, 100, 4_000])
def test_a_full_disk_is_named_and_the_old_version_stays(tmp_path: Path, limit_bytes: int) -> None:
    """Otherwise a disk that fills up would leave half a table, or a traceback."""
    store = tmp_path / "store"
    write_files(tmp_path / "in", OLD)
    ingest(Source(domain="text", path=str(tmp_path / "in")), dataset="d", store=store)
    old = rows(store)
    write_files(
        tmp_path / "in", {f"pos/{number}.txt": f"film {number} " * 9 for number in range(99)}
    )
    command = [sys.executable, "-c", FULL, str(tmp_path / "in"), str(store), str(limit_bytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert str(store / "d" / "sequences") in done.stdout
    assert rows(store) == old


ONE = """
import sys
from pathlib import Path
from seqprep.ingest import ingest
from seqprep.source import Source
print(ingest(Source(domain="text", path=sys.argv[1]), dataset="d", store=Path(sys.argv[2])).rows)
"""


def test_ingests_at_once_land_or_join(tmp_path: Path) -> None:
    """Otherwise a schedule and a person at the same time would double the rows."""
    write_files(tmp_path / "in", {f"pos/{number}.txt": f"text {number}" for number in range(50)})
    command = [sys.executable, "-c", ONE, str(tmp_path / "in"), str(tmp_path / "store")]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in running:
        out, error = process.communicate(timeout=120)
        assert (process.returncode, out.strip()) == (0, b"50"), error.decode()
    assert Table(tmp_path / "store" / "d" / "sequences").version() == 0
    assert len(rows(tmp_path / "store") or []) == 50


def test_two_ingests_in_one_process_do_not_touch_each_others_files(tmp_path: Path) -> None:
    """Otherwise two threads or containers with equal process ids would tear a file apart."""
    write_files(tmp_path / "in", {f"neg/{n}.txt": f"text {n}" for n in range(50)})
    barrier = Barrier(4)

    def work(number: int) -> Ingested:
        barrier.wait()
        source = Source(domain="text", path=str(tmp_path / "in"))
        return ingest(source, dataset="d", store=tmp_path / "store")

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(work, range(4)))
    assert {one.version for one in done} == {0}
    Table(tmp_path / "store" / "d" / "sequences").verify()
    assert not list((tmp_path / "store").rglob(".*.tmp"))


def test_temporaries_of_one_process_differ(tmp_path: Path) -> None:
    """Otherwise a second writer of the same name would truncate what the first one writes."""
    schema = pa.schema([pa.field("length", pa.int32())])
    rows = pa.table({"length": pa.array([1, 2], pa.int32())})
    with StagedWriter(tmp_path, "chunk", schema) as one:
        one.write(rows)
        with StagedWriter(tmp_path, "chunk", schema) as two:
            two.write(rows)
            for path in tmp_path.glob(".*.tmp"):
                os.utime(path, (0, 0))
            assert len(list(tmp_path.glob(".*.tmp"))) == 2
    assert one.staged == two.staged
    (tmp_path / ".left.0123.tmp").touch()
    assert collect_stale(tmp_path, now_s=time.time() + 2 * STALE_S) == 1


@pytest.mark.parametrize("what", ["sequences/*.parquet", "state/*.json", "state/*.jsonl"])
@pytest.mark.parametrize("harm", ["removed", "altered"])
def test_running_again_mends_what_is_missing(tmp_path: Path, what: str, harm: str) -> None:
    """Otherwise the remedy that the message names would report success and mend nothing."""
    write_files(tmp_path / "in", {**OLD, "neg/empty.txt": ""})
    source, store = Source(domain="text", path=str(tmp_path / "in")), tmp_path / "store"
    ingest(source, dataset="d", store=store)
    old = rows(store)
    for path in (store / "d").glob(what):
        if harm == "removed":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1])
    done = ingest(source, dataset="d", store=store)
    assert (done.reused, done.rows, done.version) == (False, 3, 1)
    Table(store / "d" / "sequences").verify()
    assert rows(store) == old
    assert ingest(source, dataset="d", store=store).reused


def test_rows_that_stay_are_checked_before_they_are_rewritten(tmp_path: Path) -> None:
    """Otherwise rows that someone altered would be committed anew, with a good hash."""
    write_files(tmp_path / "in", OLD)
    source, store = Source(domain="text", path=str(tmp_path / "in")), tmp_path / "store"
    ingest(source, dataset="d", store=store)
    (path,) = (store / "d" / "sequences").glob("*.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    write_files(tmp_path / "in", NEW)
    with pytest.raises(CorruptError, match="not those that were committed"):
        ingest(source, dataset="d", store=store)


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the rows would not be those of the stored hash, and be reused for ever."""
    write_files(tmp_path / "in", OLD)
    source = Source(domain="text", path=str(tmp_path / "in"))

    def hash_then_change(files: Sequence[SourceFile], known: Known) -> list[SourceFile]:
        found = hash_files(files, known)
        write_files(tmp_path / "in", {"neg/a.txt": "new"})
        return found

    monkeypatch.setattr("seqprep.ingest.hash_files", hash_then_change)
    with pytest.raises(InputError, match=r"neg/a.txt: changed while it was read; run again"):
        ingest(source, dataset="d", store=tmp_path / "store")
    assert Table(tmp_path / "store" / "d" / "sequences").version() is None
    assert not list((tmp_path / "store").rglob("*.parquet"))
