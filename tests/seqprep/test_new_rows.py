"""Preparing data that grew or shrank makes only what changed, and gives what a whole run gives."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from seqprep import duplicates
from seqprep.errors import CorruptError
from seqprep.preparation import version
from seqprep.prepare import Prepared
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.table import Table
from seqprep.transforms.windows import Windows
from tests.seqprep.test_prepare import prepared, rows_of
from tests.synthetic import documents, write_sequences

RECIPE = Prepare(
    tokens=Tokens(unit="word"),
    steps=(
        {"summarize": {"drop_top": 2}},
        {"windows": {"length": 6, "stride": 4}},
        {"subsequences": {"piece": 3, "views": 2}},
    ),
    buckets=3,
)
LATER = [{**row, "source": f"later{n}.txt"} for n, row in enumerate(documents(20, seed=5))]
NUMBERS = (
    *("rows", "records", "steps_before", "steps_after", "kept_share", "oov_rate", "emptied"),
    *("lengths_before", "lengths_after", "length_quantiles", "long_shares", "padding_share"),
    *("padding_share_unbucketed", "labels", "duplicates", "conflicting", "left_out", "groups"),
    *("vocab_size", "buckets", "unknown_labels", "outside"),
)


def unordered(done: Prepared) -> list[tuple[Any, ...]]:
    """All rows, whatever shard they lie in."""
    return sorted(tuple((key, str(value)) for key, value in row.items()) for row in rows_of(done))


def made_whole(store: Path, recipe: Prepare, **options: Any) -> Prepared:
    """The newest version made from all records, with the state that is kept, beside the store."""
    other = store.with_name(f"{store.name}-whole")
    shutil.copytree(store, other, dirs_exist_ok=True)
    done = prepared(other, recipe=replace(recipe, shard_bytes="9MB"), **options)
    assert not done.reused
    return done


def check_equal(done: Prepared, whole: Prepared) -> None:
    assert unordered(done) == unordered(whole)
    for name in NUMBERS:
        found, wanted = getattr(done, name), getattr(whole, name)
        assert found == (pytest.approx(wanted) if isinstance(wanted, float) else wanted), name


def shards_of(store: Path) -> dict[str, str]:
    """The hash of every shard of the newest version."""
    table = Table(store / "synthetic" / "examples-default")
    return {
        file.path: hashlib.sha256((table.path / file.path).read_bytes()).hexdigest()
        for file in table.files()
    }


def test_only_new_records_are_made_and_old_shards_stay(tmp_path: Path) -> None:
    """A year of data would be prepared again for a day of new files."""
    first = documents(60)
    write_sequences(tmp_path, first, file_rows=20)
    assert prepared(tmp_path, recipe=RECIPE).added == 60
    before = shards_of(tmp_path)
    write_sequences(tmp_path, [*first, *LATER], file_rows=20)
    for path in (tmp_path / "synthetic" / "sequences").glob("part-00000-*"):
        path.write_bytes(b"not needed")  # the records of old files are not read again
    done = prepared(tmp_path, recipe=RECIPE)
    after = shards_of(tmp_path)
    assert (done.added, done.removed, done.frozen_from) == (20, 0, 0)
    assert before.items() < after.items()
    assert sum(done.records.values()) == 80


def test_columns_on_disk_give_what_columns_in_memory_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many records would be split, joined or kept otherwise than few, when made or appended."""
    copies = [{**row, "source": f"copy{n}.txt"} for n, row in enumerate(documents(30))]
    states = []
    for name in ("memory", "disk"):
        kept = []
        for records in (documents(60), [*documents(60), *LATER, *copies]):
            write_sequences(tmp_path / name, records, file_rows=20)
            done = prepared(tmp_path / name, recipe=RECIPE)
            table = Table(tmp_path / name / "synthetic" / "examples-default")
            info = table.info(done.version)
            kept.append(({**info.state, "manifest": ""}, info.counts, shards_of(tmp_path / name)))
        assert done.added > 20 and done.duplicates == 30
        states.append(kept)
        monkeypatch.setattr(version, "COLUMNS_SHARE", 10**12)
        monkeypatch.setattr(duplicates, "_PART_ROWS", 4)
    assert states[0] == states[1]


def test_records_changed_to_the_same_rows_stay_for_every_reader(tmp_path: Path) -> None:
    """Text that only changed its case gives the shards that it gave, which the log would lose."""
    records = documents(40)
    write_sequences(tmp_path, records, file_rows=20)
    before = unordered(prepared(tmp_path, recipe=RECIPE))
    louder = [{**record, "text": record["text"].upper()} for record in records]
    write_sequences(tmp_path, louder, file_rows=20)
    done = prepared(tmp_path, recipe=RECIPE)
    assert (done.added, done.removed) == (40, 40)
    assert unordered(done) == before
    table = DeltaTable(tmp_path / "synthetic" / "examples-default").to_pyarrow_table()
    assert len(table) == len(before)


