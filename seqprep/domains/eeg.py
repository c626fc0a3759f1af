"""EEG and other signals: a file is one recording, a row is a step, a column is a channel.

The first file that can be read says which channels there are; files with others are rejected. The
time column, in seconds, is checked and left out of the values. Labels of steps become codes by the
sorted names of all that occur (`target_classes`); which of them training knows is decided when
splits are. A recording is held whole in memory while it is read.
Use it for wide tables; the long form (a row a sample and channel) is refused by `source.form`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from seqprep.domains.signal_checks import check_times, find_oddities, interpolate
from seqprep.domains.signal_columns import Picked, pick_columns
from seqprep.domains.signal_layout import Layout, SignalError, find_layout
from seqprep.domains.signal_tables import read_columns
from seqprep.errors import ConfigError, NotBuiltError
from seqprep.ingestion.expand import Notice, read_bytes
from seqprep.ingestion.files import SourceFile, list_files
from seqprep.ingestion.record_builder import RecordBuilder
from seqprep.ingestion.records import Batch, Context, Reader, SourceFacts
from seqprep.schema import IGNORED_LABEL
from seqprep.source import Source

INCLUDE = ("*.csv", "*.tsv", "*.tab", "*.txt", "*.dat", "*.asc", "*.arff")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One file's content.

    Args:
        values: `(T, C)` float64, NaN where a value is missing.
        times: `(T,)` seconds, if there is a time column.
        targets: `(T, G)` per-step numbers, if asked for.
        classes: `(T,)` per-step names, if asked for.
        cells: the constant text of the label and group columns; kept: of the columns to keep.
        channels: names. first_line: the file's line of step 0; header_line: of the columns' names.
    """

    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64] | None
    targets: npt.NDArray[np.float64] | None
    classes: pl.Series | None
    cells: dict[str, str]
    kept: dict[str, str]
    channels: tuple[str, ...]
    first_line: int
    header_line: int


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Batch]:
    """The recordings, one a file.

    Raises:
        InputError: if a channel's name occurs twice, or a file cannot be expanded.
    """
    builder = RecordBuilder(context)
    for file in files:
        try:
            _add(file, load(file, context, builder.notice(file)), context, builder)
        except SignalError as fault:
            builder.reject(file, fault.reason, fault.detail, record=0, line=fault.line)
        if builder.full:
            yield builder.take()
    yield builder.take()


def load(file: SourceFile, context: Context, notice: Notice | None = None) -> Recording:
    """Read one file; oddities of its bytes are given to `notice`.

    Raises:
        SignalError: if the recording cannot be used.
        InputError: if the file cannot.
    """
    layout, picked = _open(file, context, notice)
    steps = context.source.task == "label_steps" and not context.predicting
    numbers = [*picked.channels, *picked.time, *([] if steps else picked.targets)]
    texts = [*(picked.targets if steps else []), *picked.cells.values(), *picked.kept.values()]
    allow = context.source.missing == "interpolate"
    values, series = read_columns(layout, numbers=numbers, texts=texts, allow_missing=allow)
    count = len(picked.channels)
    strings = dict(zip((place for place in texts), series, strict=True))
    return Recording(
        values=values[:, :count],
        times=values[:, count] if picked.time else None,
        targets=values[:, len(numbers) - len(picked.targets) :]
        if picked.targets and not steps
        else None,
        classes=strings[picked.targets[0]] if steps and picked.targets else None,
        cells={key: _constant(strings[place], key) for key, place in picked.cells.items()},
        kept={key: _constant(strings[place], key) for key, place in picked.kept.items()},
        channels=picked.names,
        first_line=layout.first_line,
        header_line=layout.header_line,
    )


def _open(
    file: SourceFile, context: Context, notice: Notice | None = None
) -> tuple[Layout, Picked]:
    source = context.source
    data = read_bytes(file, max_expanded_bytes=source.max_expanded_bytes, notice=notice)
    assert not isinstance(source.header, bool)
    layout = find_layout(data, header=source.header)
    return layout, pick_columns(layout, context, file)


def _constant(column: pl.Series, key: str) -> str:
    if column.n_unique() != 1:
        reason = "no_group" if key == "group" else "no_label"
        raise SignalError(
            reason, None, f"the column of {key} holds {column.n_unique()} values in one recording"
        )
    return str(column[0])


