"""A prepare that dies at any write, rename or commit leaves the old version whole."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from seqprep.preparation.spill import SpillFolder, collect_spills
from seqprep.snapshot import Snapshot
from seqprep.table import Table
from tests.seqprep.test_prepare import RECIPE, prepared, rows_of
from tests.synthetic import documents, write_sequences
from tests.watched import DIED, die_at

ROOT = Path(__file__).parents[2]
WORK = """
from dataclasses import replace
from pathlib import Path
import seqprep.delta_log as log
from tests.seqprep.test_prepare import RECIPE, prepared
os.replace, os.fsync = watched(os.replace), watched(os.fsync)
log.create_table_with_add_actions = watched(log.create_table_with_add_actions)
log.DeltaTable.create_write_transaction = watched(log.DeltaTable.create_write_transaction)

def work(point):
    prepared(Path(sys.argv[2]) / f"at{point}", recipe=replace(RECIPE, buckets=2))
"""


def check_points(tmp_path: Path, points: range) -> list[int]:
    write_sequences(tmp_path, documents(40))
    first = prepared(tmp_path)
    before = rows_of(first)
    wanted = rows_of(prepared(fresh(tmp_path), recipe=replace(RECIPE, buckets=2)))
    table = Table(tmp_path / "synthetic" / "examples-default")
    for point in points:
        copy_store(tmp_path, tmp_path / f"at{point}")
    codes = die_at(points, WORK, tmp_path)
    for point in points:
        store = tmp_path / f"at{point}"
        table = Table(store / "synthetic" / "examples-default")
        table.verify(first.version)
        copied = replace(first, snapshot=first.snapshot.replace(str(tmp_path), str(store)))
        assert rows_of(copied) == before
        again = prepared(store, recipe=replace(RECIPE, buckets=2))
        assert rows_of(again) == wanted
        assert again.version == first.version + 1
        assert not list((store / "synthetic").glob(".spill*"))
    return codes


def fresh(store: Path) -> Path:
    write_sequences(store / "fresh", documents(40))
    return store / "fresh"


def copy_store(store: Path, target: Path) -> None:
    target.mkdir()
    subprocess.run(["cp", "-r", str(store / "synthetic"), str(target)], check=True)


def test_dying_at_some_points_leaves_the_old_version(tmp_path: Path) -> None:
    """A crash would leave half a version visible, or a rerun give other rows."""
    codes = check_points(tmp_path, range(0, 60, 13))
    assert DIED in codes


@pytest.mark.slow
def test_dying_at_every_point_leaves_the_old_version(tmp_path: Path) -> None:
    """The one moment that is not safe would be met in the end."""
    codes = check_points(tmp_path, range(0, 50))
    assert codes[0] == DIED and codes[-1] == 0


def test_spills_of_dead_runs_are_collected_and_those_of_live_ones_kept(tmp_path: Path) -> None:
    """The disk would fill, or a second run destroy the first one's work."""
    dead = tmp_path / ".spill-dead"
    dead.mkdir()
    (dead / "lock").touch()
    with SpillFolder(tmp_path) as live:
        assert not dead.exists()
        assert collect_spills(tmp_path) == 0
        assert live.path.is_dir()
    assert not list(tmp_path.iterdir())


def test_two_prepares_at_once_give_one_version(tmp_path: Path) -> None:
    """Rows would be doubled, or one run fail with a traceback."""
    write_sequences(tmp_path, documents(60))
    code = (
        "import sys; from pathlib import Path; from tests.seqprep.test_prepare import prepared;"
        "print(prepared(Path(sys.argv[1])).version)"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    outputs = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], outputs
    done = prepared(tmp_path)
    assert done.reused and done.version == 0
    assert sum(view["view"] == 0 for view in rows_of(done)) == 60
    Snapshot.read(Path(done.snapshot)).verify()


FULL = """
import resource, signal, sys
from pathlib import Path
from seqprep.errors import SeqprepError
from seqprep.recipe import Prepare
from tests.seqprep.test_prepare import prepared
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    prepared(Path(sys.argv[1]), recipe=Prepare(buckets=2))
except SeqprepError as error:
    print(error)
    sys.exit(2)
"""


@pytest.mark.parametrize("limit_bytes", [100, 3_000, 12_000])
def test_a_full_disk_is_named_and_the_old_version_stays(tmp_path: Path, limit_bytes: int) -> None:
    """A disk that fills up would leave half a table, or show a traceback."""
    write_sequences(tmp_path, documents(300))
    first = prepared(tmp_path)
    before = rows_of(first)
    command = [sys.executable, "-c", FULL, str(tmp_path), str(limit_bytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert str(tmp_path / "synthetic" / "examples-default") in done.stdout
    assert "are needed there" in done.stdout
    assert rows_of(first) == before
    assert not list((tmp_path / "synthetic").glob(".spill*"))
