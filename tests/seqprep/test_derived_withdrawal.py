"""What was withdrawn from a dataset leaves the datasets that were made from its records, too."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from seqprep.errors import CorruptError, SeqprepError
from seqprep.ingestion.derived import commit_derived, derived_task, with_attributes
from seqprep.ingestion.withdrawn import STATE, read_withdrawn
from seqprep.prepare import Prepared
from seqprep.recipe import Prepare
from seqprep.stores import store_folder
from seqprep.table import Table
from seqprep.upkeep.collect import collect
from seqprep.upkeep.gone import mark_gone
from seqprep.upkeep.in_use import InUseError, using
from seqprep.upkeep.removal import Removed, remove
from seqprep.upkeep.verification import verify_dataset
from tests.object_store import ObjectServer
from tests.seqprep.remote.stored import NAME, ingested_at
from tests.seqprep.test_collect import LATER_S
from tests.sources import stored_rows
from tests.stores import (
    SECRET,
    SECRET_ID,
    documents_of,
    ingested,
    prepared,
    stored_texts,
)
from tests.watched import DIED, die_at, die_everywhere

WORK = """
import pathlib, shutil
import seqprep.delta_log as log
from seqprep.upkeep.removal import remove
from tests.stores import SECRET_ID
root = pathlib.Path(sys.argv[2])
os.replace, os.fsync = watched(os.replace), watched(os.fsync)
pathlib.Path.unlink = watched(pathlib.Path.unlink)
pathlib.Path.touch, shutil.rmtree = watched(pathlib.Path.touch), watched(shutil.rmtree)
log.DeltaTable.create_write_transaction = watched(log.DeltaTable.create_write_transaction)

def work(point):
    folder = root / f"at{point}" / "store" / "d"
    remove(folder, ids=[SECRET_ID], erase=True, models=True, apply=True)
"""


def coded(root: Path, name: str = "codes", *, of: str = "d", by: str = "one") -> int:
    """Make a dataset from the records of another one, whose words stay beside the values."""
    return coded_in(root / "store", name, of=of, by=by)


def coded_in(store: Path, name: str = "codes", *, of: str = "d", by: str = "one") -> int:
    """The same in a store that lies anywhere."""
    table, origin = Table(store / name / "sequences"), Table(store / of / "sequences")
    version = origin.version()
    assert version is not None
    return commit_derived(
        table,
        _rows(origin, version),
        origin=origin,
        version=version,
        task=derived_task(origin, version),
        channels=["code_0"],
        made_by={"kind": "test", "by": by},
    )


def _rows(origin: Table, version: int) -> Iterator[pa.Table]:
    for place in origin.row_groups(version):
        rows = origin.read_group(*place)
        count, word = len(rows), "text" if "text" in rows.column_names else "attributes"
        words = [{"of": told} for told in rows[word].to_pylist()]
        names = ("id", "name", "group", "label", "source", "record", "content_hash")
        columns = {name: rows[name] for name in names}
        columns["values"] = pa.array(
            [[1.0, float(n)] for n in range(count)], pa.list_(pa.float32())
        )
        columns["length"] = pa.array([2] * count, pa.int32())
        columns["attributes"] = with_attributes([None] * count, words)
        yield pa.table(columns)


def prepared_codes(root: Path, name: str = "codes") -> Prepared:
    recipe = Prepare(scale="none", buckets=1)
    return prepared(root, recipe, dataset=name, domain="eeg")


def trained_on(root: Path, done: Prepared, name: str) -> Path:
    """The folder of a training on codes, as far as data is concerned."""
    folder = root / "store" / name / "models" / "run"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"snapshot": done.snapshot}))
    (folder / "lock").touch()
    return folder


def ids(root: Path, name: str = "codes") -> set[str]:
    return {row["id"] for row in stored_rows(root / "store", name)}


def holding(root: Path, text: str) -> list[str]:
    return [str(path) for path, content in stored_texts(root / "store") if text in content]


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def removed(root: Path, name: str = "d", **options: Any) -> Removed:
    options = {"ids": [SECRET_ID], "apply": True, **options}
    return remove(root / "store" / name, **options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset, codes of it, codes of these codes, and a stranger with the same ids."""
    ingested(tmp_path, documents_of())
    prepared(tmp_path)
    coded(tmp_path)
    coded(tmp_path, "deep", of="codes")
    shutil.copytree(tmp_path / "store" / "d", tmp_path / "store" / "other")
    return tmp_path


