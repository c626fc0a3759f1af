"""A store on an S3-compatible server, shared by machines that have nothing else in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from seqprep.errors import CorruptError
from seqprep.ingest import ingest
from seqprep.registry import Registry
from seqprep.stores import push_derived, store_folder
from seqprep.table import ConflictError, Table
from seqprep.upkeep.verification import verify_dataset
from tests.object_store import CUT, CUT_AFTER, ObjectServer
from tests.seqprep.remote.stored import (
    NAME,
    entries,
    fetched_rows,
    ingested_at,
    logged,
    prepared_at,
    rows_at,
)
from tests.seqprep.test_registry import TRAINED
from tests.stores import documents_of, source_of

Machine = Callable[[str], Path]


@pytest.fixture
def store(server: ObjectServer) -> str:
    """An empty store on the server."""
    return f"s3://{server.bucket()}/p"


def bucket_of(store: str) -> str:
    return store.split("/")[2]


def test_another_machine_finds_what_one_has_made(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """Work would be done again, or differently, on each machine."""
    made = ingested_at(store, tmp_path, documents_of())
    examples = prepared_at(store, tmp_path)
    rows = rows_at(store)
    machine("second")
    with server.counted() as requests:
        again = ingested_at(f"{store}/", tmp_path)  # a slash at the end is the same store
        prepared_again = prepared_at(store, tmp_path)
    assert (again.version, again.reused) == (made.version, True)
    assert (prepared_again.version, prepared_again.reused) == (examples.version, True)
    assert prepared_again.rows == examples.rows
    assert {method for method, _, _ in requests} == {"GET"}
    assert rows_at(store) == rows


def test_what_is_stored_names_no_folder_of_a_machine(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A store would only work where its mirror lies as on the machine that wrote it."""
    ingested_at(store, tmp_path, documents_of())
    prepared_at(store, tmp_path)
    push_derived(store_folder(store) / NAME)
    names = server.names(bucket_of(store))
    assert f"p/{NAME}/snapshots/default-v0.json" in names
    for name in names:
        body = server.client.get_object(Bucket=bucket_of(store), Key=name)["Body"].read()
        assert str(tmp_path).encode() not in body, name
        assert b"test-secret" not in body and b"test-key" not in body, name


