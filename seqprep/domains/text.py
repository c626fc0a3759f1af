r"""Text: one document a file, or tables with a column of documents, or a corpus of NLTK by name.

Policy: bytes are UTF-8 (a byte-order mark is obeyed: UTF-16 and UTF-32, too); what is not is read
as cp1252 and counted, or rejected where `source.encoding` names a codec. Line ends become `\n`; a
document of white space only is rejected; control characters are counted; the Unicode normal form
is left alone unless `source.normalize` names one.
Use it for documents as they are; markup is kept as text.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from seqprep.domains.corpora import list_corpus
from seqprep.domains.csv_tables import read_csv
from seqprep.domains.json_lines import read_json_lines
from seqprep.domains.parquet_tables import read_parquet
from seqprep.domains.text_tables import (
    DELIMITERS,
    JSON_SUFFIXES,
    TABLE_INCLUDE,
    TABLE_SUFFIXES,
    Columns,
    Row,
)
from seqprep.errors import ConfigError, InputError, NotBuiltError
from seqprep.ingestion.expand import Notice, decode, read_bytes
from seqprep.ingestion.files import SourceFile, list_files
from seqprep.ingestion.record_builder import RecordBuilder
from seqprep.ingestion.records import Batch, Context, Reader, no_facts
from seqprep.source import Source

INCLUDE = ("*.txt", "*.text", "*.md")
_CONTROL_BYTES = bytes({*range(32), 127} - set(b"\t\n\r"))
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def read(files: Sequence[SourceFile], context: Context) -> Iterator[Batch]:
    """The documents of some files, in order.

    Raises:
        InputError: if a table lacks a column or a file cannot be expanded.
    """
    builder = RecordBuilder(context)
    for file in files:
        rows = _document if context.source.text_column is None else read_table
        number = 0
        for row in rows(file, context, builder.notice(file)):
            if isinstance(row, pa.RecordBatch):
                builder.extend(row)
                number += row.num_rows
            else:
                _add(file, number, row, context, builder)
                number += 1
            if builder.full:
                yield builder.take()
        if number == 0:
            builder.reject(file, "empty", "the table holds no rows", record=None, line=None)
    yield builder.take()


def read_table(
    file: SourceFile, context: Context, notice: Notice
) -> Iterator[Row | pa.RecordBatch]:
    """The rows of a table, in order.

    Raises:
        InputError: if a column is missing, or the file is no table of its kind.
    """
    columns = Columns.of(context)
    if file.suffix == ".parquet":
        return read_parquet(file, columns, context)
    if file.suffix in JSON_SUFFIXES:
        return read_json_lines(file, columns, context, notice)
    if file.suffix in DELIMITERS:
        return read_csv(file, columns, context, notice)
    raise InputError(
        f"source.text_column needs a table, and {file.suffix or 'no suffix'!r} is none of "
        f"{', '.join(TABLE_SUFFIXES)}",
        file=file.path,
    )


def _document(file: SourceFile, context: Context, notice: Notice) -> Iterator[Row]:
    """The one record of a file that is a document."""
    encoding = context.source.encoding
    cap = context.source.max_expanded_bytes
    data = read_bytes(file, max_expanded_bytes=cap, notice=notice)
    try:
        text, fallback = decode(data, encoding=encoding)
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        line = data.count(b"\n", 0, start) + 1
        yield Row(
            line=line, fault=("bad_encoding", f"the bytes are not text ({encoding}): {error}")
        )
        return
    row = Row(line=1, text=text, fallback=fallback)
    target = context.source.target
    if target is not None and target.from_ == "file" and not context.predicting:
        row = _with_target(row, file, encoding)
    yield row


def _with_target(row: Row, file: SourceFile, encoding: str) -> Row:
    if file.beside is None or not file.beside.is_file():
        return Row(line=None, fault=("bad_target", f"the target file {file.beside} is missing"))
    try:
        target, _ = decode(file.beside.read_bytes(), encoding=encoding)
    except UnicodeError as error:
        return Row(line=None, fault=("bad_target", f"{file.beside.name} is not text: {error}"))
    return row._replace(target=target.strip())


def _add(file: SourceFile, number: int, row: Row, context: Context, builder: RecordBuilder) -> None:
    if row.fallback:
        builder.count(file, "fallback_encoding")
    source, fault, text = context.source, row.fault, row.text
    if fault is None:
        text, odd = clean(text, source)
        if odd:
            builder.count(file, "control_characters")
        if odd and source.on_control_characters == "reject":
            fault = ("control_characters", "the document holds control characters")
        elif not text or text.isspace():
            fault = ("empty", "the document is empty or white space")
        elif source.task == "translate" and not row.target and not context.predicting:
            fault = ("bad_target", "the target is empty")
    if fault is not None:
        builder.reject(file, *fault, record=number, line=row.line)
        return
    content = text.encode("utf-8", "surrogatepass")
    builder.add(
        file,
        record=number,
        line=row.line,
        content=content,
        size_bytes=len(content),
        length=len(text),
        content_hash=hashlib.sha256(content).digest(),
        cells=row.cells,
        attributes=row.attributes,
        target=row.target,
    )


def clean(text: str, source: Source) -> tuple[str, bool]:
    r"""The document by the policy above, and whether it holds control characters.

    >>> clean("a\r\nb", Source(domain="text", path="."))
    ('a\nb', False)
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if source.normalize != "none":
        text = unicodedata.normalize(source.normalize, text)
    odd = has_control(text)
    if odd and source.on_control_characters == "drop":
        text = CONTROL.sub("", text)
    return text, odd


def has_control(text: str) -> bool:
    """Whether there are control characters other than tab and line ends."""
    if text.isascii():
        # Five times as fast as the regular expression.
        data = text.encode()
        return len(data.translate(None, _CONTROL_BYTES)) != len(data)
    return CONTROL.search(text) is not None


def _list(source: Source, base: Path) -> list[SourceFile]:
    target = source.target
    if source.text_column is None and target is not None and target.from_ == "column":
        raise NotBuiltError("source.target.from: column without source.text_column")
    if source.nltk is not None:
        return list_corpus(source)
    if source.text_column is not None:
        return list_files(source, base, default=TABLE_INCLUDE)
    # Tables are looked for only to say what is missing: without a column each were one document.
    found = list_files(source, base, default=(*INCLUDE, *TABLE_INCLUDE))
    documents = [file for file in found if file.suffix not in TABLE_SUFFIXES]
    if len(documents) == len(found) or (documents and not source.include):
        return documents
    table = next(file for file in found if file.suffix in TABLE_SUFFIXES)
    raise ConfigError(
        f"{table.path} is a table: name the column with the text (source.text_column: text), "
        "and where the label comes from, e.g. source.label: {from: column, column: label}; "
        "or leave it out with source.exclude"
    )


READER = Reader(version=1, workers="threads", list_files=_list, probe=no_facts, read=read)
