"""From sequences to examples: what is stored, reused, and never leaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seqprep.batches import BatchSource
from seqprep.errors import ConfigError, SeqprepError
from seqprep.fitted import Fitted
from seqprep.plan import BatchSettings
from seqprep.preparation import passes, shards, slots, work
from seqprep.preparation.rows import units
from seqprep.preparation.spill import table_chunk
from seqprep.preparation.totals import count_chunk
from seqprep.prepare import Prepared, apply_fitted, prepare
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.schema import OOV
from seqprep.snapshot import Snapshot, read_shard
from seqprep.table import Table
from seqprep.transforms import TRANSFORMS
from seqprep.transforms.options import ViewOptions
from tests.synthetic import documents, write_sequences

RECIPE = Prepare(
    steps=(
        {"summarize": {"drop_top": 2, "min_count": 2}},
        {"truncate": {"length": 20, "keep": "tail"}},
        {"subsequences": {"pieces": 2, "piece": 4, "views": 2}},
    ),
    buckets=3,
)
BY_PATH = Split(by="path", pattern=r"f\d+([012])\.", validation=("1",), test=("2",))


def prepared(store: Path, **changes: Any) -> Prepared:
    options: dict[str, Any] = {
        "dataset": "synthetic",
        "store": store,
        "domain": "text",
        "task": "classify",
        "split": Split(),
        "recipe": RECIPE,
        "workers": 1,
        **changes,
    }
    return prepare(**options)


def rows_of(done: Prepared, split: str | None = None) -> list[dict[str, Any]]:
    """All rows in the order of the shards, with their split and bucket."""
    snapshot = Snapshot.read(Path(done.snapshot))
    snapshot.verify()
    return [
        {**row, "split": shard.split, "bucket": shard.bucket}
        for shard in snapshot.shards
        if split in (None, shard.split)
        for row in read_shard(snapshot, shard).to_pylist()
    ]


def fitted_of(store: Path, done: Prepared) -> bytes:
    table = Table(store / "synthetic" / f"examples-{done.recipe}")
    return table.state.get(table.info(done.version).state["fitted"])


def three_ways(rows: int) -> list[dict[str, Any]]:
    """Documents whose file names end in 0, 1 or 2 for the three splits."""
    return [
        {**record, "source": f"f{n:04d}{n % 3}.txt"} for n, record in enumerate(documents(rows))
    ]


def test_every_record_is_stored_once_and_views_beside_it(tmp_path: Path) -> None:
    """A record would be lost or doubled, or validation and test be augmented."""
    write_sequences(tmp_path, documents(120))
    done = prepared(tmp_path)
    rows = rows_of(done)
    assert len({(row["id"], row["view"], row["window"]) for row in rows}) == len(rows)
    assert len({row["id"] for row in rows}) == 120
    views: dict[str, set[int]] = {"train": {0, 1, 2}, "validation": {0}, "test": {0}}
    for row in rows:
        assert row["view"] in views[row["split"]]
        assert row["length"] == len(row["tokens"]) <= 20
        assert row["bucket"] == 0 or row["length"] <= row["bucket"]
    assert done.rows == {split: sum(row["split"] == split for row in rows) for split in done.rows}


def test_shards_hold_rows_in_a_seeded_random_order(tmp_path: Path) -> None:
    """A shard would be sorted by class or source, so that batches see one class at a time."""
    write_sequences(tmp_path, documents(200))
    one_bucket = replace(RECIPE, steps=(), buckets=1)
    first = [row["id"] for row in rows_of(prepared(tmp_path, recipe=one_bucket), "train")]
    other = prepared(tmp_path, recipe=replace(one_bucket, seed=1))
    second = [row["id"] for row in rows_of(other, "train")]
    assert first != sorted(first)
    assert sorted(first) == sorted(second) and first != second
    labels = [int(id_[1:6]) % 2 for id_ in first]
    changes = np.count_nonzero(np.diff(labels))
    assert 0.3 < changes / len(labels) < 0.7


def test_views_and_windows_of_a_record_follow_each_other(tmp_path: Path) -> None:
    """Windows of one record would be out of order or in another shard."""
    write_sequences(tmp_path, documents(60))
    recipe = Prepare(steps=({"windows": {"length": 8, "stride": 4}},), buckets=2, shard_bytes=300)
    done = prepared(tmp_path, recipe=recipe)
    rows = rows_of(done)
    snapshot = Snapshot.read(Path(done.snapshot))
    assert len(snapshot.of("train")) > 3
    places: dict[str, list[tuple[int, int]]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row["id"], []).append((place, row["window"]))
    for found in places.values():
        assert [window for _, window in found] == list(range(len(found)))
        assert found[-1][0] - found[0][0] == len(found) - 1
    assert done.records["train"] < done.rows["train"]


@pytest.mark.parametrize("count", [1, 7])
def test_rows_on_disk_give_the_files_of_rows_in_memory(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory setting would change which rows there are, their order or the bytes of files."""
    monkeypatch.setattr(shards, "ROW_GROUP_VALUES", 300)
    recipe = replace(RECIPE, shard_bytes=2000)
    monkeypatch.setattr(slots, "_JOINED_BYTES", 1000)  # so that a row group has several parts
    snapshots = []
    for name in ("held", "disk"):
        write_sequences(tmp_path / name, documents(150))
        done = prepared(tmp_path / name, recipe=recipe)
        snapshots.append(Snapshot.read(Path(done.snapshot)))
        assert not done.reused
        monkeypatch.setattr(work, "HELD_SHARE", 10**12)
        monkeypatch.setattr(passes, "count_slots", lambda job, encoding: count)
    held, disk = ([shard.sha256 for shard in snapshot.shards] for snapshot in snapshots)
    assert held == disk and len(held) > 20


