"""A prepare that dies or finds no room at any write leaves the old version whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from deltalake.exceptions import CommitFailedError, DeltaError

from seqprep import delta_log
from seqprep.errors import SeqprepError
from seqprep.preparation.spill import SpillFolder, collect_spills
from seqprep.prepare import Prepared
from seqprep.snapshot import Snapshot
from seqprep.table import Table
from seqprep.upkeep.removal import remove
from tests import stores
from tests.seqprep.test_ingest_faults import fail_at
from tests.seqprep.test_prepare import RECIPE, prepared, rows_of
from tests.synthetic import documents, write_sequences
from tests.watched import DIED, die_at

ROOT = Path(__file__).parents[2]
WORK = """
from pathlib import Path
import seqprep.delta_log as log
from tests.seqprep.test_prepare_faults import CASES
root, case = Path(sys.argv[2]), CASES[sys.argv[3]]
os.replace, os.fsync = watched(os.replace), watched(os.fsync)
log.create_table_with_add_actions = watched(log.create_table_with_add_actions)
log.DeltaTable.create_write_transaction = watched(log.DeltaTable.create_write_transaction)

def work(point):
    case.again(root / f"at{point}")
"""
FAILING_WORK = """
from seqprep.preparation import version, work as passes
from tests.seqprep.test_prepare_faults import CASES
root, case = Path(sys.argv[2]), CASES[sys.argv[3]]
version.COLUMNS_SHARE = passes.HELD_SHARE = 10**12  # so that all of it lies on disk meanwhile

def work(point):
    tell(root / f"told{point}", lambda: case.again(root / f"at{point}"))
"""
GROWING = replace(stores.RECIPE, steps=RECIPE.steps, shard_bytes=1500)


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A prepare under test.

    Args:
        folder: of the dataset, in the store. begin: what is there before.
        again: what may die. check: that it was what it should be: the table, and what it said.
    """

    folder: str
    begin: Callable[[Path], Prepared]
    again: Callable[[Path], Prepared]
    check: Callable[[Table, Prepared], None]

    def table(self, root: Path) -> Table:
        """Of the examples."""
        return Table(root / self.folder / "examples-default")


def begin_whole(root: Path) -> Prepared:
    write_sequences(root, documents(40))
    return prepared(root)


def other_buckets(root: Path) -> Prepared:
    return prepared(root, recipe=replace(RECIPE, buckets=2))


def all_is_new(table: Table, done: Prepared) -> None:
    assert (done.frozen_from, done.added, done.removed) == (None, 40, 0)
    assert example_rows(table, 0) != example_rows(table, 1)


def begin_growing(root: Path) -> Prepared:
    """Prepared, and since then a new file, a changed one and a withdrawn record."""
    stores.ingested(root, stores.documents_of())
    done = stores.prepared(root, GROWING)
    more = {"pos/zoe-0.txt": "common text of zoe", "pos/bob-0.txt": "changed text of bob"}
    stores.ingested(root, more)
    remove(root / "store" / "d", ids=["neg/cyd-0.txt#0"], apply=True)
    return done


def joining(root: Path) -> Prepared:
    return stores.prepared(root, GROWING)


def some_shards_are_new(table: Table, done: Prepared) -> None:
    assert (done.frozen_from, done.added, done.removed) == (0, 2, 2)
    ids = {row["id"] for row in example_rows(table)}
    assert "pos/zoe-0.txt#0" in ids and "neg/cyd-0.txt#0" not in ids
    old, new = ({file.path for file in table.files(version)} for version in (0, 1))
    assert old & new and old - new, "some shards stay, others lose rows"
    written = [row for row in example_rows(table) if row["path"] in new - old]
    joined = {"pos/zoe-0.txt#0", "pos/bob-0.txt#0"}
    assert {row["id"] for row in written} > joined, "what stays of those is written again"


CASES = {
    "everything": Case(
        folder="synthetic", begin=begin_whole, again=other_buckets, check=all_is_new
    ),
    "what is new": Case(
        folder="store/d", begin=begin_growing, again=joining, check=some_shards_are_new
    ),
}
EACH = pytest.mark.parametrize("name", list(CASES))


def example_rows(table: Table, version: int | None = None) -> list[dict[str, Any]]:
    """All rows of a version, verified, in the order of its files; each with the file's path."""
    return [
        {**row, **file.partition, "path": file.path}
        for file, group in table.row_groups(version)
        for row in table.read_group(file, group).to_pylist()
    ]