def _add(file: SourceFile, found: Recording, context: Context, builder: RecordBuilder) -> None:
    source = context.source
    if context.facts.channels and found.channels != context.facts.channels:
        raise SignalError(
            "wrong_channels",
            found.header_line,
            f"has {', '.join(found.channels)}; the dataset has "
            f"{', '.join(context.facts.channels)}, as in the first recording that was read",
        )
    rate_hz = source.rate_hz or context.facts.rate_hz
    if found.times is not None:
        times = found.times
        if np.isnan(times).any():
            raise SignalError("missing_values", None, "timestamps are missing")
        own = check_times(times, rate_hz=rate_hz, first_line=found.first_line)
        rate_hz = rate_hz or own
    values = found.values
    if np.isnan(values).any():
        values = interpolate(values, first_line=found.first_line)
        builder.count(file, "interpolated_values")
    targets = _targets(found, context)
    kept = np.ones(len(values), bool)
    for name, policy, keep in find_oddities(values, found.times, source, rate_hz=rate_hz):
        builder.count(file, name)
        if policy == "reject":
            raise SignalError(name, None, f"source.on_{name} is reject")
        if policy == "drop":
            kept &= keep
    if not kept.all():
        values = values[kept]
        targets = targets[kept] if targets is not None else None
    if not len(values):
        raise SignalError("empty", None, "no step is left when the odd ones are dropped")
    content = np.ascontiguousarray(values, dtype=np.float32)
    builder.add(
        file,
        record=0,
        content=content.ravel(),
        size_bytes=content.nbytes,
        length=len(content),
        content_hash=hashlib.sha256(content.data).digest(),
        cells=found.cells,
        attributes=found.kept,
        target=None if targets is None else targets.ravel(),
    )


def _targets(found: Recording, context: Context) -> npt.NDArray[np.generic] | None:
    if found.targets is not None:
        if np.isnan(found.targets).any():
            raise SignalError("bad_target", None, "the target column lacks values")
        return found.targets.astype(np.float32)
    if found.classes is None:
        return None
    names = context.facts.target_classes
    codes = found.classes.replace_strict(
        ["", *names], [IGNORED_LABEL, *range(len(names))], return_dtype=pl.Int32
    )
    return codes.to_numpy()


def probe(files: Sequence[SourceFile], context: Context, known: SourceFacts | None) -> SourceFacts:
    """Channels and rate of the first recording that can be read; the classes of labelled steps."""
    source = context.source
    first = known or _first_facts(files, context)
    classes = list(first.target_classes)
    if source.task == "label_steps":
        found: set[str] = set()
        for file in files:
            found |= _classes(file, context)
        classes += sorted(found - {"", *classes})
    names = () if source.target is None else tuple(str(name) for name in source.target.names)
    return SourceFacts(
        channels=first.channels,
        rate_hz=source.rate_hz or first.rate_hz,
        target_names=names,
        target_classes=tuple(classes),
    )


def _first_facts(files: Sequence[SourceFile], context: Context) -> SourceFacts:
    for file in files:
        try:
            found = load(file, context)
            rate_hz = None
            if found.times is not None:
                rate_hz = check_times(
                    found.times, rate_hz=context.source.rate_hz, first_line=found.first_line
                )
        except SignalError:
            continue
        return SourceFacts(channels=found.channels, rate_hz=rate_hz)
    return SourceFacts()


def _classes(file: SourceFile, context: Context) -> set[str]:
    try:
        layout, picked = _open(file, context)
        _, series = read_columns(layout, numbers=[], texts=picked.targets, allow_missing=True)
    except SignalError:
        return set()
    return set(series[0].unique().to_list())


def _list(source: Source, base: Path) -> list[SourceFile]:
    target = source.target
    if target is not None and target.from_ != "column":
        raise NotBuiltError(f"source.target.from: {target.from_} for EEG")
    if source.task == "label_steps" and target is not None and len(target.names) != 1:
        raise ConfigError(f"task: label_steps takes one target column, got {target.names}")
    if source.on_constant_channel == "drop":
        raise ConfigError(
            "source.on_constant_channel: a channel cannot be dropped from some records; leave it "
            "out of source.channels, or use keep or reject"
        )
    return list_files(source, base, default=INCLUDE)


READER = Reader(version=1, workers="threads", list_files=_list, probe=probe, read=read)
