"""The registry: who is current, and nothing that happened is lost or changed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from seqprep.errors import SeqprepError
from seqprep.registry import SCHEMA, Event, Registry, now_ms, standing
from seqprep.upkeep.collect import collect
from seqprep.upkeep.verification import verify_dataset
from tests.synthetic import documents, write_sequences

TRAINED = Event(
    at_ms=1,
    event="trained",
    run="words-1",
    recipe="words",
    bundle="00",
    snapshot="11",
    sequences_version=0,
    examples_version=3,
    validation='{"accuracy": 0.5}',
    test="{}",
    by="policy",
    why="",
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    write_sequences(tmp_path, documents(3), dataset="words")
    yield tmp_path / "words"


def happened(folder: Path, *events: tuple[str, str]) -> Registry:
    """A registry in which these events happened to these runs."""
    registry = Registry(folder)
    for kind, run in events:
        registry.add(lambda _, kind=kind, run=run: replace(TRAINED, event=kind, run=run))  # type: ignore[misc]
    return registry


def test_the_last_promoted_model_that_was_not_taken_back_is_current(folder: Path) -> None:
    """Prediction by name would answer with a model that somebody had withdrawn."""
    registry = happened(folder)
    assert registry.current() is None and registry.events() == ()
    for kind, run, current in (
        ("trained", "a", None),
        ("promoted", "a", "a"),
        ("trained", "b", "a"),
        ("promoted", "b", "b"),
        ("promoted", "a", "a"),
        ("rolled_back", "a", "b"),
        ("rolled_back", "b", "a"),
        ("promoted", "c", "c"),
    ):
        happened(folder, (kind, run))
        found = registry.current()
        assert (found and found.run) == current, (kind, run)
    assert [one.run for one in standing(registry.events())] == ["a", "c"]


def test_any_reader_of_delta_reads_it(folder: Path) -> None:
    """A person looks at it with the tools that they have."""
    registry = happened(folder, ("trained", "a"), ("promoted", "a"))
    frame = pl.read_delta(str(registry.table.path))
    assert frame.columns == SCHEMA.names
    assert frame["event"].to_list() == ["trained", "promoted"]
    assert [Event(**row) for row in frame.to_dicts()] == list(registry.events())


def test_many_writers_lose_and_double_nothing(folder: Path) -> None:
    """Two schedules that end at once must both be heard."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: happened(folder, ("trained", f"r{number}")), range(24)))
    registry = Registry(folder)
    assert sorted(one.run for one in registry.events()) == sorted(f"r{n}" for n in range(24))
    assert len(list(registry.table.path.glob("*.parquet"))) == 24  # none of those that came second


def test_what_is_to_be_said_is_asked_again_where_somebody_came_first(folder: Path) -> None:
    """Two first models would both become current by themselves."""
    registry = Registry(folder)
    asked: list[int] = []

    def first(before: tuple[Event, ...]) -> Event | None:
        asked.append(len(before))
        if not before:
            happened(folder, ("promoted", "other"))
        return None if before else replace(TRAINED, event="promoted")

    assert registry.add(first) is None
    assert asked == [0, 1]
    assert [one.run for one in registry.events()] == ["other"]


def test_a_model_that_is_not_registered_is_refused_with_those_that_are(folder: Path) -> None:
    """A name typed wrong is put right by the list."""
    registry = happened(folder, ("trained", "a"), ("trained", "b"))
    with pytest.raises(SeqprepError, match=r"words: no model 'c' is registered, but a, b"):
        registry.trained("c")
    assert registry.trained("b").run == "b"


def test_it_is_verified_and_never_collected(folder: Path) -> None:
    """What `gc` took would leave a table that nobody can read; a changed byte must be named."""
    registry = happened(folder, *(("trained", f"r{number}") for number in range(4)))
    files = sorted(registry.table.path.glob("*.parquet"))
    old = time.time() - 10 * 24 * 3600
    for path in folder.rglob("*"):
        os.utime(path, (old, old))
    done = collect(folder, keep=1, apply=True, now_s=now_ms() / 1000)
    assert done.applied and not done.files
    assert len(registry.events()) == 4 and sorted(registry.table.path.glob("*.parquet")) == files
    assert not verify_dataset(folder).problems
    data = bytearray(files[0].read_bytes())
    data[len(data) // 2] ^= 1
    files[0].write_bytes(data)
    assert any(files[0].name in problem for problem in verify_dataset(folder).problems)


def test_what_a_writer_left_when_it_died_is_collected(folder: Path) -> None:
    """Files that no commit lists would stay for ever."""
    registry = happened(folder, ("trained", "a"))
    (path,) = registry.table.path.glob("*.parquet")
    left = [path.with_name(f"x{path.name}"), path.with_name(".events-ab.tmp")]
    old = time.time() - 10 * 24 * 3600
    for one in left:
        one.write_bytes(path.read_bytes())
        os.utime(one, (old, old))
    collect(folder, keep=1, apply=True)
    assert not any(one.exists() for one in left) and path.exists()