def begun(root: Path, case: Case, points: Sequence[int]) -> tuple[Any, Any]:
    """A store for each point, and the rows before and after the prepare under test."""
    case.begin(root / "whole")
    for name in ("calm", *(f"at{point}" for point in points)):
        copy_store(root / "whole", root / name)
    old = example_rows(case.table(root / "whole"))
    case.check(case.table(root / "calm"), case.again(root / "calm"))
    return old, example_rows(case.table(root / "calm"))


def check_again(root: Path, case: Case, new: Any) -> None:
    """Running again ends as a run that nothing disturbed, and leaves nothing of content behind."""
    again = case.again(root)
    assert again.version == 1
    assert example_rows(case.table(root)) == new
    Snapshot.read(Path(again.snapshot)).verify()
    # A `.spilling-` folder, whose lock could not be written, is empty and goes a day later.
    assert not list((root / case.folder).glob(".spill-*"))


def check_points(root: Path, case: Case, name: str, points: range) -> list[int]:
    old, new = begun(root, case, points)
    codes = die_at(points, WORK, root, name)
    for point in points:
        table = case.table(root / f"at{point}")
        table.verify(0)
        assert example_rows(table, 0) == old, point
        assert example_rows(table) in (old, new), point
        check_again(root / f"at{point}", case, new)
    return codes


def check_failing(root: Path, case: Case, name: str, points: range) -> list[str | None]:
    old, new = begun(root, case, points)
    told = fail_at(points, FAILING_WORK, root, name)
    for point, message in zip(points, told, strict=True):
        table = case.table(root / f"at{point}")
        if message is not None:
            assert str(table.path) in message and "needed there" in message, message
            assert "\n" not in message and "No space left" in message, message
        undone = message is not None and message.endswith("Nothing was changed")
        assert undone or message is None or "but its snapshot" in message, message
        assert example_rows(table) == (old if undone else new), f"point {point}: {message}"
        assert example_rows(table, 0) == old, f"point {point}: {message}"
        assert not list((root / f"at{point}").rglob(".*.tmp")), f"point {point}"
        check_again(root / f"at{point}", case, new)
    failed = len(told) - told.count(None)
    assert None not in told[:failed]
    return told


def copy_store(store: Path, target: Path) -> None:
    subprocess.run(["cp", "-r", str(store), str(target)], check=True)


@EACH
def test_dying_at_some_points_leaves_the_old_version(tmp_path: Path, name: str) -> None:
    """A crash would leave half a version visible, or a rerun give other rows."""
    codes = check_points(tmp_path, CASES[name], name, range(0, 60, 13))
    assert DIED in codes


@pytest.mark.slow
@EACH
def test_dying_at_every_point_leaves_the_old_version(tmp_path: Path, name: str) -> None:
    """The one moment that is not safe would be met in the end."""
    codes = check_points(tmp_path, CASES[name], name, range(0, 60))
    assert codes[0] == DIED and codes[-1] == 0


@EACH
def test_a_disk_that_is_full_at_some_points_is_named(tmp_path: Path, name: str) -> None:
    """A write that nobody thought of would show a traceback, or leave half a version."""
    told = check_failing(tmp_path, CASES[name], name, range(0, 110, 14))
    assert len(told) > told.count(None) + 3 and told[-1] is None


@pytest.mark.slow
@EACH
def test_a_disk_that_is_full_at_any_point_is_named(tmp_path: Path, name: str) -> None:
    """The one write whose failure is not told would be met in the end."""
    told = check_failing(tmp_path, CASES[name], name, range(0, 120))
    assert len(told) > told.count(None) + 40 and told[-1] is None


@pytest.mark.parametrize("kind", [CommitFailedError, DeltaError])
def test_a_commit_that_delta_refuses_is_told_in_one_line(
    tmp_path: Path, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of delta-rs that is no lost race would be shown as a traceback."""
    begin_growing(tmp_path)
    tables = [Table(tmp_path / "store" / "d" / name) for name in ("sequences", "examples-default")]
    old = [example_rows(table) for table in tables]

    def refused(*args: object, **options: object) -> None:
        raise kind("Kernel error\n  \x1b[31m↳\x1b[0m the disk says no\n")

    monkeypatch.setattr(delta_log.DeltaTable, "create_write_transaction", refused)
    works = [lambda: stores.ingested(tmp_path, {"pos/yan-0.txt": "y"}), lambda: joining(tmp_path)]
    for table, work in zip(tables, works, strict=True):
        with pytest.raises(SeqprepError, match="commit failed: Kernel error: the disk") as caught:
            work()
        told = str(caught.value)
        assert told.startswith(f"{table.path}: ") and told.endswith("Nothing was changed")
        assert told.isprintable()
    assert [example_rows(table) for table in tables] == old


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
