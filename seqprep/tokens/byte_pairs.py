"""Byte pairs: pieces of words that a vocabulary of a chosen size spells any text with.

Byte-level byte-pair encoding by the library `tokenizers` (extra `bpe`): every text can be spelt,
and the pieces joined and decoded are the text. Fitted on training rows; an entry that none of them
uses, since longer ones took its place, has no id and is OOV elsewhere, seldom.
Use it where words are too many and characters too long; not where tokens should be read by people.

Source: Sennrich, Haddow & Birch 2016, doi:10.18653/v1/P16-1162; bytes: Radford et al. 2019,
https://github.com/openai/gpt-2; https://huggingface.co/docs/tokenizers
Legend: R rows, N tokens of all rows, V entries.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pyarrow as pa

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.ragged import Ragged
from seqprep.tokens.encoded import Encoded, lower
from seqprep.tokens.nltk_words import text_batches

BATCH_BYTES = 2**20
"""About so much text is encoded at a time: the library keeps 100 bytes a token meanwhile."""
PIECE = 2**16
"""Texts beyond so many characters are cut before a space, where the library cuts anyway."""


def train_byte_pairs(batches: Iterator[pa.Array], *, vocab: int, lowercase: bool) -> str:
    """Fit at most `vocab` entries: the 256 bytes, then the most frequent pairs, merged in turn.

    Pairs that occur once are not merged.

    Args:
        batches: texts; the same rows in the same order give the same result, however cut.
        vocab: entries, >= 256.
        lowercase: the texts before all else.

    Returns:
        The library's JSON, for `Encoder.of`. Memory is a batch and the distinct words.

    Raises:
        ConfigError: if the library is not installed.

    >>> state = train_byte_pairs(iter([pa.array(["low lower lowest"])]), vocab=258, lowercase=True)
    >>> BytePairs(state, lowercase=True).encode(pa.array(["slow"])).tokens[-2:].to_pylist()
    ['lo', 'low']
    """
    library = load_library()
    level = library.pre_tokenizers.ByteLevel
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = level(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocab,
        min_frequency=2,
        initial_alphabet=level.alphabet(),
        special_tokens=[],
        show_progress=False,
    )
    texts = (
        list(itertools.chain.from_iterable(map(space_pieces, part)))
        for batch in batches
        for part in text_batches(lower(batch) if lowercase else batch, size_bytes=BATCH_BYTES)
    )
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


class BytePairs:
    """Encodes chunks with fitted byte pairs.

    Args:
        state: what `train_byte_pairs` returned.
        lowercase: the texts before all else.
    """

    def __init__(self, state: str, *, lowercase: bool) -> None:
        self._tokenizer = load_library().Tokenizer.from_str(state)
        self._lowercase = lowercase
        places = range(self._tokenizer.get_vocab_size())
        entries = [self._tokenizer.id_to_token(place) for place in places]
        self._tokens = pa.array(entries, pa.large_string())

    def encode(self, content: pa.Array | pa.ChunkedArray) -> Encoded:
        """Pieces of each record; every entry stands in the dictionary."""
        content = lower(content) if self._lowercase else content
        ids, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        for texts in text_batches(content, size_bytes=BATCH_BYTES):
            cut = [space_pieces(text) for text in texts]
            pieces = list(itertools.chain.from_iterable(cut))
            found = [
                np.asarray(encoded.ids, dtype=np.int32)
                for encoded in self._tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
            ]
            edges = ragged.to_offsets([len(row) for row in found])
            ids += found
            lengths.append(np.diff(edges[ragged.to_offsets([len(row) for row in cut])]))
        offsets = ragged.to_offsets(np.concatenate(lengths))
        return Encoded(ids=Ragged(np.concatenate(ids), offsets), tokens=self._tokens)


def load_library() -> ModuleType:
    """The library `tokenizers`.

    Raises:
        ConfigError: if it is not installed.
    """
    try:
        import tokenizers  # an optional extra
        import tokenizers.decoders
        import tokenizers.models
        import tokenizers.pre_tokenizers
        import tokenizers.trainers
    except ImportError as error:
        raise ConfigError(
            "tokens.unit: bpe needs the library tokenizers, which is not installed; install it "
            "with: pip install 'seqprep[bpe]'"
        ) from error
    return tokenizers


def space_pieces(text: str) -> list[str]:
    """A long text cut before single spaces, or anywhere after `PIECE` characters without one."""
    edges = [0]
    while len(text) - edges[-1] > PIECE:
        start, end = edges[-1], edges[-1] + PIECE
        cut = text.rfind(" ", start + 1, end)
        while cut > 0 and text[cut - 1].isspace():
            cut = text.rfind(" ", start + 1, cut)
        edges.append(cut if cut > 0 else end)
    return [text[start:stop] for start, stop in itertools.pairwise([*edges, len(text)])]
