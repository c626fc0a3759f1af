"""What turns the content of records into tokens, by the rule of `tokens` in the pipeline file.

Each chunk of records is encoded by itself into local ids with a local dictionary; nothing depends
on other records but byte pairs, which are fitted before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from seqprep.recipe import Tokens
from seqprep.tokens.byte_pairs import BytePairs
from seqprep.tokens.characters import encode_characters
from seqprep.tokens.encoded import Encoded
from seqprep.tokens.kmers import encode_kmers
from seqprep.tokens.nltk_words import NltkWords
from seqprep.tokens.words import encode_words


def encode(content: pa.Array | pa.ChunkedArray, tokens: Tokens) -> Encoded:
    """Tokens of each record by the rule of `tokens.unit`, where it is no more than a rule.

    >>> encoded = encode(pa.array(["It's 5.", ""]), Tokens(unit="word"))
    >>> [encoded.tokens[i].as_py() for i in encoded.ids.values], encoded.ids.lengths.tolist()
    (['it', "'", 's', '5', '.'], [5, 0])
    """
    match tokens.unit:
        case "word" if tokens.tokenizer == "punct":
            return encode_words(content, lowercase=tokens.lowercase)
        case "character":
            return encode_characters(content, lowercase=tokens.lowercase)
        case "kmer":
            return encode_kmers(
                content, k=tokens.k, stride=tokens.stride, canonical=tokens.canonical
            )
        case "word" | "bpe" as unit:
            raise ValueError(f"tokens.unit {unit!r} with these options needs an Encoder")
        case unit:
            raise ValueError(f"tokens.unit {unit!r} has no tokens")


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoder:
    """Encodes chunks, from several threads at once if need be; close it after use.

    Args:
        tokens: the rule.
        byte_pairs: fitted, for unit bpe. words: NLTK's tokenisers, with their processes.

    >>> with Encoder.of(Tokens(unit="word", tokenizer="casual")) as encoder:
    ...     encoder.encode(pa.array(["so good :-)"])).tokens.to_pylist()
    ['so', 'good', ':-)']
    """

    tokens: Tokens
    byte_pairs: BytePairs | None
    words: NltkWords | None

    @classmethod
    def of(cls, tokens: Tokens, *, byte_pairs: str | None = None, workers: int = 1) -> Self:
        """An encoder for a rule.

        Args:
            tokens: with its unit filled in.
            byte_pairs: what `train_byte_pairs` returned, for unit bpe.
            workers: processes, where the rule is slow Python.

        Raises:
            ValueError: if unit bpe comes without byte pairs.
        """
        fitted = words = None
        if tokens.unit == "bpe":
            if byte_pairs is None:
                raise ValueError("tokens.unit 'bpe' needs the byte pairs that were fitted")
            fitted = BytePairs(byte_pairs, lowercase=tokens.lowercase)
        elif tokens.unit == "word" and tokens.tokenizer not in (None, "punct"):
            words = NltkWords(tokens.tokenizer, lowercase=tokens.lowercase, workers=workers)
        return cls(tokens=tokens, byte_pairs=fitted, words=words)

    def encode(self, content: pa.Array | pa.ChunkedArray) -> Encoded:
        """Tokens of each record."""
        if self.byte_pairs is not None:
            return self.byte_pairs.encode(content)
        if self.words is not None:
            return self.words.encode(content)
        return encode(content, self.tokens)

    def close(self) -> None:
        """Stop the processes, if there are any."""
        if self.words is not None:
            self.words.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
