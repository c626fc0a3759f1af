"""Reading for the first pass: one chunk of records at a time becomes the parts that it counts.

A part is independent of all other chunks, so that threads or other machines make them.

Legend: R rows of a chunk, N steps, V tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep import ragged, splits
from seqprep.frequency import count_by_label, count_records, count_tokens
from seqprep.frequency_counter import ChunkCounts
from seqprep.parallel import ordered
from seqprep.preparation.chunk import Chunk
from seqprep.preparation.chunk_rows import ChunkRows
from seqprep.preparation.job import Job
from seqprep.preparation.lists import list_rows, take_rows
from seqprep.preparation.pieces import early_pieces, late_bytes
from seqprep.preparation.roster import Roster
from seqprep.preparation.scaling import Moments
from seqprep.preparation.spill import LARGE_BYTES, release_memory
from seqprep.preparation.target_text import encode_targets
from seqprep.ragged import Ints, Ragged, row_keys
from seqprep.schema import CONTENT_COLUMN, SPLITS, STEP_TASKS, Task
from seqprep.splits import TRAIN

_NONE = np.zeros(0, dtype=np.int64)
READ_BYTES = 2**21
"""Of bases and signals that are read at a time: Arrow's buffers then grow less, and stay in the
cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """What one chunk gives, or one piece of it: what is counted is in the first.

    Args:
        number: of the chunk. piece: of it. chunk: its rows after the early steps; None where they
            are spilled already. size_bytes: that they take spilled, or where late steps widen them.
        counted: its training tokens; None for values. target_ids: of its target text, None where
            they are spilled already. target_counts: of them.
        moments: of its training values; None for tokens.
        step_labels: codes of labelled steps in its training rows.
        before: `(3,)` steps by split before any technique.
        rows: its records, by their place in the chunk. steps: of each before any technique.
    """

    number: int
    piece: int
    chunk: Chunk | None
    size_bytes: int
    counted: ChunkCounts | None
    target_ids: Ragged | None
    target_counts: ChunkCounts | None
    moments: Moments | None
    step_labels: Ints
    before: Ints
    rows: Ints
    steps: Ints


def read_parts(job: Job, roster: Roster, *, workers: int) -> Iterator[Part]:
    """Read, encode and count the chunks with a record to read, in order and perhaps in pieces.

    Args:
        job: what is prepared.
        roster: its records.
        workers: threads.
    """

    def one(number: int) -> Iterator[Part]:
        parts = chunk_parts(job, ChunkRows.of(roster, number))
        return itertools.chain([next(parts)], parts)  # the first is made by the worker

    for parts in ordered(one, roster.active, workers=workers):
        yield from parts


def chunk_parts(job: Job, records: ChunkRows) -> Iterator[Part]:
    """Read, encode and count one chunk, perhaps in pieces."""
    content = CONTENT_COLUMN[job.domain]
    columns = ["id", "length", content, *filter(None, [job.target_column])]
    codes = records.splits
    rows = np.flatnonzero(codes != splits.LEFT_OUT)
    batch_bytes = None if job.domain == "text" else READ_BYTES
    table = job.table.read_group(*records.place, columns, batch_bytes=batch_bytes)
    if table.nbytes > LARGE_BYTES:  # reading took several times as much
        release_memory()
    if len(rows) < len(table):
        table = take_rows(table, rows)
    strings, steps = None, None
    if job.width is None:
        assert job.encoder is not None
        encoded = job.encoder.encode(table[content])
        strings, steps = encoded.tokens, encoded.ids
    else:
        steps = list_rows(table[content], width=job.width)
    chunk = start_chunk(table, steps, codes[rows], task=job.task, target_width=job.target_width)
    whole = chunk.lengths
    if job.split.by == "time":
        chunk = splits.cut_by_time(chunk, job.split)
    labels = None if records.labels is None else records.labels[rows]
    tokens, strings, early = job.chain.until_tokens(chunk, strings)
    counted = None
    if strings is not None and job.counts_tokens:
        counted = _counted(job, tokens, strings, labels, num_labels=records.num_labels)
    ids, target_counts = _target_text(job, table, codes[rows] == TRAIN)
    for piece, after in enumerate(early_pieces(job.chain, tokens, strings, early)):
        first = piece == 0
        yield Part(
            number=records.number,
            piece=piece,
            chunk=replace(after, rows=rows[after.rows]),
            size_bytes=late_bytes(job.chain, after, strings),
            counted=counted if first else None,
            target_ids=ids if first else None,
            target_counts=target_counts if first else None,
            moments=_moments(job, after),
            step_labels=_training_labels(job, chunk) if first else _NONE,
            before=chunk.by_split(chunk.lengths) if first else np.zeros(len(SPLITS), np.int64),
            rows=rows if first else _NONE,
            steps=whole if first else _NONE,
        )


def _counted(
    job: Job,
    chunk: Chunk,
    strings: pa.Array,
    labels: npt.NDArray[np.generic] | None,
    *,
    num_labels: int,
) -> ChunkCounts:
    training, size = chunk.splits == TRAIN, len(strings)
    records = by_label = totals = None
    if any(rule.needs_labels for rule in job.rules):
        assert labels is not None, "counted by label without labels"
        classes = labels[chunk.rows].astype(np.int64)
        by_label = count_by_label(
            chunk.steps, training, classes, num_tokens=size, num_labels=num_labels
        )
        totals = np.bincount(classes[training], minlength=num_labels).astype(np.int64)
        records = by_label.sum(axis=1)
    elif any(rule.needs_records for rule in job.rules):
        records = count_records(chunk.steps, training, num_tokens=size)
    return ChunkCounts(
        tokens=strings,
        counts=count_tokens(chunk.steps, training, num_tokens=size),
        records=records,
        by_label=by_label,
        label_totals=totals,
        rows=int(training.sum()),
    )


def start_chunk(
    table: pa.Table, steps: Ragged, codes: splits.Codes, *, task: Task, target_width: int | None
) -> Chunk:
    """The rows of a table of sequences before any technique, `rows` counted in that table."""
    targets = None
    if task in STEP_TASKS and "targets" in table.column_names:
        targets = list_rows(table["targets"], width=target_width)
    zeros = np.zeros(len(table), dtype=np.int64)
    return Chunk(
        steps=steps,
        targets=targets,
        keys=row_keys(table["id"]),
        rows=np.arange(len(table), dtype=np.int64),
        splits=codes,
        views=zeros,
        windows=zeros,
    )


def _target_text(
    job: Job, table: pa.Table, training: npt.NDArray[np.bool_]
) -> tuple[Ragged, ChunkCounts] | tuple[None, None]:
    if job.task != "translate":
        return None, None
    encoded = encode_targets(table["target_text"], job.recipe)
    counts = count_tokens(encoded.ids, training, num_tokens=len(encoded.tokens))
    rows = int(training.sum())
    return encoded.ids, ChunkCounts(tokens=encoded.tokens, counts=counts, rows=rows)


def _moments(job: Job, chunk: Chunk) -> Moments | None:
    if job.chain.tokens:
        return None
    training = chunk.splits == TRAIN
    chosen = None if training.all() else np.repeat(training, chunk.lengths)
    return Moments.of(chunk.steps.values, chosen)


def _training_labels(job: Job, chunk: Chunk) -> Ints:
    if job.task != "label_steps" or chunk.targets is None:
        return np.zeros(0, np.int64)
    rows = ragged.take(chunk.targets, np.flatnonzero(chunk.splits == TRAIN))
    codes = np.unique(rows.values).astype(np.int64)
    return codes[codes >= 0]
