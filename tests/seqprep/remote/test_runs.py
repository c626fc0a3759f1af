"""Folders of trainings, and what is sent again, on a store that other machines use, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seqprep.remote import publish
from seqprep.remote.mirror import mirror_of
from seqprep.remote.sync import push_files
from seqprep.stores import store_folder
from tests.object_store import ObjectServer

Machine = Callable[[str], Path]


@pytest.fixture
def folder(server: ObjectServer, machine: Machine) -> Path:
    """The dataset's folder in the mirror of an empty store."""
    return store_folder(f"s3://{server.bucket()}/p", dataset="d") / "d"


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    return path


def test_a_training_that_was_deleted_on_the_server_goes_here_too(folder: Path) -> None:
    """A model that somebody took away would live on, and be found, on every other machine."""
    mirror = mirror_of(folder)
    assert mirror is not None
    kept, gone, own = (written(folder / "models" / run / "report.json") for run in "abc")
    push_files(mirror, [kept, gone])
    store_folder(folder, dataset="d")
    assert kept.is_file() and gone.is_file() and own.is_file()
    mirror.bucket.delete([mirror.name(gone)])
    store_folder(folder, dataset="d")
    assert kept.is_file() and not gone.parent.exists()
    assert own.is_file(), "a training that is at work here is not on the server yet"


def test_an_old_object_is_sent_again_before_it_is_committed(
    folder: Path, server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's `gc` would take it for a leftover in the moment of the commit."""
    mirror, path = mirror_of(folder), written(folder / "sequences" / "part.parquet")
    assert mirror is not None
    puts = []
    for fresh_s in (publish.FRESH_S, publish.FRESH_S, -60.0):
        monkeypatch.setattr(publish, "FRESH_S", fresh_s)
        with server.counted() as requests:
            publish._send(mirror, [path])
        puts.append(sum(method == "PUT" for method, _, _ in requests))
    assert puts == [1, 0, 1]
