"""Chains that change what a step is, from source files to stored rows and to predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from seqprep.errors import ConfigError
from seqprep.fitted import Fitted
from seqprep.ingest import ingest
from seqprep.prepare import Prepared, apply_fitted, prepare
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.schema import Task
from seqprep.snapshot import Facts, Snapshot, read_shard
from seqprep.source import Source
from seqprep.table import Table
from tests.sources import write_files
from tests.synthetic import documents, write_sequences

RATE_HZ = 50.0


def recordings(root: Path, *, count: int = 24) -> Source:
    """Recordings of two channels, slow waves or fast ones, of 60 to 130 steps."""
    rng = np.random.default_rng(8)
    files: dict[str, bytes | str] = {}
    for number in range(count):
        steps, hz = int(rng.integers(60, 130)), (4, 11)[number % 2]
        wave = np.sin(2 * np.pi * hz * np.arange(steps) / RATE_HZ)
        pair = np.stack([wave, rng.normal(size=steps)], axis=1) * 20 + 300
        lines = ["left,right", *(f"{a:.2f},{b:.2f}" for a, b in pair)]
        files[f"{('slow', 'fast')[number % 2]}/{number:02d}.csv"] = "\n".join(lines) + "\n"
    write_files(root, files)
    return Source(domain="eeg", path=str(root), rate_hz=RATE_HZ, time_column="none")


def signals(tmp_path: Path, recipe: Prepare) -> tuple[Prepared, Facts]:
    """Recordings from files to examples."""
    ingest(recordings(tmp_path / "source"), dataset="d", store=tmp_path)
    return made(tmp_path, recipe, domain="eeg")


def made(
    store: Path, recipe: Prepare, *, domain: Any, dataset: str = "d", task: Task = "classify"
) -> tuple[Prepared, Facts]:
    """Examples of a dataset, and what their snapshot says of them."""
    done = prepare(
        dataset=dataset,
        store=store,
        domain=domain,
        task=task,
        split=Split(train=0.6, validation=0.2, test=0.2),
        recipe=recipe,
        workers=2,
    )
    return done, Snapshot.read(Path(done.snapshot)).facts


def stored(done: Prepared) -> dict[str, dict[str, Any]]:
    """View 0 of each record by id."""
    snapshot = Snapshot.read(Path(done.snapshot))
    tables = [read_shard(snapshot, shard) for shard in snapshot.shards]
    rows = [row for table in tables for row in table.to_pylist()]
    return {row["id"]: row for row in rows if row["view"] == 0}


def predicted(
    store: Path, done: Prepared, recipe: Prepare, *, domain: Any, dataset: str = "d"
) -> list[dict[str, Any]]:
    """Rows that prediction makes of the same records, one at a time."""
    examples = Table(store / dataset / f"examples-{done.recipe}")
    fitted = Fitted.from_bytes(examples.state.get(examples.info(done.version).state["fitted"]))
    sequences = Table(store / dataset / "sequences")
    groups = [sequences.read_group(*group) for group in sequences.row_groups()]
    records = pa.concat_tables(groups)
    rows = []
    for number in range(len(records)):
        one = records.slice(number, 1)
        table = apply_fitted(one, domain=domain, task="classify", recipe=recipe, fitted=fitted)
        rows += table.to_pylist()
    return rows


def assert_predicted_as_stored(
    store: Path, done: Prepared, recipe: Prepare, *, domain: Any, dataset: str = "d"
) -> None:
    """Each record alone gives the very numbers that preparation stored."""
    known = stored(done)
    rows = predicted(store, done, recipe, domain=domain, dataset=dataset)
    assert len(rows) == len(known) > 0
    for row in rows:
        assert row == {key: known[row["id"]][key] for key in row}


@pytest.mark.parametrize("scale", ["channel", "record", "none"])
def test_spectra_are_stored_named_and_predicted_alike(tmp_path: Path, scale: Any) -> None:
    """Models would not know the features, or prediction see others than training."""
    recipe = Prepare(
        steps=(
            {"bandpass": {"low_hz": 1, "high_hz": 20}},
            {"spectrum": {"window_s": 0.4, "stride_s": 0.2, "max_hz": 12.5}},
        ),
        scale=scale,
    )
    done, facts = signals(tmp_path, recipe)
    hertz = ["2.5", "5", "7.5", "10", "12.5"]
    assert facts.channels == tuple(f"{c} {hz} Hz" for c in ("left", "right") for hz in hertz)
    assert (facts.rate_hz, facts.vocab_size) == (5.0, None)
    for row in stored(done).values():
        assert row["length"] == 1 + (row["record_length"] - 20) // 10
        assert len(row["values"]) == row["length"] * 10
    assert_predicted_as_stored(tmp_path, done, recipe, domain="eeg")
    assert (done.steps_after["train"], done.vocab_size) == (
        sum(row["length"] for row in stored_split(done, "train")),
        None,
    )


def stored_split(done: Prepared, split: Any) -> list[dict[str, Any]]:
    """All rows of a split."""
    snapshot = Snapshot.read(Path(done.snapshot))
    return [row for one in snapshot.of(split) for row in read_shard(snapshot, one).to_pylist()]


def test_views_of_spectra_are_drawn_after_they_are_merged(tmp_path: Path) -> None:
    """A crop of 4 spectra would be one of 4 samples, or evaluation be cropped too."""
    crop = {"subsequences": {"pieces": 1, "piece": 4, "when": "train"}}
    recipe = Prepare(steps=({"spectrum": {"window_s": 0.4, "stride_s": 0.2}}, crop))
    _, facts = signals(tmp_path, recipe)
    assert [(step["name"], step["position"]) for step in facts.on_the_fly] == [("subsequences", 1)]
    stored_views = Prepare(
        recipe="views",
        steps=(recipe.steps[0], {"subsequences": {"pieces": 1, "piece": 4, "views": 2}}),
    )
    done, _ = made(tmp_path, stored_views, domain="eeg")
    for row in stored_split(done, "train"):
        assert row["length"] == 4 or row["view"] == 0


def test_symbols_are_tokens_with_a_vocabulary(tmp_path: Path) -> None:
    """Signals could not take part in anything that is made for tokens."""
    recipe = Prepare(
        tokens=Tokens(unit="symbol", block=4, alphabet=3),
        steps=({"summarize": {"min_count": 2}}, {"truncate": {"length": 12, "keep": "tail"}}),
    )
    done, facts = signals(tmp_path, recipe)
    assert facts.channels == ()
    assert facts.vocab_size is not None and 4 <= facts.vocab_size <= 2 + 9
    assert {row["length"] for row in stored(done).values()} == {12}
    assert_predicted_as_stored(tmp_path, done, recipe, domain="eeg")
    by_step = Prepare(recipe="step", steps=({"sax": {"block": 4, "alphabet": 3}}, *recipe.steps))
    other, _ = made(tmp_path, by_step, domain="eeg")
    assert stored(other) == stored(done)


def test_symbols_can_become_values_again(tmp_path: Path) -> None:
    """Shares of symbols, a common summary of a signal, could not be had."""
    recipe = Prepare(
        steps=(
            {"sax": {"block": 2, "alphabet": 2}},
            {"one_hot": {}},
            {"block_means": {"block": 5}},
        )
    )
    done, facts = signals(tmp_path, recipe)
    assert set(facts.channels) == {"OOV", "aa", "ab", "ba", "bb"}
    assert facts.rate_hz == RATE_HZ / 10
    for row in stored(done).values():
        shares = np.array(row["values"]).reshape(row["length"], 5)
        np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    assert_predicted_as_stored(tmp_path, done, recipe, domain="eeg")


def test_one_hot_tokens_are_named_by_their_vocabulary(tmp_path: Path) -> None:
    """Channels would not be those of the stored vocabulary, OOV first."""
    write_sequences(tmp_path, documents(40), dataset="d")
    recipe = Prepare(steps=({"summarize": {"max_vocab": 5}}, {"one_hot": {}}))
    done, facts = made(tmp_path, recipe, domain="text")
    assert (facts.channels[:2], len(facts.channels)) == (("OOV", "w0"), 6)
    assert (facts.vocab_size, done.vocab_size) == (None, None)
    for row in stored(done).values():
        steps = np.array(row["values"]).reshape(row["length"], 6)
        assert (steps.sum(axis=1) == 1).all()
    assert_predicted_as_stored(tmp_path, done, recipe, domain="text")


@pytest.mark.parametrize("before", [(), ({"summarize": {"max_vocab": 9}},)])
def test_hashed_grams_need_no_vocabulary_and_may_have_one(tmp_path: Path, before: Any) -> None:
    """Blocks would be hashed by the place of a token in a chunk's dictionary."""
    write_sequences(tmp_path, documents(40), dataset="d")
    recipe = Prepare(steps=(*before, {"hash": {"n": 2, "block": 8, "features": 16}}))
    done, facts = made(tmp_path, recipe, domain="text")
    assert facts.channels == tuple(f"hash {n}" for n in range(16))
    for row in stored(done).values():
        assert len(row["values"]) == 16 * row["length"]
    assert_predicted_as_stored(tmp_path, done, recipe, domain="text")


