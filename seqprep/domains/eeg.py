"""EEG and other signals: a file is one recording.

A row is a step and a column a channel; in the long form, a row is a sample of one channel.

Most files say which channels and what rate there are; files with others are rejected. The time
column, in seconds unless its name has another unit, is checked and left out of the values. Labels
of steps become codes by the sorted names of all that occur (`target_classes`); which of them
training knows is decided when splits are. A recording is held whole in memory while it is read.
Use it for tables of numbers as text; not for the binary formats of recording devices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from seqprep.domains.signal_clean import Cleaned, clean
from seqprep.domains.signal_layout import SignalError
from seqprep.domains.signal_parts import Recording
from seqprep.domains.signal_probe import find_facts
from seqprep.domains.signal_recording import load, step_classes
from seqprep.errors import ConfigError, NotBuiltError
from seqprep.ingestion.files import SourceFile, list_files
from seqprep.ingestion.record_builder import RecordBuilder
from seqprep.ingestion.records import Batch, Context, Reader, SourceFacts
from seqprep.parallel import ordered
from seqprep.schema import IGNORED_LABEL
from seqprep.source import Source

SMALL_BYTES = 8 * 2**20
"""Files up to this size are read two at a time; larger ones alone, for the memory they take."""
INCLUDE = ("*.csv", "*.tsv", "*.tab", "*.txt", "*.dat", "*.asc", "*.arff")


@dataclass(kw_only=True, slots=True)
class _Outcome:
    """What came of a file: a recording with its values and their hash, or what is wrong with it."""

    file: SourceFile
    oddities: list[str] = field(default_factory=list)
    found: Recording | None = None
    cleaned: Cleaned | None = None
    content_hash: bytes = b""
    fault: SignalError | None = None


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Batch]:
    """The recordings, one a file.

    Raises:
        InputError: if a channel's name occurs twice, or a file cannot be expanded.
    """
    builder = RecordBuilder(context)
    small = all(file.size_bytes <= SMALL_BYTES for file in files)
    outcomes = ordered(lambda file: _outcome(file, context), files, workers=2 if small else 1)
    for outcome in outcomes:
        _add(outcome, builder)
        if builder.full:
            yield builder.take()
    yield builder.take()


def _outcome(file: SourceFile, context: Context) -> _Outcome:
    outcome = _Outcome(file=file)
    try:
        found = load(file, context, outcome.oddities.append)
        _check_channels(found, context)
        targets = _targets(found, context)
        cleaned = clean(found, targets, context, oddities=outcome.oddities)
        outcome.content_hash = hashlib.sha256(cleaned.values.data).digest()
        outcome.found, outcome.cleaned = found, cleaned
    except SignalError as fault:
        outcome.fault = fault
    return outcome


def _check_channels(found: Recording, context: Context) -> None:
    if context.facts.channels and found.channels != context.facts.channels:
        raise SignalError(
            "wrong_channels",
            found.header_line,
            f"has {', '.join(found.channels)}; the dataset has {', '.join(context.facts.channels)}",
        )


def _add(outcome: _Outcome, builder: RecordBuilder) -> None:
    file, found, cleaned = outcome.file, outcome.found, outcome.cleaned
    for oddity in dict.fromkeys(outcome.oddities):
        builder.count(file, oddity)
    if outcome.fault is not None:
        reason, line, detail = outcome.fault.reason, outcome.fault.line, outcome.fault.detail
        builder.reject(file, reason, detail, record=0, line=line)
        return
    assert found is not None and cleaned is not None
    builder.add(
        file,
        record=0,
        content=cleaned.values.ravel(),
        size_bytes=cleaned.values.nbytes,
        length=len(cleaned.values),
        content_hash=outcome.content_hash,
        cells=found.cells,
        attributes=found.kept,
        target=None if cleaned.targets is None else cleaned.targets.ravel(),
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
    if source.task == "label_steps" and not context.predicting:
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
        return set(step_classes(file, context).unique().to_list())
    except SignalError:
        return set()


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


READER = Reader(version=3, workers="threads", list_files=_list, probe=probe, read=read)
