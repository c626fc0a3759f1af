"""Ingest and prepare by the tasks of a runner: the same tables, whatever happens to a task."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from seqprep import parallel
from seqprep.errors import InputError, SeqprepError
from seqprep.ingest import ingest
from seqprep.ingestion import source_chunks
from seqprep.parallel import Json, Runner
from seqprep.preparation import spread
from seqprep.preparation.spill import SpillFolder
from seqprep.prepare import prepare
from seqprep.recipe import Prepare, Tokens
from seqprep.schema import Task
from seqprep.source import Field, Source
from seqprep.table import Table
from tests.sources import write_files
from tests.synthetic import documents, write_sequences
from tests.three_domains import RECIPES, SPLIT, fasta, listed, source_files


@dataclass
class Restless:
    """A runner that runs each task twice, in any order, on copies of what it is given."""

    workers: int
    tasks: list[tuple[str, int]] = field(default_factory=list)

    def ordered(
        self, function: Callable[[Any], Json], items: Sequence[Any], *, what: str
    ) -> Iterator[Json]:
        """Answers in order; tasks run in another one."""
        self.tasks.append((what, len(items)))
        answers: dict[int, str] = {}
        for place in random.Random(1).sample(range(2 * len(items)), 2 * len(items)):
            sent = pickle.loads(pickle.dumps(items[place % len(items)]))
            answers[place % len(items)] = json.dumps(function(sent))
        for place in range(len(items)):
            assert len(answers[place]) < 20_000, "answers must be small"
            yield json.loads(answers[place])


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and tasks of a few records, so that there are several."""
    monkeypatch.setattr(source_chunks, "CHUNK_BYTES", 3_000)
    monkeypatch.setattr(parallel, "LEAST_WEIGHT", 1_000)


def made(
    store: Path,
    source: Source,
    recipe: Prepare,
    runner: Runner | None,
    workers: int | None = None,
) -> list[Any]:
    """Both tables of a store, file by file."""
    ingest(source, dataset="d", store=store, runner=runner, workers=workers)
    prepare(
        dataset="d",
        store=store,
        domain=source.domain,
        task=source.task,
        split=SPLIT,
        recipe=recipe,
        runner=runner,
        workers=workers,
    )
    tables = (Table(store / "d" / name) for name in ("sequences", "examples-default"))
    return [listed(table) for table in tables]


@pytest.mark.parametrize("domain", ["dna", "text", "eeg"])
def test_tasks_make_the_same_files_as_threads(tmp_path: Path, domain: str) -> None:
    """Otherwise a dataset would be another one because a cluster made it."""
    source = source_files(tmp_path / "in", domain)
    here = made(tmp_path / "here", source, RECIPES[domain], None)
    for workers in (1, 2, 8):
        runner = Restless(workers)
        assert made(tmp_path / str(workers), source, RECIPES[domain], runner) == here
        counts = dict(runner.tasks)
        assert set(counts) == {"read files", "read records", "shorten and encode", "write shards"}
        assert all(count > 1 for count in counts.values()) or workers == 1
        assert not list((tmp_path / str(workers) / "d").glob(".spill*"))


@pytest.mark.parametrize("domain", ["dna", "text", "eeg"])
def test_any_number_of_workers_makes_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, domain: str
) -> None:
    """Otherwise a dataset would depend on the machine that made it."""
    monkeypatch.setattr(source_chunks, "PARALLEL_BYTES", 0)  # processes, where they would be used
    source = source_files(tmp_path / "in", domain)
    one, two, eight = (
        made(tmp_path / str(workers), source, RECIPES[domain], None, workers)
        for workers in (1, 2, 8)
    )
    assert one == two == eight
    assert all(len(table) > 1 for table in one)


def test_any_number_of_slots_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a task lie in as many slots as the memory asks for."""
    source = source_files(tmp_path / "in", "eeg")
    here = made(tmp_path / "here", source, RECIPES["eeg"], None)
    monkeypatch.setattr(spread, "count_slots", lambda job, encoding: 5)
    assert made(tmp_path / "there", source, RECIPES["eeg"], Restless(2)) == here


def test_what_is_appended_is_the_same(tmp_path: Path) -> None:
    """New files join with the state that is kept, by tasks as by threads."""
    source = source_files(tmp_path / "in", "text")
    found = []
    for name, runner in (("here", None), ("there", Restless(2))):
        store = tmp_path / name
        for late in range(40, 45):
            (tmp_path / "in" / "a" / f"{late}.txt").unlink(missing_ok=True)
        made(store, source, RECIPES["text"], runner)
        for late in range(40, 45):
            (tmp_path / "in" / "a" / f"{late}.txt").write_text(documents(50, seed=9)[late]["text"])
        found.append(made(store, source, RECIPES["text"], runner))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("task", "recipe"),
    [
        ("translate", Prepare(buckets=2)),
        ("classify", Prepare(steps=({"usefulness": {"by": "chi_squared", "keep": 9}},))),
        ("classify", Prepare(tokens=Tokens(unit="bpe", vocab=256))),
        ("next", Prepare(tokens=Tokens(unit="word", tokenizer="casual"))),
    ],
    ids=["target text", "counts by label", "byte pairs", "slow words"],
)
def test_what_tasks_are_given_reaches_them(tmp_path: Path, task: Task, recipe: Prepare) -> None:
    """Targets, labels and what was fitted travel in files, the rest with the task."""
    records = [{**one, "target_text": " ".join(one["text"].split()[:3])} for one in documents(60)]
    found: list[Any] = []
    for name, runner in (("here", None), ("there", Restless(3))):
        table = write_sequences(tmp_path / name, records, task=task, file_rows=14)
        prepare(
            dataset="synthetic",
            store=tmp_path / name,
            domain="text",
            task=task,
            split=SPLIT,
            recipe=recipe,
            runner=runner,
        )
        found.append(listed(Table(table.path.parent / "examples-default")))
    assert found[0] == found[1]


def test_labels_from_a_table_are_the_same(tmp_path: Path) -> None:
    """Every reader looks values up in the table as it was when the ingest began."""
    files = {f"{n:02d}.fa": fasta(4, seed=n) for n in range(12)}
    lines = [f"{n:02d}.fa,{'xy'[n % 2]}" for n in range(12)]
    write_files(tmp_path / "in", {**files, "labels.csv": "\n".join(["file,label", *lines])})
    label = Field(from_="table", table="labels.csv", key="file", column="label")
    source = Source(domain="dna", path=str(tmp_path / "in"), label=label)
    found = [
        made(tmp_path / name, source, Prepare(buckets=2), runner)
        for name, runner in (("here", None), ("there", Restless(2)))
    ]
    assert found[0] == found[1]


def test_wrong_input_is_the_same_error(tmp_path: Path) -> None:
    """A task's error must say file and line as ever, and leave nothing behind."""
    source = source_files(tmp_path / "in", "dna")
    (tmp_path / "in" / "a" / "99.fa.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"a/99\.fa\.gz"):
        ingest(source, dataset="d", store=tmp_path / "store", runner=Restless(2))
    assert Table(tmp_path / "store" / "d" / "sequences").version() is None
    assert not list((tmp_path / "store" / "d").glob(".spill*"))


def test_a_machine_that_does_not_see_the_store_says_so(tmp_path: Path) -> None:
    """Otherwise a person would look for a missing file that is there."""
    with SpillFolder(tmp_path) as folder:
        shutil.rmtree(folder.path)
        with pytest.raises(SeqprepError, match="see the store under the same path"):
            SpillFolder.at(folder.path)