def test_a_record_without_steps_left_is_one_zero_step(tmp_path: Path) -> None:
    """A record would vanish from prediction because its tokens are all rare."""
    records = [{"text": "a b " * n, "label": "xy"[n % 2]} for n in range(1, 15)]
    records.append({"text": "zebra", "label": "x", "source": "z.txt"})
    write_sequences(tmp_path, records, dataset="d")
    recipe = Prepare(
        steps=({"summarize": {"min_count": 2}}, {"one_hot": {}}, {"block_means": {"block": 2}}),
    )
    done, _ = made(tmp_path, recipe, domain="text")
    row = stored(done)["z.txt#0"]
    assert (row["length"], set(row["values"])) == (1, {0.0})
    assert done.emptied == 1


def test_labels_of_steps_are_merged_by_majority(tmp_path: Path) -> None:
    """Labels would be stored for the steps before they were merged."""
    records = [
        {"values": [float(n)] * 7, "targets": [0, 0, 1, 1, 1, 1, 0], "source": f"{n}.csv"}
        for n in range(12)
    ]
    write_sequences(
        tmp_path,
        records,
        domain="eeg",
        task="label_steps",
        dataset="d",
        channels=("x",),
        rate_hz=10.0,
        target_classes=("no", "yes"),
    )
    recipe = Prepare(steps=({"block_means": {"block": 3, "targets": "majority"}},))
    done, facts = made(tmp_path, recipe, domain="eeg", task="label_steps")
    assert {tuple(row["targets"]) for row in stored(done).values()} == {(0, 1, 0)}
    assert facts.rate_hz == pytest.approx(10 / 3)