DOCUMENT = st.tuples(st.integers(0, 12), st.sampled_from(["neg", "pos"]), st.integers(0, 9))
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(DOCUMENT, min_size=1, max_size=8)),
        st.tuples(st.just("change"), st.integers(0, 40), DOCUMENT),
        st.tuples(st.just("drop"), st.integers(0, 40)),
    ),
    min_size=1,
    max_size=4,
)


def apply_change(records: list[dict[str, Any]], change: Any, number: int) -> list[dict[str, Any]]:
    if change[0] == "append":
        new = [
            # Names before and after the old ones: of equal records the first by name stays.
            {"text": f"w{word} w1 w{word}", "label": label, "source": f"{place}-{number}-{n}.txt"}
            for n, (word, label, place) in enumerate(change[1])
        ]
        return [*records, *new]
    place = change[1] % len(records)
    if change[0] == "drop":
        return [*records[:place], *records[place + 1 :]]
    word, label, _ = change[2]
    return [
        {**record, "text": f"w{word} w1 w{word}", "label": label} if n == place else record
        for n, record in enumerate(records)
    ]


@settings(max_examples=15)
@given(
    CHANGES,
    st.sampled_from([Split(), Split(by="folds", count=3, fold=1)]),
    st.sampled_from(["one", "keep"]),
    st.sampled_from([RECIPE, replace(RECIPE, steps=({"summarize": {"min_count": 2}},))]),
)
def test_any_changes_end_where_a_whole_run_ends(
    changes: list[Any], split: Split, duplicates: Any, recipe: Prepare
) -> None:
    """Rows of changed, dropped, equal or contradicting records would stay, or numbers be wrong."""
    recipe = replace(recipe, duplicates=duplicates)
    records = [{**record, "source": f"5-{n}.txt"} for n, record in enumerate(documents(30))]
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        write_sequences(store, records, file_rows=6)
        prepared(store, recipe=recipe, split=split)
        for number, change in enumerate(changes):
            records = apply_change(records, change, number)
            write_sequences(store, records, file_rows=6)
            done = prepared(store, recipe=recipe, split=split)
        if done.frozen_from is not None:
            check_equal(done, made_whole(store, recipe, split=split))


def test_signals_with_step_labels_join_too(tmp_path: Path) -> None:
    """Values and their targets would be left behind, or the amplitude of new ones not be told."""
    rng = np.random.default_rng(0)

    def signals(count: int, level: float, name: str) -> list[dict[str, Any]]:
        return [
            {
                "values": rng.normal(level, 1, 2 * (12 + n)).astype(np.float32).tolist(),
                "targets": (np.arange(12 + n) % 2).tolist(),
                "source": f"{name}{n:02}.csv",
            }
            for n in range(count)
        ]

    options: dict[str, Any] = {"domain": "eeg", "task": "label_steps"}
    facts = {**options, "channels": ["a", "b"], "target_classes": ["off", "on"], "file_rows": 10}
    recipe = Prepare(steps=({"windows": {"length": 8}},), buckets=2)
    old, new = signals(30, 0.0, "f"), signals(10, 3.0, "g")
    write_sequences(tmp_path / "store", old, **facts)
    prepared(tmp_path / "store", recipe=recipe, **options)
    write_sequences(tmp_path / "store", [*old, *new], **facts)
    done = prepared(tmp_path / "store", recipe=recipe, **options)
    assert done.added == 10
    check_equal(done, made_whole(tmp_path / "store", recipe, **options))
    moved = done.drift["now"]["amplitude"]["a"]
    assert moved["shift"] == pytest.approx(3, abs=0.3) and moved["ratio"] == pytest.approx(
        1, abs=0.3
    )
    assert done.refit_advised is not None and "channel a moved" in done.refit_advised


def test_a_lost_state_file_is_made_again(tmp_path: Path) -> None:
    """A damaged file beside the table would stand in the way of every later run."""
    first = documents(40)
    write_sequences(tmp_path, first, file_rows=20)
    done = prepared(tmp_path, recipe=RECIPE)
    table = Table(tmp_path / "synthetic" / "examples-default")
    (table.state.path / table.info(done.version).state["records"]).write_bytes(b"damaged")
    write_sequences(tmp_path, [*first, *LATER], file_rows=20)
    again = prepared(tmp_path, recipe=RECIPE)
    assert again.added == sum(again.records.values()) == 60
    table.verify()


def test_altered_shards_that_lose_rows_are_found(tmp_path: Path) -> None:
    """Rows of a damaged shard would be written again as good ones."""
    records = documents(40)
    write_sequences(tmp_path, records, file_rows=20)
    prepared(tmp_path, recipe=RECIPE)
    table = Table(tmp_path / "synthetic" / "examples-default")
    for file in table.files():
        path = table.path / file.path
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(bytes(data))
    write_sequences(tmp_path, records[:39], file_rows=20)
    with pytest.raises(CorruptError, match=r"not those that were committed|cannot be read"):
        prepared(tmp_path, recipe=RECIPE)


