"""Predictions of a folder's files: the rows of each are there once and whole, or not at all."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from seqprep.errors import CorruptError, SeqprepError
from seqprep.inbox.predictions import Predictions
from seqprep.upkeep.collect import collect
from seqprep.upkeep.verification import verify_dataset
from tests.predicted import publish, rows_of, shown, staged
from tests.watched import DIED, die_at


def test_rows_of_a_file_are_added_once(tmp_path: Path) -> None:
    """A file that two looks found would be counted twice."""
    first = publish(tmp_path, {"a": "0", "b": "1"})
    assert first is not None and (first.files, first.rows, first.errors) == (2, 4, 2)
    assert publish(tmp_path, {"a": "0", "b": "1"}) is None
    assert shown(tmp_path) == rows_of({"a": "0", "b": "1"})
    assert len(list((tmp_path / "out" / "predictions").glob("*.parquet"))) == 1


def test_files_that_are_done_are_left_out_of_a_group(tmp_path: Path) -> None:
    """A group that another run did in part would be doubled in part, or lost as a whole."""
    publish(tmp_path, {"a": "0"})
    added = publish(tmp_path, {"a": "0", "b": "1"})
    assert added is not None and added.files == 1
    assert shown(tmp_path) == rows_of({"a": "0", "b": "1"})


def test_other_bytes_take_the_place_of_the_old_rows_in_one_commit(tmp_path: Path) -> None:
    """Otherwise a file that was corrected would have both answers, or none for a moment."""
    publish(tmp_path, {"a": "0", "b": "1"})
    added = publish(tmp_path, {"b": "2"})
    assert added is not None and (added.version, added.replaced) == (1, 1)
    assert shown(tmp_path) == rows_of({"a": "0", "b": "2"})
    info = Predictions(tmp_path / "out").table.info()
    assert info.counts["files"] == 2 and info.counts["added"]["replaced"] == 1


def test_another_model_replaces_rows_only_where_it_is_asked_to(tmp_path: Path) -> None:
    """A new model would answer years of old files again, or never."""
    publish(tmp_path, {"a": "0"})
    assert publish(tmp_path, {"a": "0"}, bundle="two") is None
    assert publish(tmp_path, {"a": "0"}, bundle="two", again=True) is not None
    assert publish(tmp_path, {"a": "0"}, bundle="two", again=True) is None
    publish(tmp_path, {"b": "1"})
    assert shown(tmp_path) == [*rows_of({"a": "0"}, bundle="two"), *rows_of({"b": "1"})]
    info = Predictions(tmp_path / "out").table.info()
    assert info.counts["models"] == {"one": 1, "two": 1}
    assert info.params["bundles"] == {"one": "models/one", "two": "models/two"}


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ({"labels": ["a", "c"]}, "labels a, b, and this model has labels a, c"),
        ({"task": "regress"}, "task classify, and this model has task regress"),
    ],
)
def test_a_model_with_other_answers_is_refused(
    tmp_path: Path, kind: dict[str, object], told: str
) -> None:
    """Probabilities would stand in one column in two orders of labels."""
    publish(tmp_path, {"a": "0"})
    with pytest.raises(SeqprepError, match=rf"{told}; name another place \(--out\)"):
        publish(tmp_path, {"b": "1"}, **kind)
    assert shown(tmp_path) == rows_of({"a": "0"})


def test_files_of_another_folder_are_refused_and_those_of_a_moved_one_taken(tmp_path: Path) -> None:
    """Files of the same name in two folders would take each other's place, again and again."""
    publish(tmp_path, {"a": "0"})
    shutil.move(tmp_path / "out", tmp_path / "other" / "out")
    with pytest.raises(SeqprepError, match=r"holds predictions of the files in .*another place"):
        publish(tmp_path / "other", {"b": "1"})
    (tmp_path / "in").rmdir()
    publish(tmp_path / "other", {"b": "1"})
    assert shown(tmp_path / "other") == rows_of({"a": "0", "b": "1"})


def test_looks_for_years_leave_few_files(tmp_path: Path) -> None:
    """A manifest lists every file of a version: with one for each look it would grow for ever."""
    names = {f"{number:03}": str(number) for number in range(70)}
    for name, sha256 in names.items():
        publish(tmp_path, {name: sha256})
    stored = Predictions(tmp_path / "out")
    assert len(stored.table.files()) <= 8
    assert shown(tmp_path) == rows_of(names)
    groups = sum(stored.table.group_count(part) for part in stored.table.files())
    assert groups <= 2 * len(stored.table.files())
    assert stored.table.verify() > 0