def test_workers_clock_and_hash_seed_change_nothing(tmp_path: Path) -> None:
    """The same input would give other bytes on another machine or with more workers (S4)."""
    write_sequences(tmp_path / "one", documents(80))
    digests = set()
    for number, workers in enumerate((1, 2, 3)):
        store = tmp_path / f"copy{number}"
        write_sequences(store, documents(80))
        code = (
            "import sys; from pathlib import Path; from tests.seqprep.test_prepare import prepared;"
            "from seqprep.snapshot import Snapshot;"
            f"done = prepared(Path(sys.argv[1]), workers={workers});"
            "print(Snapshot.read(Path(done.snapshot)).sha256)"
        )
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(number),
            "TZ": "Asia/Tokyo",
            "LC_ALL": "C",
        }
        result = subprocess.run(
            [sys.executable, "-c", code, str(store)],
            env=environment,
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(result.stdout.split()[-1])
    assert len(digests) == 1


def test_done_work_is_reused_and_other_options_replace_it(tmp_path: Path) -> None:
    """Every run would prepare again, or a changed option give the old rows."""
    write_sequences(tmp_path, documents(90))
    first = prepared(tmp_path)
    again = prepared(tmp_path, workers=2)
    assert again.reused and again.version == first.version and not first.reused
    assert replace(again, reused=False, seconds=0.0) == replace(first, seconds=0.0)
    other = prepared(tmp_path, recipe=replace(RECIPE, buckets=2))
    assert not other.reused and other.version == first.version + 1
    assert {row["bucket"] for row in rows_of(other)} <= {*other.buckets, 0}
    Snapshot.read(Path(first.snapshot)).verify()  # the older version is still whole


def test_a_lost_snapshot_is_written_again(tmp_path: Path) -> None:
    """A crash between the commit and the snapshot would need a person (S8)."""
    write_sequences(tmp_path, documents(90))
    first = prepared(tmp_path)
    before = Path(first.snapshot).read_bytes()
    Path(first.snapshot).unlink()
    assert prepared(tmp_path).reused
    assert Path(first.snapshot).read_bytes() == before


def test_nothing_is_left_in_the_datasets_folder(tmp_path: Path) -> None:
    """Spilled chunks would fill the disk."""
    write_sequences(tmp_path, documents(90))
    prepared(tmp_path)
    names = {path.name for path in (tmp_path / "synthetic").iterdir()}
    assert names == {".lock", "sequences", "examples-default", "snapshots", "state"}
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    "steps",
    [
        RECIPE.steps,
        ({"usefulness": {"keep": 9, "by": "mutual_information"}},),
        ({"usefulness": {"keep": 9, "by": "chi_squared"}},),
    ],
    ids=["by count", "mutual information", "chi-squared"],
)
def test_fitted_state_ignores_all_but_training_rows(
    tmp_path: Path, steps: tuple[dict[str, dict[str, Any]], ...]
) -> None:
    """Words, ranks, limits or labels would be learnt from test rows (mistake 8)."""
    honest = three_ways(120)
    garbage = [
        record if n % 3 == 0 else {**record, "text": f"zebra {n} " * (n % 90 + 1)}
        for n, record in enumerate(honest)
    ]
    states = []
    for number, records in enumerate((honest, garbage)):
        store = tmp_path / str(number)
        write_sequences(store, records)
        done = prepared(store, split=BY_PATH, recipe=replace(RECIPE, steps=steps))
        states.append((fitted_of(store, done), [r["tokens"] for r in rows_of(done, "train")]))
    assert states[0] == states[1]
    assert b"zebra" not in states[1][0]


