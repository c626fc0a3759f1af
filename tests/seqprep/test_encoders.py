"""Tokenisers that are more than a rule take part in preparation and prediction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from seqprep.fitted import Fitted
from seqprep.preparation.applied import Applier
from seqprep.prepare import apply_fitted
from seqprep.recipe import Prepare, Tokens
from seqprep.table import Table
from tests.seqprep.test_prepare import BY_PATH, fitted_of, prepared, rows_of, three_ways
from tests.synthetic import write_sequences

RECIPES = [
    Prepare(tokens=Tokens(unit="bpe", vocab=270), buckets=2),
    Prepare(tokens=Tokens(unit="word", tokenizer="treebank"), buckets=2),
    Prepare(tokens=Tokens(unit="word", tokenizer="casual"), buckets=2),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_predictions_read_records_as_training_did(tmp_path: Path, recipe: Prepare) -> None:
    """A model would be given other tokens than it was trained on."""
    table = write_sequences(tmp_path, three_ways(60))
    done = prepared(tmp_path, split=BY_PATH, recipe=recipe)
    fitted = Fitted.from_bytes(fitted_of(tmp_path, done))
    records = table.read_group(table.files()[0], 0)
    applied = apply_fitted(records, domain="text", task="classify", recipe=recipe, fitted=fitted)
    stored = {row["id"]: row["tokens"] for row in rows_of(done)}
    found = {row["id"]: row["tokens"] for row in applied.to_pylist()}
    assert found and found.items() <= stored.items()


def test_records_in_parts_are_read_alike_with_one_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte pairs would be parsed again for every few records of a prediction."""
    table = write_sequences(tmp_path, three_ways(60))
    fitted = Fitted.from_bytes(fitted_of(tmp_path, prepared(tmp_path, recipe=RECIPES[0])))
    records = table.read_group(table.files()[0], 0)
    options: Any = {"domain": "text", "task": "classify", "recipe": RECIPES[0], "fitted": fitted}
    whole = apply_fitted(records, **options)
    with Applier.of(**options) as applier:
        monkeypatch.setattr("seqprep.tokens.byte_pairs.load_library", pytest.fail)
        parts = [applier.apply(records.slice(start, 3)) for start in range(0, len(records), 3)]
    assert len(parts) > 1 and pa.concat_tables(parts).equals(whole)


def test_byte_pairs_are_learnt_from_training_rows(tmp_path: Path) -> None:
    """Pieces of test records would be in the vocabulary (mistake 8)."""
    honest = three_ways(120)
    garbage = [
        record if n % 3 == 0 else {**record, "text": f"zebra {n} " * 40}
        for n, record in enumerate(honest)
    ]
    states = []
    for number, records in enumerate((honest, garbage)):
        store = tmp_path / str(number)
        write_sequences(store, records)
        states.append(fitted_of(store, prepared(store, split=BY_PATH, recipe=RECIPES[0])))
    assert states[0] == states[1]
    assert "merges" in json.loads(json.loads(states[0])["byte_pairs"])["model"]


def test_byte_pairs_stay_while_data_is_appended(tmp_path: Path) -> None:
    """Yesterday's ids would stand for other pieces today."""
    records = three_ways(60)
    write_sequences(tmp_path, records, file_rows=30)
    first = prepared(tmp_path, recipe=RECIPES[0])
    more: list[dict[str, Any]] = [
        {"text": f"zebra quagga {n}", "label": "pos", "source": f"g{n}.txt"} for n in range(30)
    ]
    write_sequences(tmp_path, [*records, *more], file_rows=30)
    done = prepared(tmp_path, recipe=RECIPES[0])
    assert (done.added, done.frozen_from) == (30, first.version)
    assert fitted_of(tmp_path, done) == fitted_of(tmp_path, first)
    assert Table(tmp_path / "synthetic" / "examples-default").verify() > 0
