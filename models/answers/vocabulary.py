"""How the codes of answers become what a person reads: class names, and tokens as text.

Legend: V ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from seqprep.schema import EOS, NUM_RESERVED_TARGET, Task, num_reserved
from seqprep.snapshot import Facts

Joiner = Literal["", " ", "bytes"]
"""What stands between tokens; `bytes`: they spell bytes, as those of byte-level byte pairs do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """How codes become what a person reads.

    Args:
        task: what was learnt. labels: class names in code order.
        symbols: tokens of answers, from id `reserved` on. joiner: between them.
    """

    task: Task
    labels: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    reserved: int = NUM_RESERVED_TARGET
    joiner: Joiner = ""

    @classmethod
    def of(cls, facts: Facts, fitted: bytes, pipeline: Mapping[str, Any] | None) -> Vocabulary:
        """From a bundle's facts, fitted state and pipeline."""
        answers = facts.task == "translate"
        symbols: tuple[str, ...] = ()
        if answers or (facts.task in ("next", "reconstruct") and facts.vocab_size is not None):
            body = json.loads(fitted)
            symbols = tuple(body.get("target_vocabulary" if answers else "vocabulary") or ())
        recipe = (pipeline or {}).get("prepare") or {}
        unit = recipe.get("target_tokens" if answers else "tokens") or {}
        return cls(
            task=facts.task,
            labels=facts.labels,
            symbols=symbols,
            reserved=NUM_RESERVED_TARGET if answers else num_reserved(facts.task),
            joiner=_joiner(unit, symbols),
        )

    def text(self, codes: Iterable[int]) -> str:
        """Ids as text; ids that are no token show as their number in brackets."""
        words = [self.word(code) for code in codes]
        return _spelt(words) if self.joiner == "bytes" else self.joiner.join(words)

    def names(self) -> list[str]:
        """What each id means, in the order of ids, reserved ones in brackets."""
        return [*("<pad>", "<unknown>", "<begin>", "<end>")[: self.reserved], *self.symbols]

    def next_word(self, code: int) -> str:
        """What follows a record: a token as text, or its end."""
        return "<end>" if code == EOS else self.text([code])

    def word(self, code: int) -> str:
        """One id as text."""
        place = int(code) - self.reserved
        return self.symbols[place] if 0 <= place < len(self.symbols) else f"<{int(code)}>"


def _joiner(unit: Mapping[str, Any], symbols: tuple[str, ...]) -> Joiner:
    """What stands between tokens; overlapping k-mers and words of several letters need a space."""
    if unit.get("unit") == "bpe":
        return "bytes"
    k, stride = unit.get("k") or 1, unit.get("stride") or 1
    if k > 1:
        return "" if stride == k else " "
    single = all(len(symbol) == 1 for symbol in symbols)
    return " " if unit.get("unit") == "word" or not single else ""


def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in byte-level byte pairs.

    Source: Radford et al. 2019, https://github.com/openai/gpt-2 (encoder.py).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    return letters | {chr(256 + place): byte for place, byte in enumerate(others)}


_LETTERS = _byte_letters()


def _spelt(words: list[str]) -> str:
    """The text that pieces of byte pairs spell.

    >>> _spelt(["Ġlow", "er", "Ã©"])
    ' loweré'
    """
    spelt = b"".join(
        bytes(_LETTERS[letter] for letter in word)
        if all(letter in _LETTERS for letter in word)
        else word.encode()
        for word in words
    )
    return spelt.decode("utf-8", errors="replace")