def test_what_was_withdrawn_from_codes_stays_out_of_the_next_ones(root: Path) -> None:
    """Making the codes again would bring a person back and lose the list."""
    removed(root, "codes", apply=True)
    assert SECRET_ID not in ids(root) and SECRET_ID in ids(root, "d")
    table = Table(root / "store" / "codes" / "sequences")
    assert (coded(root), table.version()) == (1, 1)  # they are there
    ingested(root, {"pos/new-0.txt": "new words"})
    assert coded(root) == 2 and "pos/new-0.txt#0" in ids(root)
    assert coded(root, by="another model") == 3
    assert SECRET_ID not in ids(root) and len(ids(root)) == 20
    info = table.info()
    assert read_withdrawn(table, info).ids == (SECRET_ID,)
    assert (info.counts["rows"], info.counts["rejections"]) == (20, {"withdrawn": 1})
    assert info.counts["labels"] == {"neg": 9, "pos": 11}
    told = [json.loads(line) for line in table.state.get(info.state["rejections"]).splitlines()]
    assert [(line["source"], line["detail"]) for line in told] == [
        ("neg/ann-0.txt", "this id was withdrawn")
    ]


def test_codes_without_a_withdrawn_record_are_what_a_withdrawal_leaves(root: Path) -> None:
    """The same rows would be taken for others, and all that was made of them made again."""
    table = Table(root / "store" / "codes" / "sequences")
    removed(root, "codes")
    left, mark = stored_rows(root / "store", "codes"), table.info().fingerprint
    for file in table.files():  # lost, so the codes are made again
        (table.path / file.path).unlink()
    assert coded(root) == 2
    assert stored_rows(root / "store", "codes") == left and table.info().fingerprint == mark


def test_no_codes_are_made_without_the_list(root: Path) -> None:
    """A lost file would bring every withdrawn record back."""
    removed(root, "codes")
    table = Table(root / "store" / "codes" / "sequences")
    (table.state.path / table.info().state[STATE]).unlink()
    with pytest.raises(CorruptError, match="list of withdrawn records is missing or altered"):
        coded(root)


def test_a_withdrawal_reaches_all_that_was_made_from_the_record(root: Path) -> None:
    """A person who withdrew would be trained on as codes."""
    stranger = contents(root / "store" / "other")
    done = removed(root)
    assert [(one.dataset, one.records, one.version) for one in (done, *done.derived)] == [
        ("d", 1, 1),
        ("codes", 1, 1),
        ("deep", 1, 1),
    ]
    for name in ("d", "codes", "deep"):
        assert SECRET_ID not in ids(root, name) and len(ids(root, name)) == 19
    assert contents(root / "store" / "other") == stranger  # but for the same ids no kin
    # Older versions keep it, as those of the dataset do.
    assert len(stored_rows(root / "store", "codes", 0)) == 20
    for name, of in (("codes", "d"), ("deep", "codes"), ("late", "d")):
        coded(root, name, of=of, by="another model")
        assert SECRET_ID not in ids(root, name) and len(ids(root, name)) == 19
    assert removed(root).version == 1


def test_groups_and_copies_leave_codes_as_they_leave_the_dataset(tmp_path: Path) -> None:
    """The content would stay in codes under another name."""
    files = documents_of()
    ingested(tmp_path, {**files, "pos/kim-0.txt": files["neg/ann-0.txt"]})
    coded(tmp_path)
    done = removed(tmp_path, groups=["bob"])
    assert (done.records, done.copies) == (4, 1)
    assert [(one.records, one.copies) for one in done.derived] == [(4, 1)]
    assert ids(tmp_path) == ids(tmp_path, "d") and len(ids(tmp_path)) == 17


def test_without_apply_nothing_changes_and_codes_are_named(root: Path) -> None:
    """A person could not see what else goes, or a look would already change it."""
    trained_on(root, prepared_codes(root), "codes")
    before = contents(root)
    for erase in (False, True):
        told = removed(root, apply=False, erase=erase)
        assert [(one.dataset, one.records, one.applied) for one in told.derived] == [
            ("codes", 1, False),
            ("deep", 1, False),
        ]
        assert [model.name for model in told.derived[0].models] == ["run"]
        assert told.derived[0].examples_versions == {"default": (0,)}
        assert (told.derived[0].files > 0) == erase
    assert contents(root) == before


def test_erasing_leaves_no_byte_of_the_record_in_codes(root: Path) -> None:
    """What was made of a withdrawn text would live on beside the dataset."""
    shutil.rmtree(root / "store" / "other")
    run = trained_on(root, prepared_codes(root), "codes")
    prepared_codes(root, "deep")
    coded(root, by="another model")  # an older version holds the record, too
    assert len([name for name in holding(root, SECRET) if "codes" in name]) >= 2
    done = removed(root, erase=True, models=True)
    assert holding(root, SECRET) == []
    assert not [name for name in holding(root, SECRET_ID) if name.endswith(".parquet")]
    assert done.derived[0].models_deleted == ("run",) and not run.exists()
    assert done.derived[0].sequences_versions == (0, 1)
    for name in ("d", "codes", "deep"):
        assert verify_dataset(root / "store" / name).problems == []
        assert len(ids(root, name)) == 19
    assert sum(prepared_codes(root).rows.values()) == 19
    assert removed(root, erase=True).derived == ()


