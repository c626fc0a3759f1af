"""Task next: what is stored, and what batches make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqprep.batches import BatchSettings, BatchSource
from seqprep.prepare import prepare
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.schema import BOS, EOS, IGNORED_LABEL, NUM_RESERVED_TARGET
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
