"""What prepare reuses must lie there whole."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from seqprep.errors import CorruptError
from seqprep.fitted import Fitted
from seqprep.recipe import Prepare, Tokens
from seqprep.table import Table
from tests.seqprep.test_prepare import prepared
from tests.stores import documents_of, ingested
from tests.stores import prepared as prepared_documents
from tests.synthetic import documents, write_sequences


def test_preparing_again_mends_a_lost_shard(tmp_path: Path) -> None:
    """Would break if a version that lacks a file were reused: no rerun could ever mend it."""
    write_sequences(tmp_path, documents(40))
    first = prepared(tmp_path)
    (examples,) = tmp_path.glob("*/examples-*")
    shard = next(examples.rglob("*.parquet"))
    data = shard.read_bytes()
    shard.unlink()
    again = prepared(tmp_path)
    assert (again.reused, again.rows) == (False, first.rows)
    assert shard.read_bytes() == data
    Table(examples).verify()
    assert prepared(tmp_path).reused


def test_altered_sequences_are_found_before_they_are_prepared(tmp_path: Path) -> None:
    """Would break if other rows in a valid Parquet file were prepared as the committed ones."""
    write_sequences(tmp_path, documents(40))
    path = next(tmp_path.glob("*/sequences/*.parquet"))
    rows = pq.read_table(path)
    pq.write_table(rows.slice(1), path)
    with pytest.raises(CorruptError, match="not those that were committed"):
        prepared(tmp_path)


def test_byte_pairs_are_fitted_again_only_where_their_rows_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another length would cost the whole pass again; other rows would get pieces of the old."""

    def pieces(length: int, vocab: int = 270, **options: bool) -> str | None:
        tokens = Tokens(unit="bpe", vocab=vocab)
        recipe = Prepare(tokens=tokens, steps=({"truncate": {"length": length}},))
        version = prepared_documents(tmp_path, recipe, **options).version
        (examples,) = tmp_path.glob("store/d/examples-*")
        state = Table(examples).state.get(Table(examples).info(version).state["fitted"])
        return Fitted.from_bytes(state).byte_pairs

    ingested(tmp_path, documents_of())
    first = pieces(5)
    with monkeypatch.context() as patch:
        patch.delattr("tokenizers.trainers.BpeTrainer")
        assert pieces(6) == pieces(7) == first
        with pytest.raises(AttributeError, match="BpeTrainer"):
            pieces(6, vocab=280)
        with pytest.raises(AttributeError, match="BpeTrainer"):
            pieces(8, refit=True)
    ingested(tmp_path, {f"pos/zoe-{n}.txt": "zzzz zzzz zzzz zzzz" for n in range(40)})
    assert pieces(7) == first  # data that joins finds what was fitted
    grown = pieces(8)  # other options fit anew, on all there is
    assert grown not in (None, first)
    with monkeypatch.context() as patch:
        patch.delattr("tokenizers.trainers.BpeTrainer")
        assert pieces(9) == grown
