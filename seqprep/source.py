"""What a person writes about raw records: where they lie and how they are read.

Frozen dataclasses with every key under `source` in the pipeline file. They check what can be
checked without reading data, and refuse by name what is not built yet. Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from seqprep.checks import at_least
from seqprep.errors import ConfigError
from seqprep.fields import Field, Target, check_columns
from seqprep.schema import STEP_TASKS, Task

__all__ = ["Domain", "Field", "Generator", "Oddity", "Source", "Target"]

Domain = Literal["dna", "text", "eeg", "prices"]
Oddity = Literal["keep", "drop", "reject"]
"""What to do with an odd thing: keep it (counted), drop the odd part, or reject the record."""


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


_LONG_COLUMNS = ("channel_column", "value_column", "sample_column")

_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "nltk": ("text",),
    "text_column": ("text",),
    "encoding": ("text",),
    "on_repeated_name": ("dna",),
    "normalize": ("text",),
    "on_control_characters": ("text",),
    "ambiguity": ("dna",),
    "channels": ("eeg",),
    "time_column": ("eeg",),
    "header": ("eeg",),
    "rate_hz": ("eeg",),
    "form": ("eeg",),
    "channel_column": ("eeg",),
    "value_column": ("eeg",),
    "sample_column": ("eeg",),
    "mixed_rates": ("eeg",),
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
        time_column: EEG: `auto` finds a column named time, timestamp(s) or seconds, also with a
            unit from s to ns (`Time [ms]`, `t_us`), and a first column `t` that rises evenly;
            without a unit they are seconds; none: there is no such column.
        header: EEG: whether the first row names the columns; `auto` looks whether it is numbers.
        form: EEG: `wide` (a row a step) or `long` (a row a sample and channel).
        channel_column: EEG, long form: the column that names the channel; `auto` finds one named
            channel, electrode, sensor, lead or variable.
        value_column: EEG, long form: the column of values; `auto` finds value, amplitude or
            voltage.
        sample_column: EEG, long form: a column that numbers the samples, where there is no time;
            `auto` finds sample, index, step, row or n.
        rate_hz: EEG: the sampling rate, in hertz; without it the median of the timestamps.
        mixed_rates: EEG: what to do with a recording, or a channel of the long form, whose rate is
            over 5 % off the dataset's.
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
    channel_column: str | int = "auto"
    value_column: str | int = "auto"
    sample_column: str | int = "auto"
    rate_hz: float | None = None
    mixed_rates: Literal["reject", "resample"] = "reject"
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
        self._check_columns()
        self._check_fields()
        if self.rate_hz is not None and not (math.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise ConfigError(f"source.rate_hz must be > 0 hertz, got {self.rate_hz}")
        if not _is_text_codec(self.encoding):
            raise ConfigError(
                f"source.encoding: {self.encoding!r} is no text encoding that Python knows; use "
                "auto, utf-8 or a name such as cp1252"
            )

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

    def _check_columns(self) -> None:
        time = None if self.time_column in ("auto", "none") else self.time_column
        check_columns((self.text_column,), key="source.text_column")
        check_columns((time,), key="source.time_column")
        check_columns(self.channels, key="source.channels")
        if self.form == "wide" and time is not None and time in self.channels:
            raise ConfigError(f"source.channels: {time!r} is source.time_column, too; remove one")
        given = {key: getattr(self, key) for key in _LONG_COLUMNS if getattr(self, key) != "auto"}
        if given and self.form == "wide":
            raise ConfigError(f"source.{next(iter(given))} has no meaning with form: wide")
        if time is not None and self.form == "long":
            if "sample_column" in given:
                raise ConfigError("source takes `time_column` or `sample_column`, not both")
            given["time_column"] = time
        for key, column in given.items():
            check_columns((column,), key=f"source.{key}")
        check_columns(tuple(given.values()), key="source." + ", ".join(given))

    def _check_fields(self) -> None:
        table = self.domain == "eeg" or self.text_column is not None
        if self.keep and not table:
            raise ConfigError("source.keep needs a table with columns: these records have none")
        for key, field in (("label", self.label), ("group", self.group)):
            place = "" if field is None else field.from_
            if place == "column" and not table:
                raise ConfigError(
                    f"source.{key}: {{from: column}} needs a table: "
                    + (
                        "set source.text_column"
                        if self.domain == "text"
                        else "choose another place"
                    )
                )
            if place == "header" and self.domain != "dna":
                raise ConfigError(f"source.{key}: {{from: header}} is the header of FASTA (dna)")
            if place == "table" and self.nltk is not None:
                raise ConfigError(
                    f"source.{key}: {{from: table}} is looked for in source.path, and a corpus has "
                    "none; use `from: folder`, `file` or `path`"
                )

    def _check_task(self) -> None:
        allowed = {
            "dna": ("classify", "regress", "translate", "next", "reconstruct"),
            "text": ("classify", "regress", "translate", "next", "reconstruct"),
            "eeg": ("classify", "regress", "label_steps", "regress_steps", "next", "reconstruct"),
            "prices": ("regress_steps",),
        }[self.domain]
        if self.domain == "prices" and self.task == "classify":
            object.__setattr__(self, "task", "regress_steps")
        if self.task not in allowed:
            raise ConfigError(
                f"source.task: {self.task} does not fit domain: {self.domain}; "
                f"choose from {', '.join(allowed)}"
            )
        steps = self.task in STEP_TASKS and self.domain != "prices"
        if (steps or self.task == "translate") and self.target is None:
            raise ConfigError(
                f"source.task: {self.task} needs `target`, e.g. {{from: column, ...}}"
            )
        if self.target is not None and not (steps or self.task == "translate"):
            raise ConfigError(f"source.target has no meaning with task: {self.task}")
        if self.nltk is not None and self.target is not None and self.target.from_ == "file":
            raise ConfigError("source.target: {from: file} needs source.path; a corpus has none")
        if self.domain == "text" and self.target is not None and self.target.columns:
            raise ConfigError("source.target: text has one target `column`, not `columns`")
        if self.target is not None and self.target.from_ == "codons" and self.domain != "dna":
            raise ConfigError("source.target: {from: codons} needs domain: dna")
        if self.label is None and self.task in ("classify", "regress"):
            object.__setattr__(self, "label", Field(from_="folder"))


def _is_text_codec(name: str) -> bool:
    """Whether a codec turns text into bytes and back; `auto` counts.

    >>> _is_text_codec("cp1252"), _is_text_codec("hex"), _is_text_codec("nonsense")
    (True, False, False)
    """
    try:
        return name == "auto" or bool("a".encode(name))
    except (LookupError, ValueError):
        return False