def test_a_record_that_codes_alone_still_hold_can_be_withdrawn(tmp_path: Path) -> None:
    """A record that was pruned and collected would stay in codes, out of reach."""
    ingested(tmp_path, documents_of())
    coded(tmp_path)
    (tmp_path / "in" / "neg" / "ann-0.txt").unlink()
    ingested(tmp_path, prune=True)
    collect(tmp_path / "store" / "d", keep=1, apply=True, now_s=LATER_S)
    done = removed(tmp_path, erase=True)
    assert (done.records, [one.records for one in done.derived]) == (0, [1])
    assert holding(tmp_path, SECRET) == []
    # Its content is refused, too, though only the codes still told what it was.
    again = ingested(tmp_path, {"pos/zed-0.txt": f"common {SECRET} text"})
    assert again.rejections == {"withdrawn": 1}


def test_codes_without_the_record_are_left_alone(tmp_path: Path) -> None:
    """Each withdrawal would make versions of every dataset of the store."""
    files = documents_of()
    secret = files.pop("neg/ann-0.txt")
    ingested(tmp_path, files)
    coded(tmp_path)
    ingested(tmp_path, {"neg/ann-0.txt": secret})
    (tmp_path / "store" / "codes" / "notes.csv").write_text("a person's own")
    before = contents(tmp_path / "store" / "codes")
    for erase in (False, True):
        assert removed(tmp_path, erase=erase).derived == ()
    after = contents(tmp_path / "store" / "codes")
    assert {path: data for path, data in after.items() if path.name != ".lock"} == before


def test_all_records_of_codes_can_be_withdrawn(tmp_path: Path) -> None:
    """The last person of a dataset could not withdraw, or codes of nobody could not be made."""
    ingested(tmp_path, documents_of("ann bob"))
    coded(tmp_path)
    done = removed(tmp_path, "codes", ids=[], groups=["ann", "bob"], erase=True)
    assert done.records == 4 and ids(tmp_path) == set() and len(ids(tmp_path, "d")) == 4
    coded(tmp_path, by="another model")
    assert ids(tmp_path) == set()
    assert Table(tmp_path / "store" / "codes" / "sequences").info().counts["rows"] == 0


