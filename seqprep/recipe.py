"""What a person writes about data: the source, the split and the preparation.

Frozen dataclasses with every key of the pipeline file that concerns `seqprep`. They check what can
be checked without reading data, and refuse by name what is not built yet. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from seqprep.errors import ConfigError, NotBuiltError
from seqprep.schema import SPLITS, Task

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What `dataset` and `recipe` must match, whole: they become folder names."""

Domain = Literal["dna", "text", "eeg", "prices"]
Oddity = Literal["keep", "drop", "reject"]
"""What to do with an odd thing: keep it (counted), drop the odd part, or reject the record."""


def check_name(value: str, *, key: str) -> None:
    """Refuse a name that cannot safely be a folder's."""
    if not NAME.fullmatch(value):
        raise ConfigError(
            f"{key} must match [a-z0-9][a-z0-9_-]{{0,63}} (it names a folder), got {value!r}"
        )


def check_pattern(value: str | None, *, key: str) -> None:
    """Refuse what is not a regular expression."""
    if value is None:
        return
    try:
        re.compile(value)
    except re.error as error:
        raise ConfigError(f"{key} is not a regular expression: {value!r}: {error}") from error


def at_least(value: float, limit: float, *, key: str) -> None:
    """Refuse a number under its limit."""
    if value < limit:
        raise ConfigError(f"{key} must be >= {limit}, got {value}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """Where a record's label or group comes from.

    Args:
        from_: `folder` (the innermost folder), `file` (the name without suffix), `path` (the whole
            relative path), `header` (the FASTA header), `column` (of a table), `table` (another
            file that maps ids to values) or `none`.
        pattern: a regular expression searched in that text; its first group is the value.
        column: the column that holds the value, by name or by position from 0.
        table: for `from: table`, a CSV or TSV file relative to `source.path`.
        key: for `from: table`, its column of ids: a record's name, id or relative path.
        values: renames what was found: `{found: name}`. What is not listed is rejected.
    """

    from_: Literal["folder", "file", "path", "header", "column", "table", "none"] = "folder"
    pattern: str | None = None
    column: str | int | None = None
    table: str | None = None
    key: str | None = None
    values: dict[str, str] | None = None

    def __post_init__(self) -> None:
        check_pattern(self.pattern, key="pattern")
        if self.pattern is not None and re.compile(self.pattern).groups < 1:
            raise ConfigError(
                f"pattern needs a group that holds the value, e.g. 'subject([a-d])', "
                f"got {self.pattern!r}"
            )
        if self.from_ in ("column", "table") and self.column is None:
            raise ConfigError(f"from: {self.from_} needs `column`")
        if self.from_ == "table" and (self.table is None or self.key is None):
            raise ConfigError("from: table needs `table` (a CSV file) and `key` (its id column)")
        if self.from_ not in ("column", "table") and self.column is not None:
            raise ConfigError(f"`column` has no meaning with from: {self.from_}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where a record's target comes from, for tasks whose answer is more than one label.

    Args:
        from_: `column` (of a table, or per-step columns of a signal), `file` (a text file beside
            the record, with `suffix`), or `codons` (DNA: the protein of the first reading frame,
            standard genetic code, up to the first stop codon).
        column: one column; columns: several target channels of a signal.
        suffix: for `file`: replaces the record's own suffix.
    """

    from_: Literal["column", "file", "codons"] = "column"
    column: str | int | None = None
    columns: tuple[str | int, ...] = ()
    suffix: str | None = None

    def __post_init__(self) -> None:
        if self.from_ == "column" and self.column is None and not self.columns:
            raise ConfigError("target: {from: column} needs `column` or `columns`")
        if self.from_ == "file" and not self.suffix:
            raise ConfigError("target: {from: file} needs `suffix`")

    @property
    def names(self) -> tuple[str | int, ...]:
        """All target columns, in order."""
        return self.columns or (() if self.column is None else (self.column,))


@dataclass(frozen=True, kw_only=True, slots=True)
class Generator:
    """Parameters of the seeded price series (CONTRACT 29, study S3).

    Args:
        series: number of series; test_series: how many more, grouped apart, for testing.
        steps: steps a series.
        noise: standard deviation of the Gaussian noise on a price.
        discount: of Bellman's equation.
        differences: the change against each of this many previous steps is the input.
        seed: of all random draws.
    """

    series: int = 12
    test_series: int = 3
    steps: int = 20_000
    noise: float = 0.01
    discount: float = 0.9
    differences: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("series", "differences"):
            at_least(getattr(self, name), 1, key=f"generator.{name}")
        at_least(self.test_series, 0, key="generator.test_series")
        at_least(self.steps, self.differences + 2, key="generator.steps")
        if not 0 <= self.discount < 1:
            raise ConfigError(f"generator.discount must be in [0, 1), got {self.discount}")


_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "nltk": ("text",),
    "text_column": ("text",),
    "encoding": ("text",),
    "normalize": ("text",),
    "on_control_characters": ("text",),
    "ambiguity": ("dna",),
    "channels": ("eeg",),
    "time_column": ("eeg",),
    "header": ("eeg",),
    "rate_hz": ("eeg",),
    "form": ("eeg",),
    "missing": ("eeg",),
    "on_timestamp_gaps": ("eeg",),
    "on_railed_values": ("eeg",),
    "on_extreme_values": ("eeg",),
    "on_constant_channel": ("eeg",),
    "generator": ("prices",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where raw records lie and how they are read.

    Args:
        domain: which reader.
        path: a folder or a single file; relative to the pipeline file.
        nltk: text: a corpus of `nltk.corpus` by name, from NLTK_DATA; instead of `path`.
        include: glob or globs, case-insensitive, on the relative path; `.gz` is added by itself.
        exclude: likewise; README*, ORIGINAL_README* and dot files by default.
        task: what is learnt from a record.
        label: where the label comes from; default: the folder, or nothing where the task has none.
        group: what must not be torn apart by a split (subject, chromosome); default: the record.
        target: where targets come from, for label_steps, regress_steps and translate.
        keep: columns of a table to keep for splits (`attributes`).
        max_expanded_bytes: cap on what one compressed file may expand to.
        on_repeated_name: what to do with a record whose name occurred before in its file.
        text_column: text: the column of a CSV, TSV, JSON lines or Parquet table with the text.
        encoding: text: `auto` is UTF-8 (byte-order marks obeyed), else cp1252, counted; `utf-8`
            rejects what is not UTF-8; any other name is a codec and rejects likewise.
        normalize: text: Unicode normal form.
        on_control_characters: text: control characters other than tab and line ends.
        ambiguity: DNA: IUPAC codes become N (`n`), stay (`keep`), are removed (`drop`), or reject
            the record (`reject`).
        channels: EEG: columns to read, by name or position; default all but time and targets.
        time_column: EEG: `auto` finds a column named time, timestamp(s) or seconds; none: there is
            no such column.
        header: EEG: whether the first row names the columns; `auto` looks whether it is numbers.
        form: EEG: `wide` (a row a step) or `long` (a row a sample and channel).
        rate_hz: EEG: the sampling rate, in hertz; without it the median of the timestamps.
        missing: EEG: what to do with NaN, infinite and empty cells.
        on_timestamp_gaps: EEG: steps further apart than 1.5 sampling intervals.
        on_railed_values: EEG: values that stay at the record's limit for several steps.
        on_extreme_values: EEG: values over 30 robust deviations from the median.
        on_constant_channel: EEG: a channel that never changes.
        generator: prices: parameters of the generated series.
    """

    domain: Domain
    path: str | None = None
    nltk: str | None = None
    include: tuple[str, ...] | str = ()
    exclude: tuple[str, ...] | str = ("README*", "ORIGINAL_README*", ".*")
    task: Task = "classify"
    label: Field | None = None
    group: Field | None = None
    target: Target | None = None
    keep: tuple[str, ...] = ()
    max_expanded_bytes: int = 64 * 2**30
    on_repeated_name: Oddity = "keep"
    text_column: str | int | None = None
    encoding: str = "auto"
    normalize: Literal["none", "NFC", "NFD", "NFKC", "NFKD"] = "none"
    on_control_characters: Oddity = "keep"
    ambiguity: Literal["n", "keep", "drop", "reject"] = "n"
    channels: tuple[str | int, ...] = ()
    time_column: str | int = "auto"
    header: Literal["auto", "yes", "no"] | bool = "auto"
    form: Literal["wide", "long"] = "wide"
    rate_hz: float | None = None
    missing: Literal["reject", "interpolate"] = "reject"
    on_timestamp_gaps: Oddity = "keep"
    on_railed_values: Oddity = "keep"
    on_extreme_values: Oddity = "keep"
    on_constant_channel: Oddity = "keep"
    generator: Generator = Generator()

    def __post_init__(self) -> None:
        for name in ("include", "exclude"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, (value,))
        if isinstance(self.header, bool):  # YAML reads a bare yes as true
            object.__setattr__(self, "header", "yes" if self.header else "no")
        self._check_domain()
        self._check_task()
        at_least(self.max_expanded_bytes, 1, key="source.max_expanded_bytes")
        if self.rate_hz is not None and self.rate_hz <= 0:
            raise ConfigError(f"source.rate_hz must be > 0 hertz, got {self.rate_hz}")
        if self.form == "long":
            raise NotBuiltError("source.form: long")

    def _check_domain(self) -> None:
        default = {f.name: f.default for f in fields(self)}
        for key, domains in _ONLY_FOR.items():
            if getattr(self, key) != default[key] and self.domain not in domains:
                raise ConfigError(
                    f"source.{key} has no meaning for domain: {self.domain} "
                    f"(only for {', '.join(domains)})"
                )
        if self.domain == "prices":
            if self.path is not None:
                raise ConfigError("source.path has no meaning for domain: prices (generated)")
        elif (self.path is None) == (self.nltk is None):
            raise ConfigError(
                "source needs `path`" + (" or `nltk`" if self.domain == "text" else "")
            )

    def _check_task(self) -> None:
        allowed = {
            "dna": ("classify", "regress", "translate", "next", "reconstruct"),
            "text": ("classify", "regress", "translate", "next", "reconstruct"),
            "eeg": ("classify", "regress", "label_steps", "regress_steps", "reconstruct"),
            "prices": ("regress_steps",),
        }[self.domain]
        if self.domain == "prices" and self.task == "classify":
            object.__setattr__(self, "task", "regress_steps")
        if self.task not in allowed:
            raise ConfigError(
                f"source.task: {self.task} does not fit domain: {self.domain}; "
                f"choose from {', '.join(allowed)}"
            )
        if self.task in ("next", "reconstruct"):
            raise NotBuiltError(f"source.task: {self.task}")
        steps = self.task in ("label_steps", "regress_steps") and self.domain != "prices"
        if (steps or self.task == "translate") and self.target is None:
            raise ConfigError(
                f"source.task: {self.task} needs `target`, e.g. {{from: column, ...}}"
            )
        if self.target is not None and not (steps or self.task == "translate"):
            raise ConfigError(f"source.target has no meaning with task: {self.task}")
        if self.target is not None and self.target.from_ == "codons" and self.domain != "dna":
            raise ConfigError("source.target: {from: codons} needs domain: dna")
        if self.label is None and self.task in ("classify", "regress"):
            object.__setattr__(self, "label", Field(from_="folder"))


Names = tuple[str, ...]


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
        count: folds; fold: which one tests, from 0.
        of: `record` or `group`; with `group` and no count, one group is left out in each fold.
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
        check_pattern(self.pattern, key="split.pattern")
        if self.by in ("hash", "time"):
            self._check_shares()
        elif self.by == "folds":
            self._check_folds()
        else:
            self._check_values()
        if self.by != "time" and self.gap:
            raise ConfigError("split.gap has a meaning only with by: time")
        at_least(self.gap, 0, key="split.gap")

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
        if any(share < 0 for share in given) or abs(sum(given) - 1) > 1e-9:
            raise ConfigError(
                f"split: train + validation + test must be 1 with none below 0, got "
                f"{' + '.join(str(share) for share in given)} = {sum(given):g}"
            )

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """How a record's content becomes steps.

    Args:
        unit: `word` and `character` for text, `kmer` for DNA, `value` for signals, `symbol` (SAX).
            Default by domain: word, kmer with k = 1, value.
        lowercase: text: lower-case before splitting.
        k: letters of a k-mer.
        stride: letters from one k-mer to the next.
        canonical: one id for a k-mer and its reverse complement.
        max_vocab: ids beyond the most frequent ones become OOV.
    """

    unit: Literal["word", "character", "kmer", "value", "symbol"] | None = None
    lowercase: bool = True
    k: int = 1
    stride: int = 1
    canonical: bool = False
    max_vocab: int | None = None

    def __post_init__(self) -> None:
        if self.unit == "symbol":
            raise NotBuiltError("tokens.unit: symbol")
        if not 1 <= self.k <= 12:
            raise ConfigError(f"tokens.k must be in 1..12 letters, got {self.k}")
        at_least(self.stride, 1, key="tokens.stride")
        if self.max_vocab is not None:
            at_least(self.max_vocab, 1, key="tokens.max_vocab")
        if self.unit not in (None, "kmer") and (self.k, self.stride, self.canonical) != (
            1,
            1,
            False,
        ):
            raise ConfigError("tokens.k, stride and canonical have a meaning only with unit: kmer")


_UNITS = {"dna": ("kmer",), "text": ("word", "character"), "eeg": ("value",), "prices": ("value",)}


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
        scale: signals: `channel` (over the training rows), `record` (each row by itself), `none`.
        buckets: how many length buckets, or their upper limits in steps.
        memory: bytes that preparation may take beside its base, e.g. 512MB.
        seed: of the random steps and of the order of rows in shards.
        shard_bytes: about how large a shard may get before compression.
    """

    recipe: str = "default"
    tokens: Tokens = Tokens()
    steps: tuple[dict[str, dict[str, Any]], ...] = ()
    target_tokens: Tokens = Tokens(unit="character", lowercase=False)
    target_steps: tuple[dict[str, dict[str, Any]], ...] = ()
    duplicates: Literal["one", "keep"] = "one"
    scale: Literal["channel", "record", "none"] = "channel"
    buckets: int | tuple[int, ...] = 8
    memory: str | int = "512MB"
    seed: int = 0
    shard_bytes: str | int = "64MB"

    def __post_init__(self) -> None:
        check_name(self.recipe, key="prepare.recipe")
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
        for index, step in enumerate(self.steps):
            if not isinstance(step, Mapping) or len(step) != 1:
                raise ConfigError(
                    f"prepare.steps[{index}] must be one technique with its options, "
                    f"e.g. `truncate: {{length: 400}}`, got {step!r}"
                )


def parse_bytes(value: str | int, *, key: str) -> int:
    """Bytes from a number or a text such as `512MB` (MB = 2**20 bytes here, as in GiB).

    >>> parse_bytes("1GB", key="memory")
    1073741824
    """
    if isinstance(value, int):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", value, re.IGNORECASE)
    if match is None:
        raise ConfigError(f"{key} must be a size such as 512MB, got {value!r}")
    power = " KMGT".index(match[2].upper()) if match[2] else 0
    return int(float(match[1]) * 1024**power)


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


def as_json(value: Any) -> Any:
    """Plain lists, dicts and scalars of a dataclass, with the keys a person writes (`from`)."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name.rstrip("_"): as_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return value


def fingerprint(*parts: Any) -> str:
    """SHA-256, in hex, of the canonical JSON of `parts`: same meaning, same digest anywhere.

    >>> fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    True
    """
    text = json.dumps(as_json(parts), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
