"""What a reader of a domain is, and what it gives: batches of cleaned records, and what was odd."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pyarrow as pa

from seqprep.errors import Rejection
from seqprep.ingestion.fields import FieldReader, Tables, field_reader
from seqprep.ingestion.files import SourceFile
from seqprep.source import Source

ODDITIES = {
    "ambiguous_bases": "records with bases that are not A, C, G or T",
    "comment_lines": "`;` lines in FASTA files, left out",
    "constant_channel": "records with a channel that never changes",
    "control_characters": "records with control characters other than tab and line ends",
    "extreme_values": "records with values over 30 robust deviations from the median",
    "fallback_encoding": "records that are not UTF-8 and were read as cp1252",
    "gaps": "records with gap characters, left out",
    "interpolated_values": "records with missing values that were interpolated",
    "railed_values": "records with values that stay at the record's limit",
    "repeated_name": "records whose name occurred before in their file",
    "resampled": "records that were brought to the dataset's sampling rate",
    "several_gzip_members": "gzip files of several members: one cut between two looks whole",
    "timestamp_gaps": "records with steps further apart than 1.5 sampling intervals",
    "timestamp_order": "records whose timestamps run backwards",
}
"""What is counted, and in what unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFacts:
    """What all records of a dataset share; found in the first files and kept from then on.

    Args:
        channels: names of the value channels, in order; () for text and DNA.
        rate_hz: sampling rate, where known.
        target_names: channels of per-step targets.
        target_classes: names of the codes in labelled steps, in code order.
    """

    channels: tuple[str, ...] = ()
    rate_hz: float | None = None
    target_names: tuple[str, ...] = ()
    target_classes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a reader needs beside the files.

    Args:
        source: what the person wrote.
        facts: what all records must share.
        label: finds labels; group: finds groups; None where there is none to find.
        predicting: labels and targets may be missing.
    """

    source: Source
    facts: SourceFacts = SourceFacts()
    label: FieldReader | None = None
    group: FieldReader | None = None
    predicting: bool = False

    @classmethod
    def of(
        cls,
        source: Source,
        base: Path,
        *,
        facts: SourceFacts | None = None,
        predicting: bool = False,
        tables: Tables | None = None,
    ) -> Context:
        """Load what the fields need, unless `tables` holds it already."""
        wanted = None if predicting else source.label
        return cls(
            source=source,
            facts=facts or SourceFacts(),
            label=field_reader(wanted, source, base, key="label", tables=tables),
            group=None
            if predicting
            else field_reader(source.group, source, base, key="group", tables=tables),
            predicting=predicting,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Some of the records that a reader saw, in order.

    Args:
        rows: in the schema of `sequences`.
        rejections: what was left out since the batch before.
        unlisted: (source file, reason) -> rejections beyond those, counted alone.
        oddities: (source file, oddity) -> count.
    """

    rows: pa.Table
    rejections: tuple[Rejection, ...] = ()
    unlisted: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oddities: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Probe(Protocol):
    """Finds what all records share, before any is stored."""

    def __call__(
        self, files: Sequence[SourceFile], context: Context, known: SourceFacts | None
    ) -> SourceFacts:
        """Facts of `files`, or those already known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """One domain.

    Args:
        version: part of every fingerprint; count it up when the same bytes give other rows.
        list_files: the source files, sorted by path.
        probe: see Probe.
        read: the records of some files, in order, in bounded batches.
        workers: what reads chunks side by side. Threads where the parser releases the interpreter
            lock, processes where it is Python.
    """

    version: int
    workers: Literal["threads", "processes"]
    list_files: Callable[[Source, Path], list[SourceFile]]
    probe: Probe
    read: Callable[[Sequence[SourceFile], Context], Iterator[Batch]]


def no_facts(
    files: Sequence[SourceFile], context: Context, known: SourceFacts | None
) -> SourceFacts:
    """The probe of a domain whose records share nothing that must be known."""
    return known or SourceFacts()