def test_many_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    """A schedule and a person at the same time would double rows, or lose each other's."""
    (tmp_path / "in").mkdir()

    def work(number: int) -> None:
        publish(tmp_path, {str(file % 12): "0" for file in range(number, number + 5)})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(12)))
    assert shown(tmp_path) == rows_of({str(file): "0" for file in range(12)})
    assert not verify_dataset(tmp_path / "out").problems


def test_rows_are_refused_where_a_stored_file_is_damaged(tmp_path: Path) -> None:
    """Damaged rows would be committed again under a new hash."""
    publish(tmp_path, {"a": "0"})
    (path,) = (tmp_path / "out" / "predictions").glob("*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert any(path.name in problem for problem in verify_dataset(tmp_path / "out").problems)
    with pytest.raises(CorruptError, match=path.name):
        publish(tmp_path, {"b": "1"})


def test_old_versions_and_leftovers_are_collected(tmp_path: Path) -> None:
    """The files that were joined, and those of runs that died, would fill the disk."""
    for number in range(6):
        publish(tmp_path, {str(number): "0"})
    lost = staged(Predictions(tmp_path / "out"), {"x": "0"})
    assert collect(tmp_path / "out", keep=1, apply=True).versions == {}
    for path in (tmp_path / "out").rglob("*"):
        os.utime(path, (0, 0))
    done = collect(tmp_path / "out", keep=1, apply=True, now_s=time.time() + 25 * 3600)
    assert done.applied and done.versions == {"predictions": (0, 1, 2, 3, 4)}
    stored = Predictions(tmp_path / "out")
    left = {path.name for path in stored.table.path.glob("*.parquet")}
    assert left == {part.path for part in stored.table.files()} and lost.path not in left
    publish(tmp_path, {"y": "0"})
    assert shown(tmp_path) == rows_of({**{str(number): "0" for number in range(6)}, "y": "0"})
    assert not verify_dataset(tmp_path / "out").problems


WORK = """
from pathlib import Path
import seqprep.delta_log as log
from tests.predicted import publish
root = Path(sys.argv[2])
os.replace, os.fsync, os.unlink = watched(os.replace), watched(os.fsync), watched(os.unlink)
log.create_table_with_add_actions = watched(log.create_table_with_add_actions)
log.DeltaTable.create_write_transaction = watched(log.DeltaTable.create_write_transaction)

def work(point):
    publish(root / str(point), {"b": "2", "c": "3"})
"""
POINTS = 32
"""More than there are."""


@pytest.mark.parametrize(
    "first",
    [pytest.param(True, marks=pytest.mark.slow), False],
    ids=["first commit", "one that replaces"],
)
def test_dying_anywhere_leaves_all_or_nothing_and_a_rerun_mends_it(
    tmp_path: Path, first: bool
) -> None:
    """Otherwise a power cut could leave a file's rows twice, in part, or not at all for ever."""
    old = {} if first else {"a": "0", "b": "1"}
    if old:
        publish(tmp_path / "before", old)
        (tmp_path / "before" / "in").rmdir()
        for point in range(POINTS):
            shutil.copytree(tmp_path / "before", tmp_path / str(point))
    codes = die_at(range(POINTS), WORK, tmp_path)
    assert codes.count(DIED) >= 10 and codes[-1] == 0
    new = rows_of({**old, "b": "2", "c": "3"})
    seen = []
    for point in range(POINTS):
        root = tmp_path / str(point)
        there = Predictions(root / "out").table.version() is not None
        seen.append(shown(root) if there else [])
        assert seen[-1] in (rows_of(old), new), f"point {point}"
        publish(root, {"b": "2", "c": "3"})
        assert shown(root) == new, f"point {point}"
        assert not verify_dataset(root / "out").problems
    assert seen[0] == rows_of(old) and seen[-1] == new


def test_any_reader_of_delta_reads_lists_of_labels(tmp_path: Path) -> None:
    """Labels of steps are lists of texts: a writer that knows only numbers would fail there."""
    publish(tmp_path, {"a": "0"})
    frame = pl.read_delta(str(tmp_path / "out" / "predictions"))
    assert frame.sort("id")["prediction"].to_list() == [["one", "0"], None]
