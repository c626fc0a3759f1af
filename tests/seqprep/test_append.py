"""What stays as it is while data is appended, and what is refused (CONTRACT 9)."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqprep.errors import ConfigError
from seqprep.prepare import Prepared
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.snapshot import Snapshot
from seqprep.table import Table
from tests.seqprep.test_prepare import BY_PATH, RECIPE, fitted_of, prepared, rows_of, three_ways
from tests.synthetic import documents, write_sequences

RECORDS = three_ways(90)
LATER = [
    {**record, "source": f"later{n:04d}{n % 3}.txt", "text": record["text"] + " zebra quagga"}
    for n, record in enumerate(documents(30, seed=7))
]
SPLIT = replace(BY_PATH, pattern=r"(?:f|later)\d+([012])\.")


def facts_of(store: Path, done: Prepared) -> set[tuple[str, str, Any, bytes]]:
    """(id, split, label, content hash) of every record that gave examples."""
    table = Table(store / "synthetic" / "sequences")
    hashes = {
        row["id"]: row["content_hash"]
        for group in table.row_groups()
        for row in table.read_group(*group, ["id", "content_hash"]).to_pylist()
    }
    names = Snapshot.read(Path(done.snapshot)).facts.labels
    return {
        (row["id"], row["split"], names[row["label"]], hashes[row["id"]]) for row in rows_of(done)
    }


def appended(store: Path, first: list[Any], later: list[Any], **options: Any) -> Prepared:
    """Prepare after the first records, and again with the later ones beside them."""
    write_sequences(store, first)
    prepared(store, **options)
    write_sequences(store, [*first, *later])
    return prepared(store, **options)


def test_fitted_state_stays_while_data_is_appended(tmp_path: Path) -> None:
    """Yesterday's model would get other ids for its words, or other classes."""
    write_sequences(tmp_path, RECORDS)
    first = prepared(tmp_path, split=SPLIT)
    write_sequences(tmp_path, [*RECORDS, *LATER])
    second = prepared(tmp_path, split=SPLIT)
    assert second.frozen_from == first.version and first.frozen_from is None
    assert fitted_of(tmp_path, second) == fitted_of(tmp_path, first)
    old = {(r["id"], r["view"], r["window"]): r["tokens"] for r in rows_of(first)}
    new = {(r["id"], r["view"], r["window"]): r["tokens"] for r in rows_of(second)}
    assert len(new) > len(old)
    assert all(new[key] == tokens for key, tokens in old.items())
    again = prepared(tmp_path, split=SPLIT)
    assert again.reused and again.version == second.version
    assert again.frozen_from == first.version


def test_refit_learns_from_what_was_appended(tmp_path: Path) -> None:
    """New words and classes could never be learnt without another recipe."""
    frozen = appended(tmp_path, RECORDS, LATER, split=SPLIT)
    fresh = prepared(tmp_path, split=SPLIT, refit=True)
    assert fresh.frozen_from is None and fresh.version == frozen.version + 1
    assert b"zebra" in fitted_of(tmp_path, fresh) and b"zebra" not in fitted_of(tmp_path, frozen)
    assert prepared(tmp_path, split=SPLIT, refit=True).reused
    assert prepared(tmp_path, split=SPLIT).version == fresh.version
    at_once = tmp_path / "at-once"
    write_sequences(at_once, [*RECORDS, *LATER])
    assert fitted_of(at_once, prepared(at_once, split=SPLIT)) == fitted_of(tmp_path, fresh)


def test_a_new_class_never_enters_training_silently(tmp_path: Path) -> None:
    """The classes of a trained model would shift, or a class vanish without a word."""
    third = [{**LATER[0], "label": "third"}, {**LATER[3], "label": "third"}]
    done = appended(tmp_path, RECORDS, third, split=SPLIT)
    assert done.unknown_labels == 2 and done.new_classes == {"third": 2}
    assert done.left_out["unknown_label"] == {"train": 2}
    assert done.refit_advised is not None and "2 training records" in done.refit_advised
    assert Snapshot.read(Path(done.snapshot)).facts.labels == ("neg", "pos")
    assert not {row["id"] for row in rows_of(done)} & {r["source"] + "#0" for r in third}
    fresh = prepared(tmp_path, split=SPLIT, refit=True)
    assert fresh.labels["train"]["third"] == 2 and fresh.refit_advised is None


def test_longer_rows_go_to_the_bucket_without_limit(tmp_path: Path) -> None:
    """A long row would be cut, or the buckets of a trained model move."""
    long = [{**LATER[3 * n], "text": f"w0 w1 {n} " * 100} for n in range(9)]
    done = appended(tmp_path, RECORDS, long, split=SPLIT, recipe=Prepare(buckets=3))
    rows = {row["id"]: row for row in rows_of(done)}
    assert {rows[r["source"] + "#0"]["bucket"] for r in long} == {0}
    assert done.over_limit_share == 1.0  # of the rows that joined
    assert done.refit_advised is not None and "longer than every bucket" in done.refit_advised


