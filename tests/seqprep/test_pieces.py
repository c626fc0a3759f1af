"""Chunks in pieces: bounded memory must not change a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqprep.errors import SeqprepError
from seqprep.preparation import pieces
from seqprep.preparation.form import Form
from seqprep.preparation.lists import list_array
from seqprep.prepare import prepare
from seqprep.ragged import Ragged
from seqprep.recipe import Prepare, Split
from seqprep.snapshot import Snapshot, read_shard
from tests.seqprep.chunks import chunk_of, rows_of, values_form
from tests.synthetic import documents, write_sequences

WORDS = Form(unit="word")
HOT = Form(unit="value")


def lengths(rows: list[list[int]], forms: list[Form], vocabulary: int = 1) -> list[list[int]]:
    """The lengths of the rows of each piece."""
    chunk = chunk_of(rows, dtype=np.int32)
    cut = pieces.pieces(chunk, forms, vocabulary=vocabulary)
    return [[len(row) for row in rows_of(piece)] for piece in cut]


def test_pieces_hold_whole_records_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record would be cut in two, or a piece hold many times the limit."""
    monkeypatch.setattr(pieces, "PIECE_BYTES", 400)
    rows = [[0] * 5, [0] * 5, [0] * 30, [], [0] * 4, [0] * 4]
    assert lengths(rows, [WORDS, HOT], 10) == [[5, 5], [30], [0, 4, 4]]
    assert lengths(rows, [WORDS, WORDS], 10) == [[5, 5, 30, 0, 4, 4]]


def test_a_step_is_as_wide_as_the_chain_makes_it() -> None:
    """Pieces would be too large where a rate rises, or too many where steps are merged."""
    source = values_form(2, 100.0)
    assert pieces.step_bytes([source], vocabulary=1) == 8
    assert pieces.step_bytes([source, values_form(256, 100.0)], vocabulary=1) == 4 * 256
    assert pieces.step_bytes([source, values_form(36, 2.0)], vocabulary=1) == 8
    assert pieces.step_bytes([source, values_form(2, 400.0)], vocabulary=1) == 32


def test_more_numbers_than_a_list_holds_are_refused() -> None:
    """The places of rows would overflow, and rows be read at others' places."""
    values = np.broadcast_to(np.float32(0), (2**24 + 1, 128))
    rows = Ragged(values, np.array([0, 2**24 + 1]))
    with pytest.raises(SeqprepError, match=r"up to 16,777,217 steps of 128 numbers .*`windows`"):
        list_array(rows)


@pytest.mark.parametrize(
    ("domain", "task", "steps"),
    [
        ("eeg", "classify", ({"differences": {"n": 5}}, {"windows": {"length": 9}})),
        (
            "eeg",
            "classify",
            (
                {"truncate": {"length": 9, "keep": "random", "views": 2, "original": "drop"}},
                {"differences": {"n": 5}},
            ),
        ),
        ("eeg", "classify", ({"sax": {"block": 2}}, {"hash": {"block": 4, "features": 8}})),
        ("text", "classify", ({"windows": {"length": 9}}, {"one_hot": {}})),
        ("text", "translate", ({"summarize": {"max_vocab": 12}}, {"one_hot": {}})),
    ],
)
def test_small_pieces_give_the_same_rows(
    domain: Any, task: Any, steps: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, their labels or their targets would be lost or mixed up between pieces."""
    if domain == "text":
        records = [{**one, "target_text": one["text"][:3]} for one in documents(40)]
        facts: dict[str, Any] = {}
    else:
        rng = np.random.default_rng(5)
        records = [
            {"values": rng.normal(size=n).tolist(), "label": "ab"[n % 2]} for n in range(1, 41)
        ]
        facts = {"channels": ("x",), "rate_hz": 10.0}
    write_sequences(tmp_path, records, domain=domain, task=task, **facts)

    def rows(recipe: str) -> tuple[list[Any], dict[str, Any]]:
        done = prepare(
            dataset="synthetic",
            store=tmp_path,
            domain=domain,
            task=task,
            split=Split(),
            recipe=Prepare(recipe=recipe, steps=steps, scale="none"),
            workers=2,
        )
        snapshot = Snapshot.read(Path(done.snapshot))
        tables = [read_shard(snapshot, shard) for shard in snapshot.shards]
        return [table.to_pylist() for table in tables], done.steps_after

    whole = rows("whole")
    monkeypatch.setattr(pieces, "PIECE_BYTES", 500)
    assert rows("pieces") == whole
