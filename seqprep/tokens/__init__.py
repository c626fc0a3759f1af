"""Content to steps: words, characters, k-mers and byte pairs (P10)."""

from seqprep.tokens.byte_pairs import train_byte_pairs
from seqprep.tokens.characters import encode_characters
from seqprep.tokens.encoded import Encoded
from seqprep.tokens.encoder import Encoder, encode
from seqprep.tokens.kmers import (
    LETTERS,
    encode_kmers,
    kmer_codes,
    kmer_strings,
    reverse_complements,
)
from seqprep.tokens.words import encode_words

__all__ = [
    "LETTERS",
    "Encoded",
    "Encoder",
    "encode",
    "encode_characters",
    "encode_kmers",
    "encode_words",
    "kmer_codes",
    "kmer_strings",
    "reverse_complements",
    "train_byte_pairs",
]