def test_words_never_seen_advise_a_refit(tmp_path: Path) -> None:
    """A vocabulary would age without anybody being told."""
    few = appended(tmp_path / "few", RECORDS, LATER[:1], split=SPLIT, recipe=Prepare())
    assert 0 < few.unseen_share < 0.05 and few.refit_advised is None
    strange = [{**r, "text": " ".join(f"x{n}" for n in range(40))} for r in LATER[::3]]
    for number, record in enumerate(strange):
        record["text"] += f" {number}"
    many = appended(tmp_path / "many", RECORDS, strange, split=SPLIT, recipe=Prepare())
    assert many.unseen_share > 0.05
    assert many.refit_advised is not None and "never seen" in many.refit_advised
    assert many.unseen_share == 1.0  # of the tokens that joined
    steps = (few.steps_after["train"], many.steps_after["train"])
    assert many.oov_rate["train"] == pytest.approx(41 * len(strange) / steps[1])


@settings(max_examples=12)
@given(
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["neg", "pos"])), max_size=25),
    st.sampled_from([Split(), SPLIT, Split(by="folds", count=2, fold=1)]),
    st.sampled_from(["one", "keep"]),
)
def test_appending_equals_all_at_once(
    later: list[tuple[int, str]], split: Split, duplicates: Any
) -> None:
    """Which records train would depend on the order in which files arrived."""
    extra = [
        {"text": f"w{word} again", "label": label, "source": f"later{n:04d}{n % 3}.txt"}
        for n, (word, label) in enumerate(later)
    ]
    recipe = Prepare(duplicates=duplicates, buckets=1)
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "one", Path(folder) / "two"
        first = appended(one, RECORDS[:40], [*RECORDS[40:60], *extra], split=split, recipe=recipe)
        write_sequences(two, [*RECORDS[:60], *extra])
        second = prepared(two, split=split, recipe=recipe)
        assert facts_of(one, first) == facts_of(two, second)


def test_scaler_and_target_vocabulary_stay(tmp_path: Path) -> None:
    """Appended recordings or answers would be scaled and numbered unlike those before."""
    rng = np.random.default_rng(0)
    signals = [
        {"values": rng.normal(5, 2, 40).tolist(), "label": "ab"[n % 2], "source": f"f{n:03}.csv"}
        for n in range(60)
    ]
    loud = [
        {**s, "values": [9 * v for v in s["values"]], "source": f"g{n:03}.csv"}
        for n, s in enumerate(signals)
    ]
    states = []
    for records in (signals, [*signals, *loud]):
        write_sequences(tmp_path / "eeg", records, domain="eeg", channels=["a", "b"])
        done = prepared(tmp_path / "eeg", domain="eeg", recipe=Prepare())
        states.append(fitted_of(tmp_path / "eeg", done))
    assert states[0] == states[1] and done.frozen_from == 0
    answers = [
        {"text": f"w{n} x", "target_text": "ABAC"[n % 3 :], "source": f"f{n:03}.txt"}
        for n in range(60)
    ]
    new = [{**a, "text": f"y{n}", "target_text": "AQ"} for n, a in enumerate(answers)]
    new = [{**a, "source": f"g{n:03}.txt"} for n, a in enumerate(new)]
    for records in (answers, [*answers, *new]):
        write_sequences(tmp_path / "say", records, task="translate")
        done = prepared(tmp_path / "say", task="translate", recipe=Prepare())
    assert json.loads(fitted_of(tmp_path / "say", done))["target_vocabulary"] == ["A", "C", "B"]
    row = next(row for row in rows_of(done) if row["id"] == "g000.txt#0")
    assert row["target_tokens"] == [4, 1]


def test_target_tokens_beyond_the_limit_are_unknown(tmp_path: Path) -> None:
    """A limit on the target vocabulary would end in an index error."""
    answers = [{"text": f"w{n} x", "target_text": "AAABBC"} for n in range(60)]
    write_sequences(tmp_path, answers, task="translate")
    target = Tokens(unit="character", lowercase=False, max_vocab=1)
    done = prepared(tmp_path, task="translate", recipe=Prepare(target_tokens=target))
    assert {tuple(row["target_tokens"]) for row in rows_of(done)} == {(4, 4, 4, 1, 1, 1)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": Split(seed=5)}, r"split.seed was 0 and is 5 now.*--refit"),
        ({"split": SPLIT}, "split.by was 'hash' and is 'path' now"),
    ],
)
def test_options_that_move_rows_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """What was trained on yesterday would be tested on today."""
    write_sequences(tmp_path, RECORDS)
    first = prepared(tmp_path)
    with pytest.raises(ConfigError, match=message):
        prepared(tmp_path, **changes)
    fresh = prepared(tmp_path, refit=True, **changes)
    assert fresh.version == first.version + 1 and fresh.frozen_from is None
    other = prepared(tmp_path, recipe=replace(RECIPE, recipe="other"), **changes)
    assert other.version == 0


