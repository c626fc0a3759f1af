"""Byte pairs: no text is lost, the same rows give the same entries, and the library may lack."""

from __future__ import annotations

import sys

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders

from seqprep.errors import ConfigError
from seqprep.recipe import Tokens
from seqprep.tokens import Encoder, byte_pairs, train_byte_pairs
from seqprep.tokens.encoded import lower
from tests.seqprep.test_tokens import decoded

ROWS = pa.array(["the cat sat on the mat", "The hat, the bat; it's 42!", "", "naïve café 中文 🙂"])
STATE = train_byte_pairs(iter([ROWS]), vocab=300, lowercase=True)
CASED = train_byte_pairs(iter([ROWS]), vocab=300, lowercase=False)


def pieces(texts: list[str], *, lowercase: bool = True) -> list[list[str]]:
    tokens = Tokens(unit="bpe", vocab=300, lowercase=lowercase)
    with Encoder.of(tokens, byte_pairs=STATE if lowercase else CASED) as encoder:
        return decoded(encoder.encode(pa.array(texts, pa.string())))


@given(st.lists(st.text(max_size=30), max_size=4), st.booleans())
def test_pieces_joined_and_decoded_are_the_text(texts: list[str], lowercase: bool) -> None:
    """A letter outside the training rows, or white space, would vanish from the text."""
    expected = lower(pa.array(texts, pa.string())).to_pylist() if lowercase else texts
    found = pieces(texts, lowercase=lowercase)
    assert [decoders.ByteLevel().decode(row) if row else "" for row in found] == expected


def test_frequent_pairs_are_merged_and_others_are_bytes() -> None:
    """The vocabulary would not follow the training rows: `the` would cost as much as `xyz`."""
    assert pieces(["the"]) == [["the"]]
    assert pieces(["xyz"]) == [["x", "y", "z"]]
    assert pieces(["\x00"]) == [["Ā"]]
    assert pieces(["The"], lowercase=False) != pieces(["The"])


def test_the_vocabulary_is_as_large_as_asked_at_most() -> None:
    """A model would be sized for entries that do not exist, or memory exceed what was asked."""
    repeated = train_byte_pairs(iter([pa.array(["ab ab cd cd cd"])]), vocab=258, lowercase=True)
    assert Tokenizer.from_str(repeated).get_vocab_size() == 258
    assert '"merges":[["c","d"]' in repeated
    nothing = train_byte_pairs(iter([]), vocab=300, lowercase=True)
    assert Tokenizer.from_str(nothing).get_vocab_size() == 256
    smallest = train_byte_pairs(iter([ROWS]), vocab=256, lowercase=True)
    assert Tokenizer.from_str(smallest).get_vocab_size() == 256


@given(st.lists(st.text(alphabet="ab cé", max_size=8), max_size=8), st.integers(0, 8))
def test_entries_follow_from_the_rows_alone(texts: list[str], cut: int) -> None:
    """Another number of chunks, or another run, would give other ids for the same rows."""
    rows = pa.array(texts, pa.string())
    once = train_byte_pairs(iter([rows]), vocab=280, lowercase=True)
    parts = iter([rows.slice(0, cut), rows.slice(cut)])
    assert train_byte_pairs(parts, vocab=280, lowercase=True) == once


@pytest.mark.parametrize("text", ["ab c  de f\n\ng h i " * 9, "x" * 50, " " * 50, "x \u2003 y"])
def test_long_texts_are_cut_where_the_library_cuts(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A text of 100 MB would need gigabytes at once, or a word at a cut be spelt in two ways."""
    whole = pieces([text, "the end"])
    state = train_byte_pairs(iter([pa.array([text])]), vocab=260, lowercase=True)
    monkeypatch.setattr(byte_pairs, "PIECE", 8)
    monkeypatch.setattr(byte_pairs, "BATCH_BYTES", 16)
    cut = byte_pairs.space_pieces(text)
    assert "".join(cut) == text and max(map(len, cut)) <= 8
    again = pieces([text, "the end"])
    assert [decoders.ByteLevel().decode(row) for row in again] == [text, "the end"]
    if "x" not in text and text.strip():  # without a space in reach it is cut anywhere
        assert again == whole
        assert train_byte_pairs(iter([pa.array([text])]), vocab=260, lowercase=True) == state


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person without the extra would get a traceback instead of the command that helps."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match=r"pip install 'seqprep\[bpe\]'"):
        Encoder.of(Tokens(unit="bpe"), byte_pairs=STATE)
    with pytest.raises(ConfigError, match=r"tokens.unit: bpe needs the library tokenizers"):
        train_byte_pairs(iter([ROWS]), vocab=300, lowercase=True)


def test_an_encoder_without_fitted_pairs_is_refused() -> None:
    """Prediction would spell with other pairs than training."""
    with pytest.raises(ValueError, match="needs the byte pairs that were fitted"):
        Encoder.of(Tokens(unit="bpe"))
