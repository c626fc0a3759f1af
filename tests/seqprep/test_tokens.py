"""Content to tokens: words as NLTK cuts them, k-mers as a plain loop would."""

from __future__ import annotations

import re
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nltk.tokenize import WordPunctTokenizer

from seqprep.recipe import Tokens
from seqprep.tokens import (
    LETTERS,
    Encoded,
    encode,
    encode_characters,
    encode_kmers,
    encode_words,
    reverse_complements,
)
from seqprep.tokens import words as words_module
from seqprep.tokens.encoded import lower

DNA = st.lists(st.text(alphabet=LETTERS.decode(), max_size=24), min_size=1, max_size=6)


def decoded(encoded: Encoded) -> list[list[str]]:
    tokens = encoded.tokens.to_pylist()
    edges = encoded.ids.offsets.tolist()
    flat = [tokens[number] for number in encoded.ids.values.tolist()]
    return [flat[a:b] for a, b in pairwise(edges)]


# What Unicode has not assigned is a letter to one table and none to another.
ASSIGNED = st.characters(exclude_categories=("Cn", "Co", "Cs"))


@given(st.lists(st.text(ASSIGNED, max_size=20), min_size=1, max_size=5))
def test_words_equal_nltks_wordpunct(texts: list[str]) -> None:
    """Words would be cut elsewhere than the tokeniser that people know."""
    expected = [WordPunctTokenizer().tokenize(text) for text in texts]
    assert decoded(encode_words(pa.array(texts), lowercase=False)) == expected


@given(st.lists(st.text(alphabet="aB1_ \n\x1c.,-é½中", max_size=20), min_size=1, max_size=5))
def test_lower_case_comes_before_cutting(texts: list[str]) -> None:
    """`The` and `the` would be two words, or case folding move an edge."""
    expected = [WordPunctTokenizer().tokenize(text.lower()) for text in texts]
    assert decoded(encode_words(pa.array(texts), lowercase=True)) == expected


@given(
    st.lists(st.text(alphabet="aab\x00. é", max_size=40), min_size=1, max_size=8),
    st.integers(1, 30),
)
def test_words_follow_from_each_record_alone(texts: list[str], block_bytes: int) -> None:
    """Words would depend on which records share a block, or long ones be taken for short ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words_module, "BLOCK_BYTES", block_bytes)
        encoded = encode_words(pa.array(texts), lowercase=True)
    assert decoded(encoded) == [WordPunctTokenizer().tokenize(text.lower()) for text in texts]
    assert np.bincount(encoded.ids.values, minlength=len(encoded.tokens)).all()
    assert len(encoded.tokens.unique()) == len(encoded.tokens)


def assigned() -> list[str]:
    """Every character that Unicode has assigned as far as this Python knows."""
    points = (chr(point) for point in range(sys.maxunicode + 1))
    return [point for point in points if unicodedata.category(point) not in ("Cn", "Co", "Cs")]


def test_each_character_is_a_letter_or_not_as_nltk_sees_it() -> None:
    """A script that no example happened to hold would be cut elsewhere."""
    text = " ".join(f"a{point}a.{point}." for point in assigned())
    found = decoded(encode_words(pa.array([text]), lowercase=False))
    assert found == [WordPunctTokenizer().tokenize(text)]


def test_lower_case_of_each_character_is_pythons() -> None:
    """`text.lower()` in a notebook would give other words than the pipeline did."""
    texts = [text for point in assigned() for text in (f"a{point} b", f"{point}\u03a3")]
    assert lower(pa.array(texts)).to_pylist() == [text.lower() for text in texts]


@pytest.mark.real
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("folder", ["text_movie_reviews", "text_bbc_news"])
def test_words_of_real_documents_equal_nltks(datasets: Path, folder: str, lowercase: bool) -> None:
    """Real documents hold what invented ones do not: odd quotes, currency signs, long dashes."""
    texts = [
        path.read_bytes().decode("cp1252", errors="replace")
        for path in sorted((datasets / folder).glob("*/*.txt"))
    ]
    assert len(texts) >= 2000
    words = decoded(encode_words(pa.array(texts), lowercase=lowercase))
    tokenizer = WordPunctTokenizer()
    for text, found in zip(texts, words, strict=True):
        assert found == tokenizer.tokenize(text.lower() if lowercase else text)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_characters_are_code_points(texts: list[str]) -> None:
    """A letter of two bytes would be two steps, or records would run into each other."""
    assert decoded(encode_characters(pa.array(texts), lowercase=False)) == [
        list(text) for text in texts
    ]


def plain_kmers(bases: str, *, k: int, stride: int, canonical: bool) -> list[str]:
    complement = str.maketrans("ACGT", "TGCA")
    words = [bases[i : i + k] for i in range(0, len(bases) - k + 1, stride)]
    if k == 1 and not canonical:
        return words
    pure = [word if set(word) <= set("ACGT") else "N" * k for word in words]
    if canonical:
        pure = [min(word, word.translate(complement)[::-1]) for word in pure]
    return pure


@example(["ACGTACGTACGTNACGTTGCATGCATAA", "ACGTACGTACG"], 12, 2, True)
@given(DNA, st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_kmers_equal_a_plain_loop(rows: list[str], k: int, stride: int, canonical: bool) -> None:
    """k-mers would run over a record's end, or a canonical one depend on the strand."""
    found = decoded(encode_kmers(pa.array(rows), k=k, stride=stride, canonical=canonical))
    assert found == [plain_kmers(r, k=k, stride=stride, canonical=canonical) for r in rows]