def test_changed_labels_and_groups_of_the_source_are_refused(tmp_path: Path) -> None:
    """Old rows would silently change their class, or their split."""
    source = {"label": {"from": "folder"}, "group": None}
    write_sequences(tmp_path, RECORDS, source=source, options="a")
    prepared(tmp_path)
    changed = {"label": {"from": "file"}, "group": None}
    write_sequences(tmp_path, RECORDS, source=changed, options="b")
    with pytest.raises(ConfigError, match=r"source.label was .*folder.* and is .*file.*--refit"):
        prepared(tmp_path)
    assert prepared(tmp_path, refit=True).frozen_from is None


def test_other_options_of_the_reader_and_the_recipe_fit_anew(tmp_path: Path) -> None:
    """A vocabulary of other text would be kept, or a person be asked for --refit at every edit."""
    write_sequences(tmp_path, RECORDS, source={"normalize": "none"}, options="a")
    prepared(tmp_path)
    write_sequences(tmp_path, [*RECORDS, *LATER], source={"normalize": "NFC"}, options="b")
    assert prepared(tmp_path).frozen_from is None
    write_sequences(tmp_path, RECORDS, source={"normalize": "NFC"}, options="b")
    assert prepared(tmp_path, recipe=replace(RECIPE, buckets=2)).frozen_from is None


def test_memory_and_size_of_shards_keep_the_state(tmp_path: Path) -> None:
    """Giving prepare more memory would be a new vocabulary."""
    write_sequences(tmp_path, RECORDS)
    first = prepared(tmp_path)
    write_sequences(tmp_path, [*RECORDS, *LATER])
    done = prepared(tmp_path, recipe=replace(RECIPE, memory="80MB", shard_bytes="1MB"))
    assert done.frozen_from == first.version


def test_each_fold_keeps_its_own_state(tmp_path: Path) -> None:
    """Running all folds would be refused, or a fold know words of its test rows."""
    folds = [Split(by="folds", count=3, fold=fold) for fold in range(3)]
    write_sequences(tmp_path, RECORDS)
    first = [prepared(tmp_path, split=split) for split in folds]
    write_sequences(tmp_path, [*RECORDS, *LATER])
    second = [prepared(tmp_path, split=split) for split in folds]
    assert [done.frozen_from for done in second] == [done.version for done in first]
    states = [fitted_of(tmp_path, done) for done in second]
    assert states == [fitted_of(tmp_path, done) for done in first] and len(set(states)) == 3


def test_state_is_never_kept_from_later_data(tmp_path: Path) -> None:
    """Preparing an old version of the sequences would use words that came later."""
    write_sequences(tmp_path, RECORDS)
    write_sequences(tmp_path, [*RECORDS, *LATER])
    prepared(tmp_path, split=SPLIT)
    old = prepared(tmp_path, split=SPLIT, version=0)
    assert old.frozen_from is None and b"zebra" not in fitted_of(tmp_path, old)


def test_a_changed_table_of_splits_is_refused(tmp_path: Path) -> None:
    """Rows would move between splits although no key of the file changed."""
    write_sequences(tmp_path, RECORDS)
    split = Split(
        by="table", table="s.csv", key="id", column="in", validation=("dev",), test=("test",)
    )
    for shift in range(2):
        names = [
            f"{r['source']},{('train', 'dev', 'test')[(n + shift) % 3]}"
            for n, r in enumerate(RECORDS)
        ]
        (tmp_path / "s.csv").write_text("\n".join(["id,in", *names]))
        if not shift:
            assert prepared(tmp_path, split=split, base=tmp_path).version == 0
    with pytest.raises(ConfigError, match=r"content of split.table \(s.csv\) changed"):
        prepared(tmp_path, split=split, base=tmp_path)
    assert prepared(tmp_path, split=split, base=tmp_path, refit=True).version == 1


def test_a_fold_that_new_groups_shift_is_fitted_anew(tmp_path: Path) -> None:
    """Fold 0 would test on subject a with words learnt from subject a."""
    records = [{**r, "group": f"s{n % 4 + 2}"} for n, r in enumerate(documents(60))]
    split = Split(by="folds", of="group", fold=0, validation=0.0)
    write_sequences(tmp_path, records)
    first = prepared(tmp_path, split=split)
    more = [{**r, "group": "s9"} for r in LATER]
    write_sequences(tmp_path, [*records, *more])
    second = prepared(tmp_path, split=split)
    assert (first.held_out, second.held_out, second.frozen_from) == ("s2", "s2", 0)
    write_sequences(tmp_path, [*records, *({**r, "group": "s1"} for r in LATER)])
    third = prepared(tmp_path, split=split)
    assert (third.held_out, third.frozen_from) == ("s1", None)