def test_the_scaler_ignores_all_but_training_rows(tmp_path: Path) -> None:
    """The mean and deviation of test recordings would leak into training."""
    rng = np.random.default_rng(0)
    signals = [
        {
            "values": rng.normal(5, 2, 2 * (20 + n)).astype(np.float32).tolist(),
            "label": "ab"[n // 3 % 2],
            "source": f"f{n:04d}{n % 3}.txt",
        }
        for n in range(60)
    ]
    loud = [
        signal if n % 3 == 0 else {**signal, "values": [1e3 * v for v in signal["values"]]}
        for n, signal in enumerate(signals)
    ]
    states = []
    for number, records in enumerate((signals, loud)):
        store = tmp_path / str(number)
        write_sequences(store, records, domain="eeg", channels=["left", "right"])
        done = prepared(store, domain="eeg", split=BY_PATH, recipe=Prepare())
        states.append(fitted_of(store, done))
        steps = np.concatenate([np.reshape(r["values"], (-1, 2)) for r in rows_of(done, "train")])
        np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(steps.std(axis=0), 1, atol=1e-5)
    assert states[0] == states[1]


def test_copies_are_never_in_two_splits(tmp_path: Path) -> None:
    """The test would hold records that training has seen."""
    records = three_ways(90)
    for n in range(0, 30):
        records[n + 1]["text"], records[n + 1]["label"] = records[0]["text"], records[0]["label"]
    for keep in ("one", "keep"):
        write_sequences(tmp_path / keep, records)
        recipe = replace(RECIPE, duplicates=keep)
        done = prepared(tmp_path / keep, split=BY_PATH, recipe=recipe)
        copies = {f"f{n:04d}{n % 3}.txt#0": n for n in range(31)}
        found = [row for row in rows_of(done) if row["id"] in copies and row["view"] == 0]
        assert {row["split"] for row in found} == {"train"}
        assert len(found) == (1 if keep == "one" else 11)
        assert done.duplicates == 31 - len(found)


@pytest.mark.parametrize("domain", ["text", "dna", "eeg"])
def test_chunks_of_which_nothing_stays_are_passed_over(tmp_path: Path, domain: Any) -> None:
    """A row group whose records are all copies would raise."""
    rng = np.random.default_rng(0)
    content = {"text": "text", "dna": "bases", "eeg": "values"}[domain]
    make: dict[str, Callable[[], Any]] = {
        "text": lambda: " ".join(rng.choice(list("abcde"), 9)),
        "dna": lambda: "".join(rng.choice(list("ACGT"), 30)),
        "eeg": lambda: rng.normal(size=8).tolist(),
    }
    records = [{**r, content: make[domain](), "source": r["source"]} for r in three_ways(30)]
    records[3][content], records[3]["label"] = records[0][content], records[0]["label"]
    params = {"channels": ["a"]} if domain == "eeg" else {}
    write_sequences(tmp_path, records, domain=domain, chunk_rows=1, **params)
    recipe = Prepare(steps=({"windows": {"length": 5}},))
    done = prepared(tmp_path, domain=domain, split=BY_PATH, recipe=recipe)
    assert done.duplicates == 1
    assert len({row["id"] for row in rows_of(done)}) == 29


def test_copies_with_other_labels_are_rejected_and_counted(tmp_path: Path) -> None:
    """One record would teach two classes."""
    records = three_ways(60)
    records[3]["text"] = records[0]["text"]
    write_sequences(tmp_path, records)
    done = prepared(tmp_path, split=BY_PATH)
    assert done.conflicting == 2
    assert not {"f00000.txt#0", "f00030.txt#0"} & {row["id"] for row in rows_of(done)}


def test_training_rows_that_all_contradict_each_other_are_told_as_such(tmp_path: Path) -> None:
    """A person would look for a fault in `source.label`, which is right."""
    records = [record | {"text": f"same {n // 30}"} for n, record in enumerate(three_ways(60))]
    write_sequences(tmp_path, records)
    lost = r"have 0 label\(s\); \d+ were left out because records of equal content have different"
    with pytest.raises(ConfigError, match=lost):
        prepared(tmp_path, split=BY_PATH)


def test_labels_that_training_lacks_are_left_out_and_counted(tmp_path: Path) -> None:
    """A class would get a code that no training row has."""
    records = three_ways(90)
    records[2]["label"] = records[5]["label"] = "never trained"
    write_sequences(tmp_path, records)
    done = prepared(tmp_path, split=BY_PATH)
    assert done.unknown_labels == 2
    assert done.left_out["unknown_label"] == {"test": 2}
    assert Snapshot.read(Path(done.snapshot)).facts.labels == ("neg", "pos")
    assert done.labels["test"].keys() == {"neg", "pos"}


@pytest.mark.parametrize(
    ("records", "split", "message"),
    [
        ([{**r, "label": "only"} for r in documents(60)], Split(), "have 1 label.* \\(only\\)"),
        (documents(60, groups=2), Split(), "leaves .* without rows: there are 2 groups"),
        (
            documents(20),
            Split(by="path", pattern=r"(\d)\.txt", test=("nowhere",)),
            "leaves .* without rows.*; found are '0', '1', '2'",
        ),
        (
            [{**r, "group": f"g{n // 2}"} for n, r in enumerate(three_ways(60))],
            BY_PATH,
            "group 'g[0-9]+' would be in test and|group 'g[0-9]+' would be in train and",
        ),
    ],
)
def test_what_cannot_work_is_refused_before_work(
    tmp_path: Path, records: list[dict[str, Any]], split: Split, message: str
) -> None:
    """A person would wait for a result that means nothing."""
    write_sequences(tmp_path, records)
    with pytest.raises(ConfigError, match=message):
        prepared(tmp_path, split=split)
    assert not (tmp_path / "synthetic" / "examples-default").exists()


def test_no_sequences_says_what_to_do(tmp_path: Path) -> None:
    """A traceback would be shown."""
    with pytest.raises(SeqprepError, match="ingest the source first"):
        prepared(tmp_path)


def test_emptied_records_become_one_unknown_step(tmp_path: Path) -> None:
    """A record without steps would be dropped, from the test too."""
    records = three_ways(90)
    records[1]["text"], records[2]["text"], records[3]["text"] = " ", "qqq rrr", ""
    write_sequences(tmp_path, records)
    recipe = Prepare(steps=({"summarize": {"min_count": 2}},))
    done = prepared(tmp_path, split=BY_PATH, recipe=recipe)
    assert done.emptied == 3
    rows = {row["id"]: row for row in rows_of(done)}
    for number in (1, 2, 3):
        row = rows[f"f{number:04d}{number % 3}.txt#0"]
        assert row["tokens"] == [OOV] and row["length"] == 1


def test_removed_and_unknown_tokens_are_told_apart(tmp_path: Path) -> None:
    """Without a minimum, a word that training lacks must show as OOV, not vanish (mistake 3)."""
    records = three_ways(90)
    records[2]["text"] = "w0 unheard w1"
    write_sequences(tmp_path, records)
    for steps, length in (((), 3), (({"summarize": {"min_count": 1}},), 2)):
        done = prepared(tmp_path, split=BY_PATH, recipe=Prepare(steps=steps))
        row = next(row for row in rows_of(done) if row["id"] == "f00022.txt#0")
        assert row["length"] == length
        assert (OOV in row["tokens"]) == (length == 3)
    assert done.removed_share == 0.0


def test_padding_is_reported_against_one_bucket(tmp_path: Path) -> None:
    """The gain of bucketing would be claimed, not measured."""
    write_sequences(tmp_path, documents(150))
    done = prepared(tmp_path, recipe=Prepare(buckets=6))
    lengths = np.array([row["length"] for row in rows_of(done, "train")])
    limits = np.array([row["bucket"] for row in rows_of(done, "train")])
    assert done.padding_share == pytest.approx(1 - lengths.sum() / limits.sum())
    longest = lengths.max() * len(lengths)
    assert done.padding_share_unbucketed == pytest.approx(1 - lengths.sum() / longest)
    assert done.padding_share < done.padding_share_unbucketed / 2


DRAWING: list[dict[str, dict[str, Any]]] = [
    {"truncate": {"length": 6, "keep": "random"}},
    {"remove_steps": {"length": 6}},
    {"shift": {"max": 7}},
    {"subsequences": {"pieces": 2, "piece": 3, "overlap": "forbid"}},
    {"subsequences": {"pieces": 2, "piece": 3, "overlap": "allow"}},
    {"reverse_complement": {"p": 0.5}},
]
"""Every technique that is stored as views or drawn on the fly."""


def test_every_technique_that_may_be_either_is_compared() -> None:
    """A technique would be added whose two ways nobody compares."""
    either = {name for name, kind in TRANSFORMS.items() if issubclass(kind, ViewOptions)}
    assert either == {name for step in DRAWING for name in step}


@pytest.mark.parametrize("step", DRAWING, ids=str)
@pytest.mark.parametrize("before", [(), ({"windows": {"length": 12, "stride": 8}},)])
def test_on_the_fly_views_are_those_that_would_be_stored(
    tmp_path: Path, step: dict[str, dict[str, Any]], before: tuple[dict[str, dict[str, Any]], ...]
) -> None:
    """Drawing a view in an epoch would be another technique than storing it.

    Of one seed, epoch n reads of each record, or window of one, its stored view n + 1.
    """
    ((name, options),) = step.items()
    domain: Any = "dna" if name == "reverse_complement" else "text"
    records = documents(60)
    if domain == "dna":
        rng = np.random.default_rng(0)
        records = [
            {"bases": "".join(rng.choice(list("ACGT"), rng.integers(1, 40))), "label": "ab"[n % 2]}
            for n in range(60)
        ]
    write_sequences(tmp_path, records, domain=domain)
    recipe = Prepare(buckets=1, seed=3, tokens=Tokens(k=2) if domain == "dna" else Tokens())
    views, fly = (
        prepared(
            tmp_path,
            domain=domain,
            recipe=replace(recipe, recipe=way, steps=(*before, {name: {**options, key: value}})),
        )
        for way, key, value in (("views", "views", 2), ("fly", "when", "train"))
    )
    stored = {
        (row["id"], row["window"], row["view"]): row["tokens"] for row in rows_of(views, "train")
    }
    source = BatchSource.of_snapshot(
        Snapshot.read(Path(fly.snapshot)), "train", settings=BatchSettings(seed=3)
    )
    drawn = {}
    for epoch in range(2):
        for batch in source.batches(source.plan(epoch)):
            first = source.first_steps[batch.rows] // 8
            for one, window, ids, length in zip(
                batch.ids.to_pylist(), first.tolist(), batch.inputs, batch.lengths, strict=True
            ):
                drawn[one, window, epoch + 1] = ids[:length].tolist()
    assert drawn == {key: tokens for key, tokens in stored.items() if key[-1]}
    whole = {key[:2]: tokens for key, tokens in stored.items() if not key[-1]}
    changed = sum(tokens != whole[key[:2]] for key, tokens in drawn.items())
    assert len(whole) > 40 and changed > len(drawn) / 3


def test_the_other_strand_is_a_view_of_dna(tmp_path: Path) -> None:
    """The reverse complement of a 3-mer chain would hold other k-mers than that strand has."""
    rng = np.random.default_rng(1)
    records = [
        {"bases": "".join(rng.choice(list("ACGT"), 40)), "label": "ab"[n % 2]} for n in range(60)
    ]
    write_sequences(tmp_path, records, domain="dna")
    recipe = Prepare(tokens=Tokens(k=3), steps=({"reverse_complement": {"views": 1}},), buckets=1)
    done = prepared(tmp_path, domain="dna", recipe=recipe)
    fitted = Fitted.from_bytes(fitted_of(tmp_path, done))
    names = ("", "?", *fitted.vocabulary)
    for row in rows_of(done, "train"):
        bases = records[int(row["id"][1:6])]["bases"]
        if row["view"]:
            bases = bases[::-1].translate(str.maketrans("ACGT", "TGCA"))
        expected = [bases[i : i + 3] for i in range(38)]
        assert [names[token] for token in row["tokens"]] == expected


def test_prediction_encodes_as_training_did(tmp_path: Path) -> None:
    """A bundle would see other tokens than its model was trained on."""
    records = documents(100)
    table = write_sequences(tmp_path, records)
    done = prepared(tmp_path)
    fitted = Fitted.from_bytes(fitted_of(tmp_path, done))
    assert Fitted.from_bytes(fitted.to_bytes()).to_bytes() == fitted.to_bytes()
    read = pa.concat_tables([table.read_group(*group) for group in table.row_groups()])
    applied = apply_fitted(read, domain="text", task="classify", recipe=RECIPE, fitted=fitted)
    stored = {row["id"]: row for row in rows_of(done) if row["view"] == 0}
    assert applied["id"].to_pylist() == read["id"].to_pylist()
    for row in applied.to_pylist():
        assert row == {key: stored[row["id"]][key] for key in row}


def test_prediction_never_drops_a_record(tmp_path: Path) -> None:
    """An empty or strange record would have no prediction."""
    table = write_sequences(tmp_path, documents(100))
    done = prepared(tmp_path)
    fitted = Fitted.from_bytes(fitted_of(tmp_path, done))
    first = table.read_group(*next(iter(table.row_groups())))
    texts = ["", " ", "zzz", "great awful", *first["text"].to_pylist()[4:]]
    place = first.schema.get_field_index("text")
    records = first.set_column(place, "text", pa.array(texts)).drop_columns(["label"])
    applied = apply_fitted(records, domain="text", task="classify", recipe=RECIPE, fitted=fitted)
    assert applied["id"].to_pylist() == records["id"].to_pylist()
    assert applied["tokens"].to_pylist()[:3] == [[OOV]] * 3
    assert applied["label"].null_count == len(records)
    views = apply_fitted(
        records, domain="text", task="classify", recipe=RECIPE, fitted=fitted, views=3
    )
    assert views["view"].to_pylist() == [1, 2, 3] * len(records)
    with pytest.raises(ConfigError, match=r"predict.views = 3, but no step"):
        apply_fitted(
            records, domain="text", task="classify", recipe=Prepare(), fitted=fitted, views=3
        )


def test_a_recording_is_cut_by_time(tmp_path: Path) -> None:
    """A single labelled recording could not be split, or steps would be on both sides."""
    steps = 200
    record = {
        "values": np.arange(2 * steps, dtype=np.float32).tolist(),
        "targets": (np.arange(steps) // 3 % 2).tolist(),
        "length": steps,
    }
    write_sequences(
        tmp_path,
        [record],
        domain="eeg",
        task="label_steps",
        channels=["a", "b"],
        target_classes=["closed", "open"],
    )
    done = prepared(
        tmp_path,
        domain="eeg",
        task="label_steps",
        split=Split(by="time", train=0.6, validation=0.2, test=0.2, gap=5),
        recipe=Prepare(scale="none", steps=({"windows": {"length": 30}},)),
    )
    assert Snapshot.read(Path(done.snapshot)).facts.labels == ("closed", "open")
    for row in rows_of(done):
        first = np.array(row["values"]).reshape(-1, 2)[:, 0] / 2
        start = {"train": 0, "validation": 125, "test": 165}[row["split"]] + 30 * row["window"]
        assert first.tolist() == list(range(start, start + row["length"]))
        assert row["targets"] == (first // 3 % 2).tolist()


def test_target_text_gets_its_own_vocabulary(tmp_path: Path) -> None:
    """Target ids would collide with the reserved ones, or be learnt from test rows."""
    rng = np.random.default_rng(0)
    records = [
        {
            "bases": "".join(rng.choice(list("ACGT"), 12)),
            "target_text": "".join(rng.choice(list("MKL"), 4)) + ("W" if n % 3 == 2 else ""),
            "source": f"f{n:04d}{n % 3}.txt",
        }
        for n in range(60)
    ]
    write_sequences(tmp_path, records, domain="dna", task="translate")
    done = prepared(tmp_path, domain="dna", task="translate", split=BY_PATH, recipe=Prepare())
    facts = Snapshot.read(Path(done.snapshot)).facts
    fitted = json.loads(fitted_of(tmp_path, done))
    assert facts.target_vocab_size == 4 + 3
    assert sorted(fitted["target_vocabulary"]) == ["K", "L", "M"]
    names = {number + 4: letter for number, letter in enumerate(fitted["target_vocabulary"])}
    for row in rows_of(done):
        text = records[int(row["id"][1:5])]["target_text"]
        assert "".join(names.get(token, "W") for token in row["target_tokens"]) == text
        assert (OOV in row["target_tokens"]) == ("W" in text)


@pytest.mark.parametrize("task", ["translate", "label_steps", "regress_steps"])
def test_copies_with_other_targets_are_rejected_and_counted(tmp_path: Path, task: Any) -> None:
    """One record would ask for two answers, the first of them by chance."""
    domain = "text" if task == "translate" else "eeg"
    content: list[Any] = [f"w{n} x" for n in range(60)]
    target: list[Any] = ["A", "B"] * 30
    if domain == "eeg":
        content = [[float(n), float(n) / 2] for n in range(60)]
        target = [[n % 2, 1 - n % 2] for n in range(60)]
    column = "target_text" if task == "translate" else "targets"
    records = [
        {"text" if domain == "text" else "values": x, column: y, "source": f"f{n:03d}.txt"}
        for n, (x, y) in enumerate(zip(content, target, strict=True))
    ]
    same, other = {**records[0], "source": "f000a.txt"}, {**records[1], "source": "f001a.txt"}
    other[column] = target[2]
    params = {} if domain == "text" else {"channels": ["a"], "target_names": ["y"]}
    store = write_sequences(
        tmp_path, [*records, same, other], domain=domain, task=task, **params
    ).path.parents[1]
    split = Split(train=1.0, validation=0.0, test=0.0)
    done = prepared(store, domain=domain, task=task, split=split, recipe=Prepare())
    assert (done.duplicates, done.conflicting) == (1, 2)
    assert not {"f001.txt#0", "f001a.txt#0"} & {row["id"] for row in rows_of(done)}


def test_emptied_records_are_counted_without_the_original(tmp_path: Path) -> None:
    """Training records left empty would go uncounted where view 0 is dropped."""
    records = three_ways(90)
    for number in (1, 2, 3):
        records[number]["text"] = f"once{number}"
    write_sequences(tmp_path, records, chunk_rows=50)
    views = {"subsequences": {"pieces": 1, "piece": 4, "views": 2, "original": "drop"}}
    recipe = Prepare(steps=({"summarize": {"min_count": 2}}, views))
    assert prepared(tmp_path, split=BY_PATH, recipe=recipe).emptied == 3


def test_steps_in_two_windows_are_kept_once(tmp_path: Path) -> None:
    """Windows that overlap would keep more steps than there are."""
    write_sequences(tmp_path, documents(60))
    recipe = Prepare(steps=({"windows": {"length": 8, "stride": 2}},))
    done = prepared(tmp_path, recipe=recipe)
    assert done.steps_after == done.steps_before and done.kept_share == 1.0


def test_a_cut_by_time_without_steps_is_refused(tmp_path: Path) -> None:
    """A score over no steps would be reported."""
    record = {"values": [1.0] * 20, "targets": [n // 5 % 2 for n in range(20)]}
    write_sequences(
        tmp_path, [record], domain="eeg", task="label_steps", channels=["a"], target_classes=["c"]
    )
    for split in (
        Split(by="time", gap=3),
        Split(by="time", train=0.98, validation=0.01, test=0.01),
    ):
        with pytest.raises(ConfigError, match=r"validation without steps: .* has 20 steps"):
            prepared(tmp_path, domain="eeg", task="label_steps", split=split, recipe=Prepare())


def test_a_cut_by_time_needs_targets_for_each_step(tmp_path: Path) -> None:
    """Parts of one document with one label would train and test."""
    write_sequences(tmp_path, documents(30))
    with pytest.raises(ConfigError, match=r"split by time .* got task: classify"):
        prepared(tmp_path, split=Split(by="time"))


def test_another_domain_or_task_than_was_ingested_is_refused(tmp_path: Path) -> None:
    """A traceback about a missing column would be shown."""
    write_sequences(tmp_path, documents(30))
    for changes, message in (
        ({"domain": "eeg", "recipe": Prepare()}, "ingested with domain: text, but domain: eeg"),
        ({"task": "regress"}, "ingested with task: classify, but task: regress"),
    ):
        with pytest.raises(ConfigError, match=message):
            prepared(tmp_path, **changes)


def test_labels_and_names_never_become_paths(tmp_path: Path) -> None:
    """A class called `..` would write a shard outside the table (S6)."""
    names = ["..", "/abs", "../../up", "a/b", "split=test", "nul\x00byte", "\u00e9 \n"]
    records = [
        {**record, "label": names[n % len(names)], "group": f"../g{n}"}
        for n, record in enumerate(documents(210))
    ]
    store = tmp_path / "deep" / "store"
    write_sequences(store, records)
    done = prepared(store)
    labels = Snapshot.read(Path(done.snapshot)).facts.labels
    assert set(labels) == set(names)
    found = {row["id"]: labels[row["label"]] for row in rows_of(done)}
    assert found == {f"f{n:05d}.txt#0": record["label"] for n, record in enumerate(records)}
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["store"]
    folders = {path.name for path in (store / "synthetic" / "examples-default").iterdir()}
    assert folders == {"_delta_log", "_seals", "split=train", "split=validation", "split=test"}


def test_the_totals_of_a_chunk_do_not_keep_it_in_memory() -> None:
    """A view of one small column would hold every chunk until the last was read."""
    table = pa.table(
        {
            "key": np.arange(3, dtype=np.uint64),
            "row": np.arange(3),
            "split": np.zeros(3, np.int8),
            "view": np.zeros(3, np.int64),
            "window": np.zeros(3, np.int64),
            "length": np.array([2, 1, 1]),
        }
    )
    chunk = table_chunk(table, np.array([2, 3, 4, 5], np.int8), target_width=None)
    totals = count_chunk(chunk, units(chunk), tokens=True, stride=0)
    held = [chunk.keys, chunk.rows, chunk.splits, chunk.views, chunk.windows, chunk.steps.values]
    numbers = [getattr(totals, item.name) for item in fields(totals)]
    arrays = [value for value in numbers if isinstance(value, np.ndarray)]
    arrays += [
        part for found in (totals.lengths, totals.units) for part in (found.values, found.counts)
    ]
    assert totals.lengths.values.tolist() == [1, 2]
    assert not any(np.may_share_memory(array, column) for array in arrays for column in held)


def test_labels_that_are_names_are_refused_with_the_cause(tmp_path: Path) -> None:
    """A forgotten pattern would end in advice about splits that helps nobody."""
    records = [{**row, "label": f"s{number:02}_rest"} for number, row in enumerate(documents(24))]
    write_sequences(tmp_path, records)
    with pytest.raises(ConfigError, match=r"24 of 24 records .* set source.label.pattern"):
        prepared(tmp_path)


def test_a_column_that_some_files_lack_decides_for_the_others(tmp_path: Path) -> None:
    """Whether a split works would depend on how records lie in chunks, or all silently train."""
    split = Split(by="column", column="fold", validation=("b",), test=("c",))
    records = [
        {**record, "attributes": json.dumps({"fold": "abc"[n % 3]} if n < 30 else {"x": 1})}
        for n, record in enumerate(documents(40))
    ]
    write_sequences(tmp_path, records[:30], file_rows=10)
    assert prepared(tmp_path, split=split, recipe=Prepare()).records["test"] == 10
    write_sequences(tmp_path, records, file_rows=10)
    done = prepared(tmp_path, split=split, recipe=Prepare())
    assert done.added == 10 and done.records == {"train": 20, "validation": 10, "test": 10}
    write_sequences(tmp_path / "none", records[30:])
    with pytest.raises(ConfigError, match=r"no record has a column 'fold'.*source.keep: \[fold\]"):
        prepared(tmp_path / "none", split=split, recipe=Prepare())
