"""Chunks of source files: one chunk becomes one Parquet file, whoever works on it.

Chunks are cut by the files' order and sizes alone, so that any number of workers writes the same
files. Small jobs run in this process; large ones in spawned processes.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from pathlib import Path
from threading import Lock

import numpy as np
import pyarrow as pa

from seqprep.domains import DOMAINS
from seqprep.errors import Rejection
from seqprep.hashing import Ints
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.hashes import check_unchanged
from seqprep.ingestion.records import Batch, Context
from seqprep.ingestion.withdrawn import NOTHING, Withdrawn, leave_out
from seqprep.parallel import default_workers, ordered
from seqprep.preparation.labels import number_values
from seqprep.schema import sequences_schema
from seqprep.staging import StagedFile, StagedWriter

CHUNK_BYTES = 32 * 2**20
CHUNK_FILES = 4096
PARALLEL_BYTES = 256 * 2**20
"""Jobs under this size run in threads: starting processes costs more than they save."""
GZIP_FACTOR = 4
"""About how much a compressed file expands, for cutting chunks."""

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class FileCounts:
    """What came of one source file.

    Args:
        path, sha256, beside_sha256, size_bytes: of the file.
        rows: records accepted. rejected: records rejected, by reason.
        labels: accepted records by label. oddities: counts by name.
        stored: the Parquet file that holds its rows, "" where there are none.
    """

    path: str
    sha256: str
    beside_sha256: str
    size_bytes: int
    rows: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    oddities: dict[str, int] = field(default_factory=dict)
    stored: str = ""

    @classmethod
    def of(cls, file: SourceFile) -> FileCounts:
        """Nothing counted yet."""
        return cls(
            path=file.path,
            sha256=file.sha256,
            beside_sha256=file.beside_sha256,
            size_bytes=file.size_bytes,
        )

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a fingerprint knows of the file."""
        return (self.path, self.sha256, self.beside_sha256)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Work for one worker: some files, and where their rows go.

    Args:
        number: of the chunk; names its Parquet file.
        files: consecutive source files.
        root: of the table. context: as for a reader. withdrawn: records that are refused.
    """

    number: int
    files: tuple[SourceFile, ...]
    root: Path
    context: Context
    withdrawn: Withdrawn = NOTHING


@dataclass(frozen=True, kw_only=True, slots=True)
class ChunkResult:
    """What came of a chunk.

    Args:
        staged: its Parquet file; None where no record was accepted.
        counts: by source file, in order.
        rejections: one JSON object a line.
    """

    staged: StagedFile | None
    counts: tuple[FileCounts, ...]
    rejections: bytes


def cut_chunks(
    files: Sequence[SourceFile],
    *,
    root: Path,
    context: Context,
    first: int = 0,
    withdrawn: Withdrawn = NOTHING,
) -> list[Chunk]:
    """Group consecutive files into chunks, numbered from `first`."""
    return [
        Chunk(
            number=first + place,
            files=tuple(group),
            root=root,
            context=context,
            withdrawn=withdrawn,
        )
        for place, group in enumerate(group_files(files))
    ]


def group_files(files: Sequence[SourceFile]) -> list[list[SourceFile]]:
    """Consecutive files together, by their order and sizes alone."""
    groups: list[list[SourceFile]] = []
    size_bytes = 0
    for file in files:
        weight = file.size_bytes * (GZIP_FACTOR if file.path.lower().endswith(".gz") else 1)
        if not groups or size_bytes + weight > CHUNK_BYTES or len(groups[-1]) >= CHUNK_FILES:
            groups.append([])
            size_bytes = 0
        groups[-1].append(file)
        size_bytes += weight
    return groups


class Cores:
    """Counts the chunks that are being read: a batch is written beside them where a core is idle.

    Where all are at work a thread more only makes the others wait for the interpreter lock.
    """

    def __init__(self, count: int) -> None:
        self._count, self._busy, self._lock = count, 0, Lock()

    @property
    def any_idle(self) -> bool:
        """Whether fewer chunks are being read than there are cores."""
        return self._busy < self._count

    def read(self, chunk: Chunk) -> ChunkResult:
        """See `read_chunk`."""
        with self._lock:
            self._busy += 1
        try:
            return read_chunk(chunk, self)
        finally:
            with self._lock:
                self._busy -= 1


def read_chunk(chunk: Chunk, cores: Cores | None = None) -> ChunkResult:
    """Read the files of a chunk and stage one Parquet file with their rows.

    Args:
        chunk: what to read.
        cores: of this process, where several chunks are read in it.
    """
    counts = {file.path: FileCounts.of(file) for file in chunk.files}
    source = chunk.context.source
    schema = sequences_schema(source.domain, source.task)
    lines: list[bytes] = []
    with ExitStack() as stack:
        writer: StagedWriter | None = None
        written: Future[None] | None = None
        for read in DOMAINS[source.domain].read(chunk.files, chunk.context):
            batch = leave_out(read, chunk.withdrawn)
            count_batch(batch, counts)
            lines.extend(rejection_line(rejection) for rejection in batch.rejections)
            if batch.rows.num_rows == 0:
                continue
            if writer is None:
                writer = stack.enter_context(
                    StagedWriter(chunk.root, f"chunk-{chunk.number:05d}", schema)
                )
                pool = stack.enter_context(ThreadPoolExecutor(1))
            if written is not None:  # one batch waits at most
                written.result()
                written = None
            if cores is None or cores.any_idle:
                written = pool.submit(writer.write, batch.rows)
            else:
                writer.write(batch.rows)
            del read, batch  # else it is held until the next one is made
        if written is not None:
            written.result()
        for file in chunk.files:
            check_unchanged(file)
        if writer is not None:
            writer.sources = [path for path, count in counts.items() if count.rows]
    staged = None if writer is None else writer.staged
    for count in counts.values():
        count.stored = staged.path if staged is not None and count.rows else ""
    return ChunkResult(staged=staged, counts=tuple(counts.values()), rejections=b"".join(lines))


def count_batch(batch: Batch, counts: dict[str, FileCounts]) -> None:
    """Add a batch to the counts of its source files."""
    if batch.rows.num_rows:
        _count_rows(batch.rows, counts)
    for rejection in batch.rejections:
        rejected = counts[rejection.source].rejected
        rejected[rejection.reason] = rejected.get(rejection.reason, 0) + 1
    for (path, reason), number in batch.unlisted.items():
        rejected = counts[path].rejected
        rejected[reason] = rejected.get(reason, 0) + number
    for (path, name), number in batch.oddities.items():
        counts[path].oddities[name] = counts[path].oddities.get(name, 0) + number


def _count_rows(rows: pa.Table, counts: dict[str, FileCounts]) -> None:
    source_R, sources = _numbered(rows["source"])
    for source, number in zip(sources, np.bincount(source_R).tolist(), strict=True):
        counts[source].rows += number
    if not pa.types.is_string(rows.schema.field("label").type):
        return
    label_R, labels = _numbered(rows["label"])
    both = np.unique_counts(source_R * len(labels) + label_R)
    for pair, number in zip(both.values.tolist(), both.counts.tolist(), strict=True):
        label = labels[pair % len(labels)]
        if label is not None:
            of_source = counts[sources[pair // len(labels)]].labels
            of_source[label] = of_source.get(label, 0) + number


def _numbered(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    numbers, values = number_values(column)
    return numbers, values.to_pylist()


def rejection_line(rejection: Rejection) -> bytes:
    """One line of the rejections file."""
    return json.dumps(asdict(rejection), sort_keys=True, ensure_ascii=False).encode() + b"\n"


def run_chunks(
    chunks: Sequence[Chunk], *, workers: int | None, progress: Progress | None
) -> Iterator[ChunkResult]:
    """The results of all chunks, in order.

    Args:
        chunks: the work.
        workers: default one a core, at most eight, as in preparation. Measured on 100 MB: a process
            that reads FASTA took 250 to 300 MB, one record of 100 million bases 380 MB; the first
            thread that reads JSON lines 300 to 320 MB with its process, each more 60 to 75 MB.
        progress: called as (what, files done, files in all).
    """
    total = sum(len(chunk.files) for chunk in chunks)
    size_bytes = sum(file.size_bytes for chunk in chunks for file in chunk.files)
    count = default_workers() if workers is None else workers
    wanted, done = min(count, len(chunks)), 0
    readers = {DOMAINS[chunk.context.source.domain].workers for chunk in chunks}
    with ExitStack() as stack:
        if wanted > 1 and readers == {"processes"} and size_bytes > PARALLEL_BYTES:
            pool = stack.enter_context(
                ProcessPoolExecutor(wanted, mp_context=multiprocessing.get_context("spawn"))
            )
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            results: Iterator[ChunkResult] = pool.map(read_chunk, chunks)
        else:
            # Under PARALLEL_BYTES threads help where processes would only start.
            results = ordered(Cores(count).read, chunks, workers=wanted)
        for chunk, result in zip(chunks, results, strict=True):
            done += len(chunk.files)
            if progress is not None:
                progress("reading files", done, total)
            yield result


def total(counts: Sequence[FileCounts], name: str) -> dict[str, int]:
    """The sum of a count over files, sorted by key.

    >>> a, b = (FileCounts(path=p, sha256="", beside_sha256="", size_bytes=0) for p in "ab")
    >>> a.labels, b.labels = {"x": 1}, {"x": 2}
    >>> total([a, b], "labels")
    {'x': 3}
    """
    summed: dict[str, int] = {}
    for found in map(attrgetter(name), counts):
        for key, number in found.items() if found else ():
            summed[key] = summed.get(key, 0) + number
    return dict(sorted(summed.items()))
