"""An ingest that dies at any write, rename or commit leaves a whole version, old or new."""

from __future__ import annotations

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
OLD = {"neg/a.txt": "bad", "neg/b.txt": "worse", "pos/a.txt": "good"}
NEW = {"neg/b.txt": "dreadful", "pos/b.txt": "best"}


def rows(store: Path) -> list[dict[str, Any]] | None:
    """What a reader sees; None if there is no version yet."""
    table = Table(store / "d" / "sequences")
    if table.version() is None:
        return None
    table.verify()
    return stored_rows(store, "d")


@pytest.mark.parametrize("first", [True, False], ids=["first ingest", "second ingest"])
def test_dying_anywhere_leaves_a_whole_version_and_a_rerun_mends_it(
    tmp_path: Path, first: bool
) -> None:
    """Otherwise a power cut could leave half a dataset that looks like a whole one."""
    source = Source(domain="text", path=str(tmp_path / "in"))
    write_files(tmp_path / "in", OLD)
    for point in range(POINTS) if not first else ():
        if point == 0:
            ingest(source, dataset="d", store=tmp_path / "store0")
        else:
            shutil.copytree(tmp_path / "store0", tmp_path / f"store{point}")
    old = None if first else rows(tmp_path / "store0")
    write_files(tmp_path / "in", NEW)
    ingest(source, dataset="d", store=tmp_path / "whole")
    new = rows(tmp_path / "whole")
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