def test_a_changed_label_alone_is_made_again(tmp_path: Path) -> None:
    """A corrected label would never reach training."""
    records = documents(40)
    write_sequences(tmp_path, records, file_rows=10)
    prepared(tmp_path, recipe=RECIPE)
    other = {"pos": "neg", "neg": "pos"}
    records[3] = {**records[3], "label": other[records[3]["label"]]}
    write_sequences(tmp_path, records, file_rows=10)
    done = prepared(tmp_path, recipe=RECIPE)
    assert (done.added, done.removed) == (1, 1)
    check_equal(done, made_whole(tmp_path, RECIPE))


def test_a_changed_target_alone_is_made_again(tmp_path: Path) -> None:
    """A corrected answer would never reach training."""
    options: dict[str, Any] = {"task": "translate", "recipe": Prepare(tokens=Tokens(unit="word"))}
    records = [
        {"text": f"w{n} x", "target_text": "ABAC"[n % 3 :], "source": f"f{n:03}.txt"}
        for n in range(40)
    ]
    write_sequences(tmp_path, records, task="translate", file_rows=10)
    prepared(tmp_path, **options)
    records[7] = {**records[7], "target_text": "CCC"}
    write_sequences(tmp_path, records, task="translate", file_rows=10)
    done = prepared(tmp_path, **options)
    assert (done.added, done.removed) == (1, 1)
    row = next(row for row in rows_of(done) if row["id"] == "f007.txt#0")
    assert len(row["target_tokens"]) == 3 and len(set(row["target_tokens"])) == 1


def test_emptied_records_are_still_counted_after_an_append(tmp_path: Path) -> None:
    """A report would say that nothing was emptied, because the append emptied nothing."""
    records = [*documents(30), *({"text": f"once{n}", "label": "pos"} for n in range(3))]
    records = [{**record, "source": f"f{n:02}.txt"} for n, record in enumerate(records)]
    recipe = replace(RECIPE, steps=({"summarize": {"min_count": 2}},))
    write_sequences(tmp_path, records, file_rows=11)
    first = prepared(tmp_path, recipe=recipe)
    write_sequences(tmp_path, [*records, *LATER], file_rows=11)
    done = prepared(tmp_path, recipe=recipe)
    assert first.emptied > 0 and done.emptied >= first.emptied and done.added == len(LATER)
    whole = made_whole(tmp_path, recipe)
    assert done.emptied == whole.emptied
    assert done.removed_share == pytest.approx(whole.removed_share)


def test_leaving_one_group_out_is_made_whole(tmp_path: Path) -> None:
    """The group that is left out would stay in training when a new one shifts the fold."""
    split = Split(by="folds", of="group", fold=1, validation=0.0)
    records = [{**row, "group": f"s{n % 4 + 2}"} for n, row in enumerate(documents(40))]
    write_sequences(tmp_path, records, file_rows=10)
    assert prepared(tmp_path, recipe=RECIPE, split=split).held_out == "s3"
    more = [{**row, "group": "s9"} for row in LATER]
    write_sequences(tmp_path, [*records, *more], file_rows=10)
    done = prepared(tmp_path, recipe=RECIPE, split=split)
    assert (done.held_out, done.added) == ("s3", 60)
    ids = {f"f{n:05d}" for n in range(40) if n % 4 == 1}
    assert {row["id"].split(".")[0] for row in rows_of(done, "test")} <= ids


def test_another_version_of_a_step_fits_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of two versions of a technique would lie in one table."""
    write_sequences(tmp_path, documents(40), file_rows=20)
    prepared(tmp_path, recipe=RECIPE)
    monkeypatch.setattr(Windows, "version", Windows.version + 1)
    done = prepared(tmp_path, recipe=RECIPE)
    assert not done.reused and done.frozen_from is None


def test_two_random_steps_of_a_chain_draw_apart(tmp_path: Path) -> None:
    """The second of two random cuts would always take the same end as the first."""
    write_sequences(tmp_path, documents(60), file_rows=20)
    cut = {"truncate": {"length": 8, "keep": "random"}}
    again = {"truncate": {"length": 4, "keep": "random"}}
    tokens = Tokens(unit="word")
    one = prepared(tmp_path, recipe=Prepare(recipe="a", tokens=tokens, steps=(again,)))
    two = prepared(tmp_path, recipe=Prepare(recipe="b", tokens=tokens, steps=(cut, again)))
    starts = []
    for done in (one, two):
        rows = {row["id"]: row["tokens"] for row in rows_of(done)}
        starts.append([rows[key] for key in sorted(rows)])
    # Drawn alike, a quarter into eight is the same share as a quarter into four.
    assert sum(a == b for a, b in zip(*starts, strict=True)) < 30
