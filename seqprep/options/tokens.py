"""What a person writes about tokens: how a record's content becomes steps (P10).

Every key under `prepare.tokens` and `prepare.target_tokens` in the pipeline file. Standard library
only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from seqprep.checks import at_least
from seqprep.errors import ConfigError
from seqprep.source import Domain

_ONLY_WITH = {"tokenizer": "word", "vocab": "bpe", "block": "symbol", "alphabet": "symbol"}
"""The unit with which an option of tokens has a meaning; elsewhere it is refused, not ignored."""
_FILLED: dict[str, dict[str, Any]] = {
    "word": {"tokenizer": "punct"},
    "bpe": {"vocab": 8000},
    "symbol": {"block": 8, "alphabet": 8},
}
"""Defaults of those options."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """How a record's content becomes steps.

    Args:
        unit: `word`, `character` and `bpe` (byte pairs) for text, `kmer` for DNA, `value` and
            `symbol` (SAX) for signals. Default by domain: word, kmer with k = 1, value.
        lowercase: text: lower-case before splitting.
        tokenizer: word: `punct` (default) is NLTK's wordpunct rule, `treebank` and `casual` are
            its TreebankWordTokenizer on whole texts and its TweetTokenizer, a hundred times slower.
        k: letters of a k-mer.
        stride: letters from one k-mer to the next.
        canonical: one id for a k-mer and its reverse complement.
        vocab: bpe: entries, the 256 bytes among them (default 8000).
        block: symbol: steps a symbol (default 8).
        alphabet: symbol: how many there are, 2 to 26 (default 8).
        max_vocab: ids beyond the most frequent ones become OOV.
    """

    unit: Literal["word", "character", "bpe", "kmer", "value", "symbol"] | None = None
    lowercase: bool = True
    tokenizer: Literal["punct", "treebank", "casual"] | None = None
    k: int = 1
    stride: int = 1
    canonical: bool = False
    vocab: int | None = None
    block: int | None = None
    alphabet: int | None = None
    max_vocab: int | None = None

    def __post_init__(self) -> None:
        self._check_meaning()
        for name, value in _FILLED.get(self.unit or "", {}).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if not 1 <= self.k <= 12:
            raise ConfigError(f"tokens.k must be in 1..12 letters, got {self.k}")
        if self.tokenizer not in (None, "punct", "treebank", "casual"):
            raise ConfigError(
                f"tokens.tokenizer must be punct, treebank or casual, got {self.tokenizer!r}"
            )
        if self.alphabet is not None and not 2 <= self.alphabet <= 26:
            raise ConfigError(f"tokens.alphabet must be in 2..26 symbols, got {self.alphabet}")
        for name, limit in (("stride", 1), ("vocab", 256), ("block", 1), ("max_vocab", 1)):
            if (value := getattr(self, name)) is not None:
                at_least(value, limit, key=f"tokens.{name}")

    def _check_meaning(self) -> None:
        if self.unit in ("kmer", "value", "symbol") and not self.lowercase:
            raise ConfigError(
                f"tokens.lowercase has a meaning only with unit: word, character or bpe, got "
                f"unit: {self.unit}; remove it"
            )
        if self.unit == "value" and self.max_vocab is not None:
            raise ConfigError("tokens.max_vocab has no meaning with unit: value; remove it")
        if self.unit not in (None, "kmer") and (self.k, self.stride, self.canonical) != (
            1,
            1,
            False,
        ):
            raise ConfigError("tokens.k, stride and canonical have a meaning only with unit: kmer")
        for name, unit in _ONLY_WITH.items():
            # Without a unit the domain decides: text has words.
            wrong = self.unit != unit and not (self.unit is None and unit == "word")
            if wrong and getattr(self, name) is not None:
                raise ConfigError(
                    f"tokens.{name} has a meaning only with unit: {unit}, got unit: "
                    f"{self.unit or 'none'}; remove it"
                )


_UNITS = {
    "dna": ("kmer",),
    "text": ("word", "character", "bpe"),
    "eeg": ("value", "symbol"),
    "prices": ("value", "symbol"),
}


def resolve_tokens(domain: Domain, tokens: Tokens) -> Tokens:
    """Fill in the domain's default unit, and refuse a unit that does not fit the domain."""
    unit = tokens.unit or _UNITS[domain][0]
    if unit not in _UNITS[domain]:
        raise ConfigError(
            f"tokens.unit: {unit} does not fit domain: {domain}; "
            f"choose from {', '.join(_UNITS[domain])}"
        )
    values = {f.name: getattr(tokens, f.name) for f in fields(tokens)}
    return Tokens(**{**values, "unit": unit})
