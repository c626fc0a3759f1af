"""What most recordings of a dataset share: their channels and their sampling rate.

The beginnings of some files, spread evenly over the listing, say what most of them have; the first
whole recording that has it gives the facts, so that one odd file never decides for the others.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from seqprep.domains.signal_checks import RATE_TOLERANCE, check_times
from seqprep.domains.signal_columns import pick_columns
from seqprep.domains.signal_layout import SNIFFED_LINES, SignalError, find_layout
from seqprep.domains.signal_recording import load
from seqprep.domains.signal_tables import read_columns
from seqprep.errors import InputError
from seqprep.ingestion.expand import MAGIC, SourceStream
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context, SourceFacts
from seqprep.parallel import ordered

PROBED_FILES = 32
"""How many files are looked at before the first is read."""
HEAD_BYTES = 2**16
"""How much of a file is looked at, where its table can be told from that."""
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


class Head(NamedTuple):
    """What the beginning of a file says: its channels, and its rate where there are timestamps."""

    channels: frozenset[str]
    rate_hz: float | None


def find_facts(files: Sequence[SourceFile], context: Context) -> SourceFacts:
    """Channels and rate of the first recording that has those of most files.

    Raises:
        InputError: if a file that is read whole cannot be expanded or has unusable names.
    """
    chosen = _spread(files)
    # Beginnings are small; tables of the long form are read whole, so one at a time.
    workers = 1 if context.source.form == "long" else 2
    found_heads = ordered(lambda file: look(file, context), chosen, workers=workers)
    heads = {file.path: head for file, head in zip(chosen, found_heads, strict=True)}
    usual = _most_frequent([head for head in heads.values() if head is not None])
    found = None if usual is None else _first_like(usual, files, heads, context)
    return found or _first_readable(files, context)


def look(file: SourceFile, context: Context) -> Head | None:
    """What a file's beginning says; None where it cannot be used.

    A file whose timestamps are too coarse or too few there for a rate is read whole, and so is one
    of the long form, where a channel may begin anywhere.
    """
    try:
        if context.source.form == "long":
            return _head(_facts(file, context))
        data, whole = _beginning(file, context)
        assert not isinstance(context.source.header, bool)
        layout = find_layout(data, header=context.source.header)
        picked = pick_columns(layout, context, file)
        values, _ = read_columns(
            layout,
            numbers=[*picked.channels, *picked.time],
            texts=[],
            allow_missing=context.source.missing == "interpolate",
        )
        rate_hz = None
        if picked.time:
            times = values[:, -1] / picked.per_second
            if not whole and (len(times) < 2 or np.median(np.diff(times)) <= 0):
                rate_hz = _facts(file, context).rate_hz
            else:
                rate_hz = check_times(
                    times, rate_hz=_demanded(context), first_line=layout.first_line
                )
    except (SignalError, InputError):
        # Reading says what is wrong with the file; here it only has no say.
        return None
    return Head(frozenset(picked.names), rate_hz)


def _head(facts: SourceFacts) -> Head:
    return Head(frozenset(facts.channels), facts.rate_hz)


def _demanded(context: Context) -> float | None:
    """The rate that a file must have to be read at all."""
    return None if context.source.mixed_rates == "resample" else context.source.rate_hz


def _spread(files: Sequence[SourceFile]) -> Sequence[SourceFile]:
    """Up to `PROBED_FILES` of the files, evenly spaced, with the first and the last."""
    if len(files) <= PROBED_FILES:
        return files
    step = (len(files) - 1) / (PROBED_FILES - 1)
    return [files[round(number * step)] for number in range(PROBED_FILES)]


def _beginning(file: SourceFile, context: Context) -> tuple[bytes, bool]:
    """Whole lines of a file's beginning, and whether that is all of it."""
    with file.open() as raw:
        data = raw.read(HEAD_BYTES + 1)
    head = data[:HEAD_BYTES]
    if len(data) > HEAD_BYTES and not _is_gzip(file, head) and _can_be_cut(head):
        return head[: head.rfind(b"\n") + 1], False
    data = b""
    with SourceStream(file, max_expanded_bytes=context.source.max_expanded_bytes) as stream:
        while block := stream.next_block():
            data += block
            # Some layouts are told apart by their first lines: all of those must be there.
            for size_bytes in (HEAD_BYTES, len(data)):
                head = data[:size_bytes]
                if len(data) > HEAD_BYTES and _can_be_cut(head):
                    return head[: head.rfind(b"\n") + 1], False
    return data, True


def _is_gzip(file: SourceFile, head: bytes) -> bool:
    """Whether a file must be expanded, or says so."""
    return head.startswith(MAGIC) or file.path.lower().endswith(".gz")


def _can_be_cut(head: bytes) -> bool:
    if head.startswith(_WIDE_MARKS) or head.count(b"\n") <= SNIFFED_LINES:
        return False
    arff = head[:4096].lstrip()[:1] in (b"@", b"%")
    return not arff or re.search(rb"(?im)^\s*@data[^\n]*\n\s*\S", head) is not None


def _most_frequent(heads: Sequence[Head]) -> Head | None:
    """The most frequent channels, and the rate that most files of these have; the first of equal.

    >>> a, b = frozenset("a"), frozenset("ab")
    >>> _most_frequent([Head(a, 9), Head(b, 128), Head(b, 100), Head(b, 101)])[1]
    100
    """
    if not heads:
        return None
    channels = Counter(head.channels for head in heads).most_common(1)[0][0]
    rates = [head.rate_hz for head in heads if head.channels == channels and head.rate_hz]
    votes = [sum(_agree(other, rate) for other in rates) for rate in rates]
    return Head(channels, rates[votes.index(max(votes))] if rates else None)


def _agree(own: float | None, usual: float | None) -> bool:
    if usual is None:
        return True
    return own is not None and abs(own / usual - 1) <= RATE_TOLERANCE


def _first_like(
    usual: Head,
    files: Sequence[SourceFile],
    heads: Mapping[str, Head | None],
    context: Context,
) -> SourceFacts | None:
    """The order of the first recording with the usual channels, the first usual rate of these."""
    first: SourceFacts | None = None
    for file in files:
        head = heads[file.path] if file.path in heads else look(file, context)
        if head is None or head.channels != usual.channels:
            continue
        usual_rate = _agree(head.rate_hz, usual.rate_hz)
        if first is not None and not usual_rate:
            continue
        try:
            own = _facts(file, context)
        except SignalError:
            continue
        first = first or own
        # A beginning may be slower than the whole file, whose rate then counts.
        if usual_rate or _agree(own.rate_hz, usual.rate_hz):
            return replace(first, rate_hz=own.rate_hz)
    return first


def _first_readable(files: Sequence[SourceFile], context: Context) -> SourceFacts:
    for file in files:
        try:
            return _facts(file, context)
        except SignalError:
            continue
    return SourceFacts()


def _facts(file: SourceFile, context: Context) -> SourceFacts:
    """Channels and rate of one whole recording.

    Raises:
        SignalError: if it cannot be used.
        InputError: if the file cannot.
    """
    found = load(file, context)
    for part in found.parts:
        if part.times is not None and found.timed:
            check_times(part.times, rate_hz=_demanded(context), first_line=found.first_line)
    return SourceFacts(channels=found.channels, rate_hz=found.rate_hz if found.timed else None)
