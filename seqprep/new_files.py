"""New raw files, read with the cleaning of an ingest, for prediction.

Nothing is stored, and labels, groups and targets are not needed. Use `ingest` for what is to be
trained on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from seqprep.domains import DOMAINS
from seqprep.errors import REASONS, InputError, Rejection, SeqprepError
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context, SourceFacts
from seqprep.schema import sequences_schema
from seqprep.source import Source

GATHER_BYTES = 2**23
"""Small files are read together until their rows take this much."""
Records = Iterator[tuple[pa.Table, list[Rejection]]]
"""Rows in the schema of `sequences`, and the records that were rejected, in order."""


def read_records(
    source: Source,
    paths: Sequence[Path],
    *,
    base: Path = Path(),
    facts: SourceFacts | None = None,
) -> Records:
    """Read files and folders.

    Args:
        source: of the training; its path is not used.
        paths: files or folders to read.
        base: the folder that relative paths are relative to.
        facts: what training found that all records share: files with other channels are rejected.

    Yields:
        See Records. A file that cannot be read among others is a rejection of the whole file.

    Raises:
        SeqprepError: if a path does not exist, or none of the files can be read.
    """
    if not paths:
        raise SeqprepError("there is nothing to read: no file or folder was named")
    _refuse_generated(source)
    files = _files_of(source, [base / path for path in paths])
    failures: list[InputError] = []
    for rows, rejections in _read(source, files, facts, failures):
        # Where nothing can be read there is one such pair, after the last file.
        if len(failures) == len(files):
            raise failures[0]
        yield rows, rejections


def read_files(source: Source, files: Sequence[SourceFile], *, facts: SourceFacts) -> Records:
    """Read files that were listed; see `read_records`. What cannot be read is a rejection."""
    yield from _read(source, files, facts, [])


def list_new(source: Source, path: Path) -> list[SourceFile]:
    """The files of a folder, or one file, that the reader of a trained model reads.

    Args:
        source: of the training; its path is not used.
        path: absolute.

    Raises:
        NothingFoundError: if there is none.
        SeqprepError: likewise, and if there is no such folder.
    """
    _refuse_generated(source)
    given = replace(source, path=str(path), nltk=None, target=None, task="classify")
    return DOMAINS[source.domain].list_files(given, Path())


def _refuse_generated(source: Source) -> None:
    if source.domain == "prices":
        raise SeqprepError("prices are generated, there are no files to read")


def _read(
    source: Source,
    files: Sequence[SourceFile],
    facts: SourceFacts | None,
    failures: list[InputError],
) -> Records:
    reader = DOMAINS[source.domain]
    context = Context.of(source, Path(), facts=facts, predicting=True)
    context = replace(context, facts=reader.probe(files, context, facts))
    yield from _gathered(_each_file(files, context, failures))


def _each_file(
    files: Sequence[SourceFile], context: Context, failures: list[InputError]
) -> Records:
    """Batches of each file; what stops a file is a rejection of it, and one of `failures`."""
    source = context.source
    for file in files:
        try:
            for batch in DOMAINS[source.domain].read([file], context):
                yield batch.rows, list(batch.rejections)
        except InputError as error:
            failures.append(error)
            reason = error.reason if error.reason in REASONS else "unreadable"
            rejection = Rejection(
                source=file.path, record=None, line=error.line, reason=reason, detail=error.text
            )
            yield sequences_schema(source.domain, source.task).empty_table(), [rejection]


def _gathered(parts: Iterable[tuple[pa.Table, list[Rejection]]]) -> Records:
    """The same, many small files at a time."""
    tables: list[pa.Table] = []
    rejections: list[Rejection] = []
    size_bytes = 0
    for table, rejected in parts:
        tables.append(table)
        rejections += rejected
        size_bytes += table.nbytes
        if size_bytes >= GATHER_BYTES:
            yield pa.concat_tables(tables), rejections
            tables, rejections, size_bytes = [], [], 0
    if tables:
        yield pa.concat_tables(tables), rejections


def _files_of(source: Source, paths: Sequence[Path]) -> list[SourceFile]:
    """The files to predict, named relative to the folder that holds all of them."""
    roots = [path.absolute() if path.is_dir() else path.absolute().parent for path in paths]
    folder = Path(os.path.commonpath(roots))
    found: dict[str, SourceFile] = {}
    for path in paths:
        prefix = Path(os.path.relpath(path.absolute(), folder))
        for file in list_new(source, path.absolute()):
            name = prefix if path.is_file() else prefix / file.path
            found[name.as_posix()] = replace(file, path=name.as_posix())
    return [found[name] for name in sorted(found)]