def test_no_credential_stands_in_a_mirror(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A backup of a home folder would hold a key."""
    ingested_at(store, tmp_path, documents_of())
    for path in machine("first").rglob("*"):
        if path.is_file():
            assert b"test-secret" not in path.read_bytes(), path


def test_delta_readers_read_the_tables_on_the_server(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """Data would be locked in."""
    ingested_at(store, tmp_path, documents_of())
    made = prepared_at(store, tmp_path)
    options = {"endpoint_url": server.url, "allow_http": "true", "aws_region": "us-east-1"}
    found = pl.scan_delta(f"{store}/{NAME}/sequences", storage_options=options).collect()
    ids = {row["id"] for row in rows_at(store)}
    assert set(found["id"]) == ids and found["text"].str.contains("xylophagous").sum() == 1
    table = DeltaTable(f"{store}/{NAME}/examples-default", storage_options=options)
    assert table.count() == sum(made.rows.values())


def test_a_file_is_fetched_once(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """Each training would fetch all data again."""
    ingested_at(store, tmp_path, documents_of())
    machine("second")
    with server.counted() as first:
        rows_at(store)
    assert len(fetched_rows(first)) == 1
    with server.counted() as second:
        rows_at(store)
    assert fetched_rows(second) == []


def test_an_altered_copy_is_fetched_again(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A flipped bit in a cache would stop all work, or go unseen."""
    ingested_at(store, tmp_path, documents_of())
    rows = rows_at(store)
    (path,) = (store_folder(store) / NAME / "sequences").glob("*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert rows_at(store) == rows


def test_an_altered_object_is_refused_by_name_and_not_kept(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A machine would train on rows that nobody committed."""
    ingested_at(store, tmp_path, documents_of())
    rows = rows_at(store)
    bucket = bucket_of(store)
    (name,) = (n for n in server.names(bucket, f"p/{NAME}/sequences/") if n.endswith(".parquet"))
    whole = server.client.get_object(Bucket=bucket, Key=name)["Body"].read()
    altered = bytearray(whole)
    altered[len(altered) // 2] ^= 1
    server.client.put_object(Bucket=bucket, Key=name, Body=bytes(altered))
    machine("second")
    with pytest.raises(CorruptError, match=f"{name}: the bytes are not those that were committed"):
        rows_at(store)
    assert not list((store_folder(store) / NAME / "sequences").glob("*.parquet"))
    server.client.put_object(Bucket=bucket, Key=name, Body=whole)
    assert rows_at(store) == rows


def test_the_one_that_comes_second_conflicts_and_shows_what_came_first(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """Two machines would overwrite each other, or one would go on from a version of its own."""
    one, two = tmp_path / "one", tmp_path / "two"
    ingested_at(store, one, documents_of())
    machine("second")
    ingested_at(store, one)
    stale = store_folder(store, dataset=NAME)
    machine("first")
    ingested_at(store, one, {"pos/new-0.txt": "first"})
    machine("second")
    (two / "in").parent.mkdir()
    (two / "in").symlink_to(one / "in")
    (one / "in" / "pos" / "late-0.txt").write_text("second")
    with pytest.raises(ConflictError, match="run again"):
        ingest(source_of(two), dataset=NAME, store=stale)
    assert entries(stale) == logged(server, bucket_of(store))
    ingested_at(store, two)
    assert {"pos/new-0.txt#0", "pos/late-0.txt#0"} <= {row["id"] for row in rows_at(store)}


def test_a_mirror_drops_what_the_server_lacks(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A version that was never published would be read and built upon on one machine."""
    ingested_at(store, tmp_path, documents_of())
    folder = store_folder(store, dataset=NAME)
    log = folder / NAME / "sequences" / "_delta_log"
    (log / f"{1:020d}.json").write_bytes((log / f"{0:020d}.json").read_bytes())
    assert Table(folder / NAME / "sequences").version() == 1
    store_folder(store, dataset=NAME)
    assert Table(folder / NAME / "sequences").version() == 0
    assert entries(folder) == logged(server, bucket_of(store))


def test_a_commit_that_died_before_it_was_written_here_is_found(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A crash between the server and the mirror would need a person."""
    ingested_at(store, tmp_path, documents_of())
    folder = store_folder(store)
    for name in ("_delta_log", "_seals"):
        (folder / NAME / "sequences" / name / f"{0:020d}.json").unlink()
    again = ingested_at(store, tmp_path)
    assert (again.version, again.reused) == (0, True)
    assert verify_dataset(folder / NAME).problems == []


def test_a_dataset_that_was_deleted_on_the_server_is_made_anew(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """An old mirror would go on from versions that nobody else has."""
    ingested_at(store, tmp_path, documents_of())
    ingested_at(store, tmp_path, {"pos/new-0.txt": "new"})
    stale = store_folder(store)
    for name in server.names(bucket_of(store), f"p/{NAME}/"):
        server.client.delete_object(Bucket=bucket_of(store), Key=name)
    (tmp_path / "in" / "pos" / "more-0.txt").write_text("more")
    with pytest.raises(Exception, match="deleted meanwhile; run again"):
        ingest(source_of(tmp_path), dataset=NAME, store=stale)
    done = ingested_at(store, tmp_path)
    assert (done.version, done.rows) == (0, 22)
    assert list(logged(server, bucket_of(store))) == [f"{0:020d}.json"]


@pytest.mark.parametrize("what", [".parquet", ".json"])
def test_an_upload_that_breaks_off_is_invisible_and_the_next_run_goes_on(
    what: str, store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """Half a version would be seen by readers."""

    def cut(method: str, path: str) -> int | None:
        return CUT if method == "PUT" and path.endswith(what) else None

    with server.failing(cut), pytest.raises(Exception, match="does not answer"):
        ingested_at(store, tmp_path, documents_of())
    assert logged(server, bucket_of(store)) == {}
    machine("second")
    assert ingested_at(store, tmp_path).rows == 20


def test_a_commit_whose_answer_was_lost_counts_once(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """The second try would meet the first one, and pass for a conflict with somebody else."""
    left = [f"{0:020d}.json"]

    def cut(method: str, path: str) -> int | None:
        if method == "PUT" and "_delta_log" in path and left:
            left.pop()
            return CUT_AFTER
        return None

    with server.failing(cut):
        registry = Registry(store_folder(store) / NAME)
        registry.add(lambda before: replace(TRAINED, run="a"))
    assert not left
    assert [one.run for one in registry.events()] == ["a"]


def test_passing_faults_are_tried_again(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """One busy moment of the server would end a night's work."""
    seen: list[str] = []

    def sometimes(method: str, path: str) -> int | None:
        seen.append(path)
        return (None, 503, None, CUT, None)[len(seen) % 5]

    with server.failing(sometimes):
        assert ingested_at(store, tmp_path, documents_of()).rows == 20
    assert rows_at(store) and len(seen) > 10


@pytest.mark.slow
def test_events_of_two_machines_are_all_kept(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A model that was trained elsewhere would be forgotten."""
    for number in range(3):
        for name in ("first", "second"):
            machine(name)
            # As it stood when the machine looked last: the other one has written since.
            registry = Registry(store_folder(store) / NAME)
            registry.add(lambda before, run=f"{name}{number}": replace(TRAINED, run=run))
    machine("third")
    registry = Registry(store_folder(store, dataset=NAME) / NAME)
    runs = [one.run for one in registry.events()]
    assert sorted(runs) == sorted(f"{n}{i}" for i in range(3) for n in ("first", "second"))


@pytest.mark.slow
def test_checkpoints_of_the_log_reach_the_server_and_other_machines(
    store: str, server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A long log would be read entry by entry for ever, or its checkpoint would be a lie."""
    registry = Registry(store_folder(store) / NAME)
    for number in range(101):
        registry.add(lambda before, run=f"r{number}": replace(TRAINED, run=run))
    names = server.names(bucket_of(store), f"p/{NAME}/registry/_delta_log/")
    assert any(name.endswith("_last_checkpoint") for name in names)
    options = {"endpoint_url": server.url, "allow_http": "true", "aws_region": "us-east-1"}
    assert DeltaTable(f"{store}/{NAME}/registry", storage_options=options).count() == 101
    machine("second")
    folder = store_folder(store, dataset=NAME) / NAME
    assert len(Registry(folder).events()) == 101
    assert verify_dataset(folder).problems == []
    assert os.listdir(folder / "registry" / "_seals")