def test_a_vocabulary_too_large_for_one_hot_is_refused(tmp_path: Path) -> None:
    """Preparation would fill the disk with zeros."""
    words = [
        {"text": " ".join(f"w{n * 90 + k}" for k in range(90)), "label": "ab"[n % 2]}
        for n in range(30)
    ]
    write_sequences(tmp_path, words, dataset="d")
    with pytest.raises(ConfigError, match=r"one_hot: the vocabulary has 1,620 tokens .*max_vocab"):
        made(tmp_path, Prepare(steps=({"one_hot": {}},)), domain="text")


def test_a_limit_of_a_vocabulary_that_is_never_fitted_is_refused(tmp_path: Path) -> None:
    """`max_vocab` would be accepted and do nothing."""
    recipe = Prepare(tokens=Tokens(max_vocab=9), steps=({"hash": {"block": 8, "features": 16}},))
    with pytest.raises(ConfigError, match="max_vocab has no meaning"):
        made(tmp_path, recipe, domain="text")


def test_a_missing_rate_is_told_before_work_starts(tmp_path: Path) -> None:
    """Filters would be designed for a rate that nobody stated."""
    write_sequences(
        tmp_path, [{"values": [1.0, 2.0], "label": "a"}], domain="eeg", dataset="d", channels=("x",)
    )
    recipe = Prepare(steps=({"bandpass": {"low_hz": 1}},))
    with pytest.raises(ConfigError, match=r"bandpass needs to know .* source.rate_hz"):
        made(tmp_path, recipe, domain="eeg")
