"""NLTK's slower tokenisers: the same words as NLTK, whatever the batches and processes."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.tokenize import TreebankWordTokenizer, TweetTokenizer

from seqprep.errors import ConfigError, SeqprepError
from seqprep.recipe import Prepare, Tokens
from seqprep.tokens import Encoded, Encoder, nltk_words
from tests.seqprep.test_tokens import decoded

TREEBANK = Tokens(unit="word", tokenizer="treebank")
CASUAL = Tokens(unit="word", tokenizer="casual")
TEXTS = st.text(alphabet="aBé1 .,'\"(-:)D#@&;<3/\n中", max_size=40)


def words(texts: list[str], tokens: Tokens) -> list[list[str]]:
    with Encoder.of(tokens) as encoder:
        return decoded(encoder.encode(pa.array(texts, pa.string())))


@given(st.lists(TEXTS, max_size=4), st.booleans())
def test_treebank_words_equal_nltks(texts: list[str], lowercase: bool) -> None:
    """A person who names NLTK's tokeniser would get another one."""
    expected = [
        TreebankWordTokenizer().tokenize(text.lower() if lowercase else text) for text in texts
    ]
    assert words(texts, Tokens(unit="word", tokenizer="treebank", lowercase=lowercase)) == expected


@given(st.lists(TEXTS, max_size=4), st.booleans())
def test_casual_words_equal_nltks(texts: list[str], lowercase: bool) -> None:
    """A person who names NLTK's tokeniser would get another one."""
    expected = [TweetTokenizer(preserve_case=not lowercase).tokenize(text) for text in texts]
    assert words(texts, Tokens(unit="word", tokenizer="casual", lowercase=lowercase)) == expected


def test_each_tokenizer_cuts_in_its_own_way() -> None:
    """One name would silently mean another: all three would pass for words."""
    texts = ["I can't wait :D"]
    assert words(texts, TREEBANK) == [["i", "ca", "n't", "wait", ":", "d"]]
    assert words(texts, CASUAL) == [["i", "can't", "wait", ":D"]]
    punct = Tokens(unit="word", tokenizer="punct")
    assert words(texts, punct) == [["i", "can", "'", "t", "wait", ":", "d"]]
    assert words(texts, punct) == words(texts, Tokens(unit="word"))


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_cutting_long_casual_texts_at_line_ends_changes_nothing(parts: list[str]) -> None:
    """A document of megabytes would meet NLTK's time limit, or lose a word where it is cut."""
    text = "\n".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nltk_words, "PIECE", 7)
        assert "".join(nltk_words.line_pieces(text)) == text
        assert words([text], CASUAL) == [TweetTokenizer(preserve_case=False).tokenize(text)]


def test_half_a_surrogate_from_an_entity_is_replaced() -> None:
    """Arrow could not store the word, and a whole dataset would fail for one odd entity."""
    assert words(["a &#xD800; b &#129; c"], CASUAL) == [["a", "?", "b", "c"]]


def test_a_text_that_nltk_gives_up_on_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of digits would end in NLTK's traceback, with no word on which text it was."""
    monkeypatch.setattr("nltk.redos.DEFAULT_TIMEOUT", 0.001)
    with pytest.raises(SeqprepError, match=r"casual: NLTK gave up on a text of 5000 .* '11111"):
        words(["1" * 5000], CASUAL)


