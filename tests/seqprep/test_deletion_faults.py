"""A removal or a collection that dies anywhere leaves whole versions, and a rerun finishes it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from seqprep.table import Table
from seqprep.upkeep.collect import collect
from seqprep.upkeep.gone import gone_reason
from seqprep.upkeep.removal import remove
from seqprep.upkeep.verification import verify_dataset
from tests.seqprep.test_collect import LATER_S, grow
from tests.sources import stored_rows
from tests.stores import SECRET, SECRET_ID, add_run, documents_of, ingested, prepared, stored_texts
from tests.watched import DIED, die_at, die_everywhere

WORK = """
import pathlib, shutil
import seqprep.delta_log as log
from seqprep.upkeep.collect import collect
from seqprep.upkeep.removal import remove
from tests.stores import SECRET_ID
root, what, later = pathlib.Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
os.replace, os.fsync = watched(os.replace), watched(os.fsync)
pathlib.Path.unlink = watched(pathlib.Path.unlink)
pathlib.Path.touch, shutil.rmtree = watched(pathlib.Path.touch), watched(shutil.rmtree)
log.DeltaTable.create_write_transaction = watched(log.DeltaTable.create_write_transaction)

def work(point):
    folder = root / f"at{point}" / "store" / "d"
    if what == "remove":
        remove(folder, ids=[SECRET_ID], erase=True, models=True, apply=True)
    else:
        collect(folder, keep=1, apply=True, now_s=later)
"""


def die_on_copies(root: Path, what: str, points: list[int]) -> list[int]:
    """Do it on a copy of the store for each point, and die there; the exit statuses."""
    for point in points:
        shutil.copytree(root / "whole", root / f"at{point}")
    return die_at(points, WORK, root, what, LATER_S)


def whole_versions(folder: Path) -> None:
    """Every version that is not gone is whole."""
    for log in folder.glob("*/_delta_log"):
        table = Table(log.parent)
        for version, _, _ in table.history():
            if gone_reason(table.path, version) is None:
                table.verify(version)


def files_of(folder: Path) -> set[str]:
    names = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {path.relative_to(folder).as_posix() for path in names}


def check_removal(root: Path, points: list[int]) -> list[int]:
    whole = root / "whole"
    ingested(whole, documents_of())
    add_run(whole, prepared(whole))
    ingested(whole, {"pos/new-1.txt": "new words"})
    prepared(whole)
    old = stored_rows(whole / "store", "d")
    new = [row for row in old if row["id"] != SECRET_ID]
    codes = die_on_copies(root, "remove", points)
    for point in points:
        store = root / f"at{point}" / "store"
        assert stored_rows(store, "d") in (old, new), point
        again = remove(store / "d", ids=[SECRET_ID], erase=True, models=True, apply=True)
        assert again.applied and stored_rows(store, "d") == new, point
        assert not [path for path, text in stored_texts(store) if SECRET in text], point
        assert not list((store / "d" / "models").iterdir()), point
        assert verify_dataset(store / "d").problems == [], point
        assert prepared(root / f"at{point}").rows, point
        shutil.rmtree(root / f"at{point}")
    return codes


def check_collection(root: Path, points: list[int]) -> list[int]:
    whole = root / "whole"
    grow(whole, 3)
    old = stored_rows(whole / "store", "d")
    shutil.copytree(whole, root / "done")
    collect(root / "done" / "store" / "d", keep=1, apply=True, now_s=LATER_S)
    codes = die_on_copies(root, "collect", points)
    for point in points:
        folder = root / f"at{point}" / "store" / "d"
        whole_versions(folder)
        assert stored_rows(folder.parent, "d") == old, point
        collect(folder, keep=1, apply=True, now_s=LATER_S)
        assert files_of(folder) == files_of(root / "done" / "store" / "d"), point
        assert verify_dataset(folder).problems == [], point
        shutil.rmtree(root / f"at{point}")
    return codes


CHECKS: dict[str, Any] = {"remove": check_removal, "collect": check_collection}


@pytest.mark.parametrize("what", list(CHECKS))
def test_dying_at_some_points_leaves_nothing_for_a_person(tmp_path: Path, what: str) -> None:
    """A crash would leave a version that looks whole and is not, or a record half erased."""
    codes = CHECKS[what](tmp_path, [0, 3, 11, 26, 41, 55])
    assert codes.count(DIED) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("what", list(CHECKS))
def test_dying_at_any_point_leaves_nothing_for_a_person(tmp_path: Path, what: str) -> None:
    """The one moment that is not safe would be met in the end."""
    codes = die_everywhere(tmp_path, CHECKS[what])
    assert codes == [DIED] * codes.count(DIED) + [0] * codes.count(0)
    assert codes.count(DIED) >= 30 and codes[-1] == 0
