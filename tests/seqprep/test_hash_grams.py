"""Hashed n-grams: the same numbers on every machine, from the text of tokens alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from seqprep.blocks import block_spans
from seqprep.frequency import Frequency
from seqprep.hashing import mix, row_keys
from seqprep.preparation.chain import Chain
from seqprep.preparation.form import Form
from seqprep.recipe import Prepare
from seqprep.transforms import build_steps, hash_grams
from seqprep.transforms.hash_grams import HashGrams
from seqprep.vocabulary import build_vocabulary
from tests.seqprep.chunks import applied, chunk_of, rows_of, targets_of

TEXTS = ["ab", "cd", "e"]


def hashed(rows: list[list[int]], texts: list[str] = TEXTS, **options: int) -> list[list]:
    """The vectors of each row."""
    chunk = chunk_of(rows, dtype=np.int32)
    return [row.tolist() for row in rows_of(applied(chunk, {"hash": options}, strings=texts))]


def test_the_vectors_are_these_on_every_machine() -> None:
    """A dataset prepared elsewhere, or a bundle in use, would see other features."""
    vectors = hashed([[0, 1, 0, 2], [1]], n=2, block=4, features=8)
    assert vectors == [[[0, -1, 0, 0, -2, 0, -1, 1]], [[0, 0, 0, 0, 0, 0, 0, 1]]]


def test_only_the_text_of_tokens_counts() -> None:
    """Another chunk, with another dictionary, would give other vectors."""
    first = hashed([[0, 1, 0, 2]], n=3, block=4, features=16)
    assert hashed([[2, 0, 2, 1]], ["cd", "e", "ab"], n=3, block=4, features=16) == first


def test_the_order_inside_a_gram_counts_and_that_of_single_tokens_does_not() -> None:
    """n-grams would say no more than counts of tokens."""
    assert hashed([[0, 1]], n=1, block=2, features=64) == hashed(
        [[1, 0]], n=1, block=2, features=64
    )
    assert hashed([[0, 1]], n=2, block=2, features=64) != hashed(
        [[1, 0]], n=2, block=2, features=64
    )


def test_grams_are_each_counted_once_with_a_sign() -> None:
    """A gram would be lost, counted twice, or cross into the next block or record."""
    rows = [[0, 1, 2, 0, 1, 1], [2]]
    vectors = hashed(rows, n=2, block=4, features=10_000)
    # 4 + 3 grams, then 2 + 1 (twice the same token), then 1.
    assert [np.abs(vector).sum() for row in vectors for vector in row] == [7, 3, 1]
    alone = [hashed([part], n=2, block=4, features=10_000)[0][0] for part in ([0, 1, 2, 0], [1, 1])]
    assert vectors[0] == alone


def test_a_gram_is_the_sum_of_hashes_by_hand() -> None:
    """Features and signs would not be those that the docstring says."""
    keys = row_keys_of(["ab", "cd"])
    pair = mix(keys[:1] ^ mix(keys[1:], 2))
    expected = np.zeros(16)
    for gram in (keys[:1], keys[1:], pair):
        drawn = int(mix(gram, 19)[0])
        expected[(drawn >> 1) % 16] += 1 - 2 * (drawn & 1)
    assert hashed([[0, 1]], n=2, block=2, features=16) == [[expected.tolist()]]


def row_keys_of(texts: list[str]) -> np.ndarray:
    """The hash of each text."""
    return row_keys(pa.array(texts))


def test_signs_keep_inner_products_unbiased() -> None:
    """Collisions would add up instead of cancelling out."""
    texts = [f"word {n}" for n in range(400)]
    (row,) = hashed([list(range(400))], texts, n=1, block=400, features=7)
    assert abs(sum(row[0])) < 80


def test_the_size_of_working_blocks_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long records would be hashed otherwise than short ones."""
    rows = [[0, 1, 2, 2, 1, 0, 0], [], [2, 2, 1]]
    whole = hashed(rows, n=3, block=2, features=32)
    monkeypatch.setattr(hash_grams, "_BLOCK_STEPS", 3)
    assert hashed(rows, n=3, block=2, features=32) == whole


def test_targets_are_those_of_the_blocks() -> None:
    """Vectors and their targets would fall apart."""
    chunk = chunk_of([[0, 1, 2], []], targets=[[3, 4, 5], []], dtype=np.int32)
    result = applied(chunk, {"hash": {"block": 2, "features": 4}}, strings=TEXTS)
    assert targets_of(result) == [[4, 5], []]


def test_unknown_tokens_share_one_hash() -> None:
    """A token that no training row holds would pass for a known one, or have no hash at all."""
    keys = row_keys_of(TEXTS)
    keys = np.append(keys, hash_grams._UNKNOWN)
    spans = block_spans(np.array([0, 2]), block=1)
    vectors = hash_grams.hash_grams(np.array([3, 0]), keys, spans, n=1, features=1000)
    assert np.abs(vectors).sum(axis=1).tolist() == [1, 1]
    assert vectors[0].tolist() != vectors[1].tolist()


def test_tokens_beyond_the_limit_share_the_hash_of_unknown_ones() -> None:
    """`max_vocab` would be obeyed by ids and not by hashes."""
    table = Frequency(
        tokens=pa.array(TEXTS), counts=np.array([9, 5, 2]), records=None, num_records=3
    )
    options = {"n": 1, "block": 1, "features": 1000}
    steps = build_steps(Prepare(steps=({"summarize": {"min_count": 1}}, {"hash": options})))
    chain = Chain.of(steps, seed=0, form=Form(unit="word"))
    vocabulary = build_vocabulary(table, steps, max_vocab=1)
    chunk = chunk_of([[0, 1, 2]], dtype=np.int32)
    known, *others = chain.run(
        chunk, chain.late, vocabulary=vocabulary, strings=table.tokens
    ).steps.values.tolist()
    unknown = hash_grams.hash_grams(
        np.zeros(1, np.int64),
        hash_grams._UNKNOWN,
        block_spans(np.array([0, 1]), block=1),
        n=1,
        features=1000,
    )
    assert others == [unknown[0].tolist()] * 2
    assert [known] == hashed([[0]], **options)[0]


def test_features_are_named() -> None:
    """Reports and models would not know how wide the vectors are."""
    assert HashGrams(block=2, features=2).outcome(Form(unit="word")).channels == (
        "hash 0",
        "hash 1",
    )