def test_letters_of_either_case_are_bases_and_others_unknown() -> None:
    """Letters stand for themselves while all are capitals: others would be tokens of their own."""
    for row, expected in (("ACGTRX", "ACGTRN"), ("acgTrx", "ACGTRN"), ("AC-\u00e9", "ACNNN")):
        assert decoded(encode_kmers(pa.array([row, ""]), k=1)) == [list(expected), []]


@given(DNA, st.integers(1, 7))
def test_canonical_kmers_are_the_same_on_both_strands(rows: list[str], k: int) -> None:
    """The two strands of one molecule would look different."""
    pure = [re.sub("[^ACGT]", "A", row) for row in rows]
    other = [row.translate(str.maketrans("ACGT", "TGCA"))[::-1] for row in pure]
    here = decoded(encode_kmers(pa.array(pure), k=k, canonical=True))
    there = decoded(encode_kmers(pa.array(other), k=k, canonical=True))
    assert here == [row[::-1] for row in there]


def test_canonical_bases_are_two_and_unknown() -> None:
    """One letter is its own k-mer: its strand would still show."""
    assert decoded(encode_kmers(pa.array(["ACGTNR"]), k=1, canonical=True)) == [list("ACCANN")]


@given(st.lists(st.text(alphabet="ACGT", min_size=3, max_size=3), min_size=1, max_size=5))
def test_reverse_complement_twice_is_the_token(tokens: list[str]) -> None:
    """A view of the other strand would not come back to the first."""
    assert reverse_complements(reverse_complements(pa.array(tokens))).to_pylist() == tokens


@pytest.mark.parametrize(
    "tokens",
    [
        Tokens(unit="word"),
        Tokens(unit="character"),
        Tokens(unit="kmer", k=2),
        Tokens(unit="kmer", k=7),
    ],
)
def test_slices_and_nothing_are_encoded(tokens: Tokens) -> None:
    """A slice of an Arrow array would bring its neighbours' bytes along."""
    rows = pa.array(["ACGTACGT", "CC GG", "", "TTTTTTTT", "A"])
    whole = decoded(encode(rows, tokens))
    assert decoded(encode(rows.slice(1, 3), tokens)) == whole[1:4]
    assert decoded(encode(pa.chunked_array([rows.slice(0, 2), rows.slice(2)]), tokens)) == whole
    assert decoded(encode(pa.array(["", ""]), tokens)) == [[], []]
    assert decoded(encode(pa.array([], pa.string()), tokens)) == []
