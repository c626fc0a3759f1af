"""Task next: what is stored, and what batches make of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqprep.batches import BatchSettings, BatchSource
from seqprep.foretold import Edges
from seqprep.prepare import prepare
from seqprep.ragged import row_keys
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.schema import BOS, EOS, IGNORED_LABEL, NUM_RESERVED_TARGET, OOV
from seqprep.snapshot import Snapshot
from tests.synthetic import documents, example_table, facts_of_task, write_sequences

ROWS = {"tokens": [[4, 5, 6], [7], [1, 4]]}
SETTINGS = BatchSettings(batch_tokens=100)


def rows_of(source: BatchSource, epoch: int | None) -> dict[str, tuple[list[int], list[int]]]:
    """Real steps and targets of every row by id; of an evaluation without an epoch."""
    plan = source.plan_evaluation() if epoch is None else source.plan(epoch)
    return {
        id_: (batch.inputs[row, :length].tolist(), batch.targets[row, :length].tolist())
        for batch in source.batches(plan)
        for row, (id_, length) in enumerate(zip(batch.ids.to_pylist(), batch.lengths, strict=True))
    }


def test_the_target_of_every_step_is_the_symbol_after_it() -> None:
    """A target that is the step itself is foretold by heart, and its perplexity means nothing."""
    facts = facts_of_task("next", ROWS)
    source = BatchSource.of_examples(example_table(ROWS, facts), facts, settings=SETTINGS)
    found = rows_of(source, None)
    assert found["r#0"] == ([BOS, 4, 5, 6], [4, 5, 6, EOS])
    assert found["r#1"] == ([BOS, 7], [7, EOS])
    batch = next(source.batches(source.plan_evaluation()))
    past = np.arange(batch.inputs.shape[1]) >= batch.lengths[:, None]
    assert (batch.targets[past] == IGNORED_LABEL).all()  # type: ignore[index]


def test_plans_count_the_step_that_batches_add() -> None:
    """A budget kept by stored lengths would be passed by every batch."""
    facts = facts_of_task("next", ROWS)
    table = example_table(ROWS, facts)
    source = BatchSource.of_examples(table, facts, settings=BatchSettings(batch_tokens=4))
    for plan in (source.plan(0), source.plan_evaluation()):
        for batch in source.batches(plan):
            assert batch.inputs.size <= 4
            assert batch.lengths.tolist() == plan.lengths[batch.rows].tolist()


def test_a_view_never_parts_a_step_from_the_symbol_after_it() -> None:
    """Steps removed at random must leave a row whose targets are still its own next steps."""
    step = {"name": "remove_steps", "position": 0, "length": 4}
    data = {"tokens": [list(range(4, 24))]}
    facts = facts_of_task("next", data, on_the_fly=(step,), vocab_size=30)
    source = BatchSource.of_examples(example_table(data, facts), facts, settings=SETTINGS)
    source.facts = facts
    for epoch in range(3):
        read, follows = rows_of(source, epoch)["r#0"]
        assert len(read) == 5 and read[0] == BOS and follows[-1] == EOS
        assert read[1:] == follows[:-1]


def windows_of(records: list[list[int]], *, length: int, stride: int) -> dict[str, Any]:
    """Columns of the windows of records, as the step `windows` cuts them."""
    data: dict[str, Any] = {"tokens": [], "id": [], "window": []}
    for number, record in enumerate(records):
        count = 1 + -(-max(len(record) - length, 0) // stride)
        for window in range(count):
            data["tokens"].append(record[window * stride : window * stride + length])
            data["id"].append(f"{number}")
            data["window"].append(window)
    return data


@pytest.mark.parametrize("stride", [4, 3, 1])
def test_windows_foretell_every_symbol_of_a_record_once(stride: int) -> None:
    """A window that ended in EOS, or scored the overlap again, would be of another process."""
    records = [[4, 5, 6, 7, 8, 9], [7], [4, 5, 6, 7], [5, 6, 7, 8, 9, 4, 4, 5, 6, 7, 7]]
    data = windows_of(records, length=4, stride=stride)
    facts = facts_of_task("next", data, window_stride=stride, vocab_size=10)
    source = BatchSource.of_examples(example_table(data, facts), facts, settings=SETTINGS)
    found: dict[str, list[int]] = {}
    for examples in source.as_read():
        assert examples.targets is not None
        reads = np.split(examples.inputs.values, examples.inputs.offsets[1:-1])
        follows = np.split(examples.targets.values, examples.targets.offsets[1:-1])
        for row, (read, follow) in enumerate(zip(reads, follows, strict=True)):
            assert read[0] == (BOS if data["window"][row] == 0 else OOV)
            assert read[1:].tolist() == data["tokens"][row]
            scored = follow[follow != IGNORED_LABEL].tolist()
            assert all(
                x in (IGNORED_LABEL, y) for x, y in zip(follow, [*read[1:], EOS], strict=True)
            )
            found.setdefault(data["id"][row], []).extend(scored)
    assert found == {f"{n}": [*record, EOS] for n, record in enumerate(records)}


def test_batches_and_windows_of_shards_read_the_same() -> None:
    """Training by segments reads windows of shards, an evaluation reads batches."""
    data = windows_of([[4, 5, 6, 7, 4, 5], [6]], length=4, stride=3)
    facts = facts_of_task("next", data, window_stride=3)
    source = BatchSource.of_examples(example_table(data, facts), facts, settings=SETTINGS)
    whole, rows = source.window((0,), -1)
    assert whole.targets is not None and rows.tolist() == [0, 1, 2]
    found = {
        int(row): batch.targets[n, : batch.lengths[n]].tolist()  # type: ignore[index]
        for batch in source.batches(source.plan_evaluation())
        for n, row in enumerate(batch.rows)
    }
    assert found == {0: [4, 5, 6, 7, -1], 1: [-1, 4, 5, EOS], 2: [6, EOS]}
    assert whole.targets.values.tolist() == [*found[0], *found[1], *found[2]]


def test_a_piece_has_an_edge_of_its_record_only_where_it_reaches_it() -> None:
    """A model told that records end anywhere would foretell an end at every step."""
    step = {"name": "subsequences", "position": 0, "pieces": 1, "piece": 3, "overlap": "forbid"}
    data = {"tokens": [[4, 5, 6, 7, 8]]}
    facts = facts_of_task("next", data, on_the_fly=(step,), vocab_size=9)
    source = BatchSource.of_examples(example_table(data, facts), facts, settings=SETTINGS)
    source.facts = facts
    seen = set()
    for epoch in range(40):
        read, follows = rows_of(source, epoch)["r#0"]
        assert read[0] == (BOS if read[1] == 4 else OOV)
        assert follows[-1] == (EOS if read[-1] == 8 else IGNORED_LABEL)
        assert follows[:-1] == read[1:]
        seen.add(read[1])
    assert seen == {4, 5, 6}
    assert rows_of(source, None)["r#0"] == ([BOS, 4, 5, 6, 7, 8], [4, 5, 6, 7, 8, EOS])


def test_a_stored_view_tells_nothing_of_where_records_begin_and_end() -> None:
    """What a view left out is not stored: its edges may be anywhere in the record."""
    data = {"tokens": [[4, 5, 6], [5, 6]], "id": ["a", "a"], "view": [0, 1]}
    facts = facts_of_task("next", data)
    source = BatchSource.of_examples(example_table(data, facts), facts, settings=SETTINGS)
    batches = source.batches(source.plan_evaluation())
    found = {
        int(row): (batch.inputs[n, : batch.lengths[n]].tolist(), batch.targets[n].tolist())  # type: ignore[index]
        for batch in batches
        for n, row in enumerate(batch.rows)
    }
    assert found[0] == ([BOS, 4, 5, 6], [4, 5, 6, EOS])
    assert found[1][0] == [OOV, 5, 6] and found[1][1][:3] == [5, 6, IGNORED_LABEL]


def test_the_other_strand_of_a_cut_record_begins_at_its_cut() -> None:
    """Turned round, the end that is missing would be taken for the one that is there."""
    edges = Edges(np.array([False, True]), np.array([True, True]), np.zeros(2, np.int32))
    step = {"name": "reverse_complement", "position": 0, "p": 1.0}
    keys = np.arange(2, dtype=np.uint64)
    turned = edges.after(np.array([3, 3]), step, keys, seed=0, view=1)
    assert turned.begins.tolist() == [True, True] and turned.ends.tolist() == [False, True]


def test_windows_are_found_in_any_order() -> None:
    """Rows of a split lie in several shards, and records beside each other."""
    rng = np.random.default_rng(0)
    data = windows_of([list(range(4, n)) for n in (30, 9, 17, 5)], length=6, stride=4)
    keys = row_keys(example_table(data, facts_of_task("next", data))["id"].combine_chunks())
    windows = np.asarray(data["window"])
    lengths = np.asarray([len(row) for row in data["tokens"]])
    whole = Edges.of(keys, 0 * windows, windows, lengths, stride=4)
    assert (whole.shared[windows > 0] == 2).all() and not whole.shared[windows == 0].any()
    assert whole.ends.sum() == whole.begins.sum() == 4
    order = rng.permutation(len(windows))
    turned = Edges.of(keys[order], 0 * windows, windows[order], lengths[order], stride=4)
    for name in ("begins", "ends", "shared"):
        np.testing.assert_array_equal(getattr(turned, name), getattr(whole.take(order), name))


def test_prepared_windows_foretell_each_symbol_of_the_text_once(tmp_path: Path) -> None:
    """What preparation cuts, shards and shuffles must come together as the texts again."""
    recipe = Prepare(
        tokens=Tokens(unit="word"), steps=({"windows": {"length": 5, "stride": 3}},), buckets=2
    )
    scored = []
    for steps in (recipe.steps, ()):
        write_sequences(tmp_path, documents(40), task="next")
        done = prepare(
            dataset="synthetic",
            store=tmp_path,
            domain="text",
            task="next",
            split=Split(),
            recipe=Prepare(tokens=recipe.tokens, steps=steps, buckets=2),
            workers=1,
        )
        source = BatchSource.of_snapshot(
            Snapshot.read(Path(done.snapshot)), "train", settings=SETTINGS
        )
        targets = [
            batch.targets[batch.targets != IGNORED_LABEL]  # type: ignore[index]
            for batch in source.batches(source.plan(0))
        ]
        scored.append(np.bincount(np.concatenate(targets)))
    np.testing.assert_array_equal(scored[0], scored[1])
    assert scored[0][EOS] == len(source)


def test_preparation_reserves_the_ids_of_begin_and_end(tmp_path: Path) -> None:
    """Tokens that share an id with BOS or EOS would end every text in its middle."""
    write_sequences(tmp_path, documents(40), task="next")
    done = prepare(
        dataset="synthetic",
        store=tmp_path,
        domain="text",
        task="next",
        split=Split(),
        recipe=Prepare(tokens=Tokens(unit="word"), buckets=2),
        workers=1,
    )
    snapshot = Snapshot.read(Path(done.snapshot))
    source = BatchSource.of_snapshot(snapshot, "train", settings=SETTINGS)
    stored = np.concatenate([examples.inputs.values for examples in source.examples()])
    assert stored.min() == NUM_RESERVED_TARGET
    assert snapshot.facts.vocab_size == stored.max() + 1