def test_a_run_on_codes_is_not_disturbed_and_nothing_is_half_done(root: Path) -> None:
    """A dataset would have lost the record and its codes not, and a run fail in the middle."""
    run = trained_on(root, prepared_codes(root), "codes")
    handle = os.open(run / "lock", os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(InUseError, match="codes/models/run: a training runs on data"):
        removed(root, erase=True)
    os.close(handle)
    with using(root / "store" / "deep"), pytest.raises(InUseError, match="deep: an ingest"):
        removed(root)
    for name in ("d", "codes", "deep"):
        assert Table(root / "store" / name / "sequences").version() == 0
    assert len(removed(root, erase=True).derived) == 2


def test_codes_are_found_from_within_the_folder(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path without a name would be the origin of nothing."""
    monkeypatch.chdir(root / "store" / "d")
    done = remove(Path(), ids=[SECRET_ID], apply=True)
    assert (done.dataset, [one.dataset for one in done.derived]) == ("d", ["codes", "deep"])


def test_codes_stay_those_of_one_dataset(root: Path) -> None:
    """A record with the id of another dataset's withdrawn one would go without a reason."""
    with pytest.raises(SeqprepError, match="codes was made from d, not from other"):
        coded(root, "codes", of="other")
    with pytest.raises(SeqprepError, match="other is a dataset of ingested records"):
        coded(root, "other", of="d")


def test_a_damaged_log_of_a_stranger_does_not_stand_in_the_way(root: Path) -> None:
    """A withdrawal would have to wait until somebody restores another dataset."""
    shutil.rmtree(root / "in")
    ingested(root, documents_of("ann bob cyd"))
    log = root / "store" / "other" / "sequences" / "_delta_log"
    removed(root, "other", groups=["bob"], ids=[])
    entry = log / f"{0:020d}.json"
    entry.write_bytes(entry.read_bytes().replace(b"fingerprint", b"fingerprimt"))
    assert len(removed(root).derived) == 2
    entry = log / f"{1:020d}.json"
    entry.write_bytes(entry.read_bytes().replace(b"fingerprint", b"fingerprimt"))
    with pytest.raises(CorruptError, match="other"):
        removed(root, groups=["bob"])


def test_codes_that_another_machine_made_are_found_on_the_server(
    server: ObjectServer, machine: Callable[[str], Path], tmp_path: Path
) -> None:
    """A machine that never saw the codes would leave the record in them."""
    bucket = server.bucket()
    store = f"s3://{bucket}/p"
    ingested_at(store, tmp_path, documents_of())
    machine("second")
    coded_in(store_folder(store, dataset=NAME))
    machine("first")
    assert not (store_folder(store) / "codes").exists()
    folder = store_folder(store, dataset=NAME) / NAME
    done = remove(folder, ids=[SECRET_ID], erase=True, apply=True)
    assert [(one.dataset, one.records, one.version) for one in done.derived] == [("codes", 1, 1)]
    for name in server.names(bucket):
        path = tmp_path / "copy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        server.client.download_file(bucket, name, str(path))
    assert [name for name, text in stored_texts(tmp_path / "copy") if SECRET in text] == []
    machine("second")
    second = store_folder(store, dataset="codes")
    rows = stored_rows(second, "codes")
    assert SECRET_ID not in {row["id"] for row in rows} and len(rows) == 19
    assert [name for name, text in stored_texts(second / "codes") if SECRET in text] == []


def test_an_erasure_of_codes_that_died_is_finished(root: Path) -> None:
    """Files of versions that nobody can read would lie there for ever, with the record."""
    shutil.rmtree(root / "store" / "other")
    removed(root)
    for name in ("codes", "deep"):
        mark_gone(root / "store" / name / "sequences", 0, "erased")  # and died
    assert any("codes" in name for name in holding(root, SECRET))
    removed(root, erase=True)
    assert holding(root, SECRET) == []


def whole_store(root: Path) -> tuple[str, ...]:
    """A dataset, codes that were prepared and trained on, and codes of these; their names."""
    ingested(root, documents_of())
    prepared(root)
    coded(root)
    trained_on(root, prepared_codes(root), "codes")
    coded(root, "deep", of="codes")
    return ("d", "codes", "deep")


def store_of_a_copy(root: Path) -> tuple[str, ...]:
    """Codes that hold the record's content under another name alone; the names of both."""
    files = documents_of()
    secret = files.pop("neg/ann-0.txt")
    ingested(root, {**files, "pos/kim-0.txt": secret})
    coded(root)
    prepared_codes(root)
    ingested(root, {"neg/ann-0.txt": secret})
    return ("d", "codes")


def check_deaths(
    root: Path, points: list[int], make: Callable[[Path], tuple[str, ...]]
) -> list[int]:
    """Die at these points of a removal, make codes where it stands, and run it again.

    Returns:
        The exit statuses, and -1 for each point between one dataset and another.
    """
    names = make(root / "whole")
    old = {name: stored_rows(root / "whole" / "store", name) for name in names}
    gone = {SECRET_ID, "pos/kim-0.txt#0"} if make is store_of_a_copy else {SECRET_ID}
    new = {name: [row for row in old[name] if row["id"] not in gone] for name in names}
    for point in points:
        shutil.copytree(root / "whole", root / f"at{point}")
    codes = die_at(points, WORK, root)
    between = 0
    for point in points:
        at = root / f"at{point}"
        states = [stored_rows(at / "store", name) == new[name] for name in names]
        between += len(set(states)) == 2
        for name, is_new in zip(names, states, strict=True):
            assert is_new or stored_rows(at / "store", name) == old[name], (point, name)
        if point % 2 and states[1]:
            coded(at, by="another model")  # meanwhile, by a schedule
            assert not gone & ids(at), point
        again = removed(at, erase=True, models=True)
        assert again.applied and not holding(at, SECRET), point
        for name in names:
            assert {row["id"] for row in new[name]} == ids(at, name), (point, name)
            assert verify_dataset(at / "store" / name).problems == [], (point, name)
        assert not list((at / "store" / "codes").glob("models/*")), point
        assert prepared_codes(at).rows, point
        shutil.rmtree(at)
    return [*codes, *[-1] * between]


STORES = {"whole": whole_store, "copy": store_of_a_copy}


@pytest.mark.parametrize("which", list(STORES))
def test_dying_at_some_points_leaves_nothing_for_a_person(tmp_path: Path, which: str) -> None:
    """A crash between the dataset and its codes would leave the record in one of them."""
    last = {"whole": 152, "copy": 80}[which]
    codes = check_deaths(tmp_path, list(range(0, last, last // 6)), STORES[which])
    assert codes.count(DIED) >= 5 and codes.count(-1) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("which", list(STORES))
def test_dying_at_any_point_leaves_nothing_for_a_person(tmp_path: Path, which: str) -> None:
    """The one moment that is not safe would be met in the end."""
    codes = die_everywhere(tmp_path, lambda root, points: check_deaths(root, points, STORES[which]))
    assert codes.count(DIED) >= 60 and codes.count(-1) >= 20 and 0 in codes