def same(one: Encoded, two: Encoded) -> bool:
    return (
        one.tokens.equals(two.tokens)
        and one.ids.values.tolist() == two.ids.values.tolist()
        and one.ids.offsets.tolist() == two.ids.offsets.tolist()
    )


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tasks out of a few bytes; nothing else differs."""
    monkeypatch.setattr(nltk_words, "BATCH_BYTES", 16)
    monkeypatch.setattr(nltk_words, "POOL_BYTES", 32)


@pytest.mark.usefixtures("small_batches")
def test_any_number_of_processes_gives_the_same_words() -> None:
    """Rows or ids would depend on which process was done first, or on the batches."""
    texts = pa.array([f"it's {n % 5} o'clock :) {'x' * n}" for n in range(40)] + ["", "last"])
    with Encoder.of(CASUAL, workers=1) as encoder:
        alone = encoder.encode(texts)
    assert alone.tokens.to_pylist() == list(dict.fromkeys(alone.tokens.to_pylist()))
    with Encoder.of(CASUAL, workers=2) as encoder:
        first, again = encoder.encode(texts), encoder.encode(texts.slice(0, 0))
        assert encoder.words is not None and encoder.words.runs_apart
        assert len(again.ids) == 0
    assert same(first, alone)


@pytest.mark.slow
@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("tokens", [TREEBANK, CASUAL])
def test_eight_processes_give_the_words_of_one(tokens: Tokens) -> None:
    """More processes than batches in turn would let order slip."""
    texts = pa.array([f"it's {n % 7} o'clock :) {'x' * (n % 50)}" for n in range(300)])
    with Encoder.of(tokens, workers=1) as one, Encoder.of(tokens, workers=8) as eight:
        assert same(one.encode(texts), eight.encode(texts))


def test_small_inputs_start_no_process() -> None:
    """A dataset of ten posts would wait for seconds until processes have started."""
    with Encoder.of(CASUAL, workers=8) as encoder:
        encoder.encode(pa.array(["a b"] * 10))
        assert encoder.words is not None and not encoder.words.runs_apart


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 20))
def test_batches_hold_all_texts_in_order(sizes: list[int], size_bytes: int) -> None:
    """A text would be lost or doubled at the edge of a batch, or a batch grow without limit."""
    texts = ["x" * size for size in sizes]
    batches = list(nltk_words.text_batches(pa.array(texts, pa.string()), size_bytes=size_bytes))
    assert [text for batch in batches for text in batch] == texts
    for batch in batches:
        assert sum(map(len, batch[:-1])) <= size_bytes
    whole = pa.chunked_array([pa.array(texts[:1], pa.string()), pa.array(texts[1:], pa.string())])
    assert list(nltk_words.text_batches(whole, size_bytes=size_bytes)) == batches


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "character", "tokenizer": "casual"}, "tokens.tokenizer has a meaning only with"),
        ({"unit": "kmer", "tokenizer": "punct"}, "unit: word, got unit: kmer; remove it"),
        ({"unit": "word", "tokenizer": "spacy"}, "must be punct, treebank or casual, got 'spacy'"),
        ({"unit": "word", "vocab": 300}, "tokens.vocab has a meaning only with unit: bpe"),
        ({"vocab": 300}, "unit: bpe, got unit: none"),
        ({"unit": "bpe", "vocab": 255}, "tokens.vocab must be >= 256, got 255"),
        ({"unit": "bpe", "k": 3}, "k, stride and canonical have a meaning only with unit: kmer"),
        ({"unit": "value", "block": 8}, "tokens.block has a meaning only with unit: symbol"),
        ({"unit": "word", "alphabet": 8}, "tokens.alphabet has a meaning only with unit: symbol"),
        ({"unit": "symbol", "alphabet": 1}, "tokens.alphabet must be in 2..26 symbols, got 1"),
        ({"unit": "symbol", "alphabet": 27}, "tokens.alphabet must be in 2..26 symbols, got 27"),
        ({"unit": "symbol", "block": 0}, "tokens.block must be >= 1, got 0"),
        ({"unit": "symbol", "lowercase": False}, "got unit: symbol; remove it"),
    ],
)
def test_options_without_meaning_are_refused(options: dict[str, object], message: str) -> None:
    """An option that does nothing would be believed to do something."""
    with pytest.raises(ConfigError) as caught:
        Tokens(**options)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (Tokens(unit="bpe"), "target_tokens.unit must be word, character or kmer"),
        (Tokens(), "target_tokens.unit must be word, character or kmer"),
        (CASUAL, "target_tokens.tokenizer must be punct: casual serves inputs only"),
    ],
)
def test_targets_have_simple_tokens(tokens: Tokens, message: str) -> None:
    """A person would meet a traceback after the first pass over the data."""
    with pytest.raises(ConfigError, match=message):
        Prepare(target_tokens=tokens)


def test_options_have_defaults_with_their_unit_only() -> None:
    """A fingerprint of k-mers would name options of signals, or symbols have none."""
    assert Tokens(unit="word").tokenizer == "punct"
    assert Tokens(unit="bpe").vocab == 8000
    symbols = Tokens(unit="symbol")
    assert (symbols.block, symbols.alphabet) == (8, 8)
    kmers = Tokens(unit="kmer")
    assert (kmers.tokenizer, kmers.vocab, kmers.block, kmers.alphabet) == (None,) * 4


def test_long_texts_are_cut_after_line_ends_only() -> None:
    """A text without a line end would be cut inside a word, or the cutting never end."""
    line = "y" * nltk_words.PIECE + "\n"
    assert nltk_words.line_pieces("x" + 3 * line) == ["x" + line, line, line]
    assert nltk_words.line_pieces("x" * (3 * nltk_words.PIECE)) == ["x" * (3 * nltk_words.PIECE)]
