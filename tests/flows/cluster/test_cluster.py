"""Ingest and prepare on a Dask scheduler and workers that are processes of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from flows.cluster import tasks
from flows.ingest import ingest
from flows.pipeline_file import Pipeline
from flows.prepare import prepare
from seqprep import parallel
from seqprep.errors import SeqprepError
from seqprep.ingestion import source_chunks
from seqprep.table import Table
from tests.flows.cluster.machines import PATIENCE_S, Machines
from tests.flows.stages import ingest_and_prepare
from tests.three_domains import RECIPES, SPLIT, listed, source_files

pytestmark = pytest.mark.slow
TABLES = ("sequences", "examples-default")


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    """Prefect's own temporary server."""
    with prefect_test_harness(server_startup_timeout=240):
        yield


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and tasks of a few records, so that there are several; this process cuts them."""
    monkeypatch.setattr(source_chunks, "CHUNK_BYTES", 3_000)
    monkeypatch.setattr(parallel, "LEAST_WEIGHT", 1_000)


def spec_of(root: Path, domain: str) -> Pipeline:
    source = source_files(root / "in", domain)
    return Pipeline(dataset="d", source=source, split=SPLIT, prepare=RECIPES[domain])


def tables(store: Path) -> list[list[tuple[str, str]]]:
    """(path, SHA-256) of every file of both tables."""
    return [listed(Table(store / "d" / name)) for name in TABLES]


def when_there(store: Path, pattern: str, action: Callable[[], None]) -> threading.Thread:
    """Do something as soon as a task has left a folder in that of a run."""

    def watch() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not list((store / "d").glob(f".spill-*/{pattern}")):
            assert time.monotonic() < deadline, "no task began"
            time.sleep(0.005)
        action()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize("domain", ["dna", "text", "eeg"])
def test_two_workers_make_the_tables_of_one_process(tmp_path: Path, domain: str) -> None:
    """A cluster would make another dataset, or one of its own with every number of workers."""
    spec, store = spec_of(tmp_path, domain), tmp_path / "store"
    ingest_and_prepare(spec, tmp_path / "here")
    with Machines(tmp_path, 2) as machines:
        on = {"pipeline": spec, "store": str(store), "runner": "dask"}
        done = ingest(**on, address=machines.address)
        assert prepare(**on, address=machines.address)["sequences_version"] == done["version"]
    assert tables(store) == tables(tmp_path / "here")


def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    """Its pieces are done again by another one; what it left half is never read."""
    spec, store = spec_of(tmp_path, "dna"), tmp_path / "store"
    ingest_and_prepare(spec, tmp_path / "here")
    with Machines(tmp_path, 3) as machines:
        on = {"pipeline": spec, "store": str(store), "runner": "dask"}
        killing = when_there(store, "results-*", lambda: machines.kill(0))
        ingest(**on, address=machines.address)
        killing.join()
        killing = when_there(store, "slots-*", lambda: machines.kill(1))
        prepare(**on, address=machines.address)
        killing.join()
    assert tables(store) == tables(tmp_path / "here")
    assert not list((store / "d").glob(".spill-*"))


def test_without_workers_a_run_gives_up_and_the_next_one_does_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for ever, or leave half a table."""
    monkeypatch.setattr(tasks, "ALONE_S", 3.0)
    spec, store = spec_of(tmp_path, "text"), tmp_path / "store"
    ingest_and_prepare(spec, tmp_path / "here")
    with Machines(tmp_path, 1) as machines:
        on = {"pipeline": spec, "store": str(store), "runner": "dask"}
        ingest(**on, address=machines.address)
        killing = when_there(store, "read-*", lambda: machines.kill(0))
        with pytest.raises(SeqprepError, match="has had no worker for 3 s"):
            prepare(**on, address=machines.address)
        killing.join()
        assert Table(store / "d" / TABLES[1]).version() is None
        machines.add_worker()
        prepare(**on, address=machines.address)
    assert tables(store) == tables(tmp_path / "here")
