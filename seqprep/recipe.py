"""What a person writes about preparation: the split, the tokens and the recipe.

Frozen dataclasses with every key under `split` and `prepare` in the pipeline file. They check what
can be checked without reading data, and refuse by name what is not built yet. Standard library
only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from seqprep.checks import at_least, check_name, check_pattern, parse_bytes
from seqprep.drift_limits import Drift
from seqprep.errors import ConfigError, NotBuiltError
from seqprep.near_options import NearDuplicates
from seqprep.schema import SPLITS
from seqprep.source import Domain

Names = tuple[str, ...]
_VALUES = ("path", "header", "column", "table")
_ONLY_BY: dict[str, tuple[str, ...]] = {
    "seed": ("hash", "folds", *_VALUES),
    "pattern": _VALUES,
    "column": ("column", "table"),
    "table": ("table",),
    "key": ("table",),
    "count": ("folds",),
    "fold": ("folds",),
    "of": ("folds",),
    "gap": ("time",),
}
"""Where each option of a split has a meaning; elsewhere it is refused, not ignored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Which rows train, validate and test (CONTRACT 7). A group is in one split only.

    Args:
        by: `hash` of the group with shares; `path`, `header`, `column` or `table` with lists of
            values; `folds`; or `time` for per-step labels in long recordings.
        train: share of groups, or values; not named: what the others leave.
        validation: share, or values; not named with values: hashed from training groups.
        test: share, or values.
        seed: of the hash.
        pattern: for path and header, and optional elsewhere: its first group is the value.
        column: for column and table: the column with the value.
        table: a CSV or TSV file relative to the pipeline file; key: its column of ids.
        count: folds, to which groups are hashed; fold: which one tests, from 0.
        of: `record` or `group`; with `group` and no count, one group is left out in each fold:
            `fold` counts the groups in the order of their names, so new groups shift it, and
            `Prepared.held_out` names the group.
        gap: steps between two splits of one recording, for by: time.
    """

    by: Literal["hash", "path", "header", "column", "table", "folds", "time"] = "hash"
    train: float | Names | None = None
    validation: float | Names | None = None
    test: float | Names | None = None
    seed: int = 0
    pattern: str | None = None
    column: str | None = None
    table: str | None = None
    key: str | None = None
    count: int | None = None
    fold: int = 0
    of: Literal["record", "group"] = "record"
    gap: int = 0

    def __post_init__(self) -> None:
        self._check_meaning()
        self._check_pattern()
        if self.by in ("hash", "time"):
            self._check_shares()
        elif self.by == "folds":
            self._check_folds()
        else:
            self._check_values()
        at_least(self.gap, 0, key="split.gap")

    @property
    def leaves_one_out(self) -> bool:
        """Whether each fold tests on one whole group."""
        return self.by == "folds" and self.count is None

    def _check_meaning(self) -> None:
        for field in fields(self):
            ways = _ONLY_BY.get(field.name)
            if ways is None or self.by in ways or getattr(self, field.name) == field.default:
                continue
            raise ConfigError(
                f"split.{field.name} has a meaning only with by: {' or '.join(ways)}; remove it, "
                f"got by: {self.by}"
            )

    def _check_pattern(self) -> None:
        if self.pattern is None:
            return
        check_pattern(self.pattern, key="split.pattern")
        # Escaped characters first, so that `\(?=` is read as a bracket.
        for found in re.finditer(r"\\(.)|\(\?(?:[=!>]|<[=!]|P=)", self.pattern):
            if found[1] is None or found[1] in "123456789":
                raise ConfigError(
                    f"split.pattern {self.pattern!r}: {found[0]} (look-around or a reference to a "
                    "group) cannot be used; match the value with a group, e.g. 'cv(\\d)'"
                )
        if re.compile(self.pattern).groups < 1:
            raise ConfigError(
                f"split.pattern needs a group that holds the value, e.g. 'cv(\\d)', got "
                f"{self.pattern!r}"
            )

    def _check_shares(self) -> None:
        given = [getattr(self, name) for name in SPLITS]
        if all(share is None for share in given):
            for name, share in zip(SPLITS, (0.8, 0.1, 0.1), strict=True):
                object.__setattr__(self, name, share)
            return
        if not all(isinstance(share, int | float) for share in given):
            raise ConfigError(
                f"split by {self.by} needs shares for train, validation and test, e.g. 0.8, 0.1, "
                f"0.1; got {given}"
            )
        if any(share < 0 for share in given) or not abs(sum(given) - 1) <= 1e-9:
            raise ConfigError(
                f"split: train + validation + test must be 1 with none below 0, got "
                f"{' + '.join(str(share) for share in given)} = {sum(given):g}"
            )
        if self.train == 0:
            raise ConfigError("split.train must be > 0: nothing could be learnt, got 0")

    def _check_folds(self) -> None:
        if self.count is None and self.of != "group":
            raise ConfigError("split by folds needs `count`, or `of: group` to leave one group out")
        if self.count is not None:
            at_least(self.count, 2, key="split.count")
            if not 0 <= self.fold < self.count:
                raise ConfigError(f"split.fold must be in 0..{self.count - 1}, got {self.fold}")
        at_least(self.fold, 0, key="split.fold")
        if (
            isinstance(self.validation, tuple | list)
            or self.train is not None
            or self.test is not None
        ):
            raise ConfigError(
                "split by folds takes `count`, `fold`, `of` and a share for `validation` only"
            )
        if self.validation is not None and not 0 <= self.validation < 1:
            raise ConfigError(
                "split.validation must be a share of the training groups in [0, 1), got "
                f"{self.validation}"
            )

    def _check_values(self) -> None:
        for name in SPLITS:
            value = getattr(self, name)
            if isinstance(value, int | float) and not (name == "validation" and 0 <= value < 1):
                raise ConfigError(
                    f"split by {self.by}: {name} must be a list of values, got {value!r}"
                )
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if self.test is None:
            raise ConfigError(f"split by {self.by} needs `test`: a list of values")
        seen: dict[str, str] = {}
        for name in SPLITS:
            value = getattr(self, name)
            for item in value if isinstance(value, tuple) else ():
                if item in seen:
                    raise ConfigError(f"split: {item!r} is in both {seen[item]} and {name}")
                seen[item] = name
        if self.by in ("column", "table") and self.column is None:
            raise ConfigError(f"split by {self.by} needs `column`")
        if self.by == "table" and (self.table is None or self.key is None):
            raise ConfigError("split by table needs `table` (a CSV file) and `key` (its id column)")


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepare:
    """How cleaned records become training examples (CONTRACT 12).

    Args:
        recipe: a name; it owns one `examples` table.
        tokens: how content becomes steps.
        steps: the techniques, in order: each one key of TRANSFORMS with its options.
        target_tokens: how `target_text` becomes target ids, for task: translate.
        target_steps: steps on the target text.
        duplicates: `one` keeps one copy of equal records, `keep` keeps all inside one split.
        near_duplicates: whether nearly equal records are looked for, and told.
        scale: signals: `channel` (over the training rows), `record` (each row by itself), `none`.
        buckets: how many length buckets, or their upper limits in steps.
        memory: bytes that preparation may take beside its base, e.g. 512MB.
        seed: of the random steps and of the order of rows in shards.
        shard_bytes: about how large a shard may get before compression.
        drift: how far new data may move before a refit is advised.
    """

    recipe: str = "default"
    tokens: Tokens = Tokens()
    steps: tuple[dict[str, dict[str, Any]], ...] = ()
    target_tokens: Tokens = Tokens(unit="character", lowercase=False)
    target_steps: tuple[dict[str, dict[str, Any]], ...] = ()
    duplicates: Literal["one", "keep"] = "one"
    near_duplicates: NearDuplicates = NearDuplicates()
    scale: Literal["channel", "record", "none"] = "channel"
    buckets: int | tuple[int, ...] = 8
    memory: str | int = "512MB"
    seed: int = 0
    shard_bytes: str | int = "64MB"
    drift: Drift = Drift()

    def __post_init__(self) -> None:
        check_name(self.recipe, key="prepare.recipe")
        if isinstance(self.buckets, bool):
            raise ConfigError(
                f"prepare.buckets must be a number of buckets or their limits, got {self.buckets}"
            )
        if isinstance(self.buckets, int):
            at_least(self.buckets, 1, key="prepare.buckets")
        elif list(self.buckets) != sorted(set(self.buckets)) or min(self.buckets, default=0) < 1:
            raise ConfigError(
                f"prepare.buckets must be increasing limits >= 1 step, got {list(self.buckets)}"
            )
        at_least(parse_bytes(self.memory, key="prepare.memory"), 64 * 2**20, key="prepare.memory")
        at_least(parse_bytes(self.shard_bytes, key="prepare.shard_bytes"), 1, key="shard_bytes")
        if self.target_steps:
            raise NotBuiltError("prepare.target_steps")
        _check_target_tokens(self.target_tokens)
        for index, step in enumerate(self.steps):
            if not isinstance(step, Mapping) or len(step) != 1:
                raise ConfigError(
                    f"prepare.steps[{index}] must be one technique with its options, "
                    f"e.g. `truncate: {{length: 400}}`, got {step!r}"
                )


def _check_target_tokens(tokens: Tokens) -> None:
    if tokens.unit not in ("word", "character", "kmer"):
        raise ConfigError(
            "prepare.target_tokens.unit must be word, character or kmer: what is fitted or "
            f"measured serves inputs only; got {tokens.unit or 'none'}"
        )
    if tokens.tokenizer not in (None, "punct"):
        raise ConfigError(
            f"prepare.target_tokens.tokenizer must be punct: {tokens.tokenizer} serves inputs "
            "only; remove it"
        )


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
