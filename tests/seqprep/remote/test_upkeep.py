"""Deletions and checks of a store on a server reach every machine that mirrors it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.maintain import verify_path
from seqprep.errors import CorruptError
from seqprep.stores import located, push_derived, store_folder
from seqprep.upkeep.collect import collect
from seqprep.upkeep.removal import remove
from tests.object_store import ObjectServer
from tests.seqprep.remote.stored import NAME, ingested_at, prepared_at, rows_at
from tests.stores import SECRET, SECRET_ID, documents_of, stored_texts

Machine = Callable[[str], Path]
LATER_S = 25 * 3600


@pytest.fixture
def bucket(server: ObjectServer, machine: Machine, tmp_path: Path) -> str:
    """A bucket with a dataset of two versions, which two machines have looked at."""
    name = server.bucket()
    store = f"s3://{name}/p"
    ingested_at(store, tmp_path, documents_of())
    prepared_at(store, tmp_path)
    ingested_at(store, tmp_path, {"neg/bob-0.txt": "other words"})
    prepared_at(store, tmp_path)
    push_derived(store_folder(store) / NAME)
    machine("second")
    ingested_at(store, tmp_path)
    prepared_at(store, tmp_path)
    rows_at(store)
    machine("first")
    return name


def test_what_is_collected_goes_on_the_server_and_on_every_machine(
    bucket: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A store would grow for ever, or a version lose files that it needs."""
    store = f"s3://{bucket}/p"
    before = server.names(bucket)
    folder = store_folder(store, dataset=NAME) / NAME
    told = collect(folder, keep=1, now_s=time.time() + LATER_S)
    assert server.names(bucket) == before
    done = collect(folder, keep=1, apply=True, now_s=time.time() + LATER_S)
    assert done.files == told.files and sum(done.files.values())
    gone = set(before) - set(server.names(bucket))
    assert len(gone) == sum(done.files.values())
    machine("second")
    ingested_at(store, tmp_path)
    assert not {name for name in gone if (store_folder(store) / name[len("p/") :]).exists()}
    assert len(rows_at(store)) == 21
    verify_path(located(Path(store)))


@pytest.mark.slow
def test_young_objects_are_left_to_the_runs_of_other_machines(
    bucket: str, server: ObjectServer, machine: Machine
) -> None:
    """A commit of another machine would lose files that it has just sent."""
    server.client.put_object(Bucket=bucket, Key=f"p/{NAME}/state/{'0' * 64}.json", Body=b"{}")
    folder = store_folder(f"s3://{bucket}/p", dataset=NAME) / NAME
    collect(folder, keep=1, apply=True)
    assert f"p/{NAME}/state/{'0' * 64}.json" in server.names(bucket)
    collect(folder, keep=1, apply=True, now_s=time.time() + LATER_S)
    assert f"p/{NAME}/state/{'0' * 64}.json" not in server.names(bucket)


def test_what_is_erased_stands_nowhere(
    bucket: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A record that must go would stay on the server, or on another machine."""
    store = f"s3://{bucket}/p"
    folder = store_folder(store, dataset=NAME) / NAME
    remove(folder, ids=[SECRET_ID], erase=True, apply=True)
    copy = tmp_path / "copy"
    for name in server.names(bucket):
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        server.client.download_file(bucket, name, str(path))
    machine("second")
    second = store_folder(store, dataset=NAME)
    for place in (copy, folder, second):
        assert [path for path, text in stored_texts(place) if SECRET in text] == []
    prepared_at(store, tmp_path)
    assert SECRET_ID not in {row["id"] for row in rows_at(store)}


@pytest.mark.slow
def test_verify_finds_an_altered_object_and_keeps_the_good_copy(
    bucket: str, server: ObjectServer, machine: Machine
) -> None:
    """Damage on the server would be seen when the last good copy is gone."""
    store = Path(f"s3://{bucket}/p")
    assert verify_path(located(store))["files"] > 10
    name = next(name for name in server.names(bucket) if name.endswith(".parquet"))
    copy = store_folder(store) / name[len("p/") :]
    good = copy.read_bytes()
    bad = bytes([good[0], good[1] ^ 1]) + good[2:]
    server.client.put_object(Bucket=bucket, Key=name, Body=bad)
    with pytest.raises(CorruptError, match=f"s3://{bucket}/{name}: not what its copy here is"):
        verify_path(located(store))
    assert copy.read_bytes() == good
    machine("third")
    with pytest.raises(CorruptError, match="not those that were committed"):
        verify_path(located(store))
