"""A store through any order of what people do to it, beside a model that is a few dictionaries."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from seqprep import splits
from seqprep.errors import ConfigError
from seqprep.schema import SPLITS
from seqprep.table import Table
from seqprep.upkeep.collect import collect
from seqprep.upkeep.gone import gone_reason
from seqprep.upkeep.removal import remove
from seqprep.upkeep.verification import verify_dataset
from tests.sources import stored_rows, write_files
from tests.stores import DAY_S, SPLIT, ingested, prepared, stored_texts

Rows = dict[str, tuple[str, str, str]]
"""Group, label and text of each id."""
PEOPLE = tuple(enumerate(("ann", "bob", "cyd", "dee", "eve", "fay", "gus", "hal", "ivy", "joe")))
NUMBERS = st.integers(0, 9)
TEXTS = st.integers(0, 4)


def parsed(name: str, text: str) -> tuple[str, tuple[str, str, str]]:
    """The id of a document, and what is stored of it."""
    label, file = name.split("/")
    return f"{name}#0", (file.split("-")[0], label, text)


def stored(root: Path, version: int | None = None) -> Rows:
    """What `sequences` holds."""
    rows = stored_rows(root / "store", "d", version)
    return {row["id"]: (row["group"], row["label"], row["text"]) for row in rows}


def expected_examples(rows: Rows) -> dict[str, str]:
    """The split of each record that preparation keeps (CONTRACT 8)."""
    groups = pa.table({"group": [group for group, _, _ in rows.values()]})
    sides = splits.assign(SPLIT, groups).tolist()
    copies: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for side, (id_, (_, _, text)) in zip(sides, rows.items(), strict=True):
        copies[text][side].append(id_)
    kept = {}
    for by_side in copies.values():
        agreed = {
            side: ids for side, ids in by_side.items() if len({rows[id_][1] for id_ in ids}) == 1
        }
        if agreed:
            side = min(agreed)
            kept[min(agreed[side])] = SPLITS[side]
    return kept


class StoreStates(RuleBasedStateMachine):
    """Files come, change and go; people ingest, prepare, withdraw and collect in any order."""

    @initialize()
    def begin(self) -> None:
        """Ten people have a document each."""
        self.root = Path(tempfile.mkdtemp())
        self.files = {f"{'pn'[n % 2]}/{who}-0.txt": f"common {who}{who}" for n, who in PEOPLE}
        self.known: Rows = {}
        self.seen: dict[int, Rows] = {}
        self.withdrawn_ids: set[str] = set()
        self.withdrawn_groups: set[str] = set()
        self.withdrawn_texts: set[str] = set()
        self.erased: set[str] = set()
        write_files(self.root / "in", dict(self.files))
        self.ingest(prune=False)

    @property
    def folder(self) -> Path:
        """Of the dataset."""
        return self.root / "store" / "d"

    @rule(documents=st.lists(st.tuples(NUMBERS, st.sampled_from("pn"), TEXTS), min_size=1))
    def write(self, documents: list[tuple[int, str, int]]) -> None:
        """Files are new, or change; the text of one may be that of another."""
        for person, label, text in documents:
            name = f"{label}/p{person}-0.txt"
            self.files[name] = f"common zz{text}zz"
            write_files(self.root / "in", {name: self.files[name]})

    @precondition(lambda self: len(self.files) > 1)
    @rule(which=NUMBERS)
    def delete(self, which: int) -> None:
        """A file is gone; its rows stay until somebody prunes."""
        name = sorted(self.files)[which % len(self.files)]
        del self.files[name]
        (self.root / "in" / name).unlink()

    @rule(prune=st.booleans())
    def ingest(self, prune: bool) -> None:
        """The table follows the files, and a second run finds nothing to do."""
        before = ingested(self.root, prune=prune).version
        now = dict(parsed(name, text) for name, text in self.files.items())
        every = now if prune else {**self.known, **now}
        self.known = self.accepted(every)
        again = ingested(self.root, prune=prune)
        assert again.reused and again.version == before
        self.seen[before] = self.known

    def accepted(self, rows: Rows) -> Rows:
        """Those that nobody withdrew (CONTRACT 11): not the id, the group or the text."""
        return {
            id_: row
            for id_, row in rows.items()
            if id_ not in self.withdrawn_ids
            and row[0] not in self.withdrawn_groups
            and row[2] not in self.withdrawn_texts
        }

    @rule(refit=st.booleans())
    def prepare(self, refit: bool) -> None:
        """One of equal records stays, on the side where its group always was."""
        expected = expected_examples(self.known)
        examples = Table(self.folder / "examples-default")
        before = examples.version() if self.folder.joinpath("examples-default").exists() else None
        try:
            done = prepared(self.root, refit=refit)
        except ConfigError as error:
            empty = set(SPLITS) - set(expected.values())
            classes = {self.known[id_][1] for id_, side in expected.items() if side == "train"}
            assert empty or len(classes) < 2, error
            assert before is None or examples.version() == before
            return
        rows = DeltaTable(examples.path, version=done.version).to_pyarrow_table()
        assert dict(zip(rows["id"].to_pylist(), rows["split"].to_pylist(), strict=True)) == expected
        assert prepared(self.root, refit=refit).reused

    @precondition(lambda self: len(self.known) > 1)
    @rule(which=NUMBERS, whole_group=st.booleans(), erase=st.booleans())
    def withdraw(self, which: int, whole_group: bool, erase: bool) -> None:
        """A person withdraws: the record as it ever was, its copies, and what comes later."""
        id_ = sorted(self.known)[which % len(self.known)]
        group = self.known[id_][0]
        found = {
            (one, row[2])
            for version, rows in self.seen.items()
            if gone_reason(self.folder / "sequences", version) is None
            for one, row in rows.items()
            if (row[0] == group if whole_group else one == id_)
        }
        ids, texts = {one for one, _ in found}, {text for _, text in found}
        if all(one in ids or row[2] in texts for one, row in self.known.items()):
            return
        names: Any = {"groups": [group]} if whole_group else {"ids": [id_]}
        done = remove(self.folder, **names, erase=erase, apply=True)
        self.withdrawn_ids |= ids
        self.withdrawn_texts |= texts
        if whole_group:
            self.withdrawn_groups.add(group)
        if erase:
            self.erased |= texts
        self.known = self.accepted(self.known)
        assert done.version is not None
        self.seen[done.version] = self.known

    @rule(keep=st.integers(1, 3))
    def give_up_old_versions(self, keep: int) -> None:
        """A day later."""
        collect(self.folder, keep=keep, apply=True, now_s=time.time() + DAY_S)

    @invariant()
    def the_newest_version_holds_what_the_model_holds(self) -> None:
        """Nothing is lost, doubled or come back."""
        assert stored(self.root) == self.known

    @invariant()
    def every_version_is_as_it_was_or_says_that_it_is_gone(self) -> None:
        """What is published never changes."""
        for version, rows in self.seen.items():
            if gone_reason(self.folder / "sequences", version) is None:
                assert stored(self.root, version) == rows

    @invariant()
    def every_byte_is_as_it_was_committed(self) -> None:
        """And no file lies about that nothing names."""
        assert verify_dataset(self.folder).problems == []

    @invariant()
    def what_was_erased_stands_nowhere(self) -> None:
        """Neither in rows nor in states, logs or statistics of columns."""
        words = {text.split()[-1] for text in self.erased}
        for path, content in stored_texts(self.root / "store") if words else ():
            assert not any(word in content for word in words), path

    def teardown(self) -> None:
        """Nothing stays behind."""
        shutil.rmtree(self.root)


TestStoreStates = StoreStates.TestCase
TestStoreStates.settings = settings(
    max_examples=settings().max_examples // 10, stateful_step_count=12, deadline=None
)
