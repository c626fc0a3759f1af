"""EEG and other signals: a file is one recording, a row is a step, a column is a channel.

Most files say which channels and what rate there are; files with others are rejected. The time
column, in seconds, is checked and left out of the values. Labels of steps become codes by the
sorted names of all that occur (`target_classes`); which of them training knows is decided when
splits are. A recording is held whole in memory while it is read.
Use it for wide tables; the long form (a row a sample and channel) is refused by `source.form`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from seqprep.domains.signal_checks import check_times, find_oddities, interpolate
from seqprep.domains.signal_layout import SignalError
from seqprep.domains.signal_probe import find_facts
from seqprep.domains.signal_recording import Recording, load, read_table
from seqprep.domains.signal_tables import read_columns
from seqprep.errors import ConfigError, NotBuiltError
from seqprep.ingestion.files import SourceFile, list_files
from seqprep.ingestion.record_builder import RecordBuilder
from seqprep.ingestion.records import Batch, Context, Reader, SourceFacts
from seqprep.schema import IGNORED_LABEL
from seqprep.source import Source

INCLUDE = ("*.csv", "*.tsv", "*.tab", "*.txt", "*.dat", "*.asc", "*.arff")


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


def _add(file: SourceFile, found: Recording, context: Context, builder: RecordBuilder) -> None:
    source = context.source
    if context.facts.channels and found.channels != context.facts.channels:
        raise SignalError(
            "wrong_channels",
            found.header_line,
            f"has {', '.join(found.channels)}; the dataset has {', '.join(context.facts.channels)}",
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
    """Channels and rate of most recordings; the classes of labelled steps."""
    source = context.source
    first = known or find_facts(files, context)
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


def _classes(file: SourceFile, context: Context) -> set[str]:
    try:
        layout, picked = read_table(file, context)
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
