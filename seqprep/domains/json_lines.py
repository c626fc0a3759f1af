"""JSON lines: Arrow reads whole blocks where nothing is odd, Python line by line where it is.

Both ways give the same rows; `read_block` says None where it is not sure. Blank lines are no
records; numbers and truth values become text as JSON writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from seqprep.domains.text_columns import Odd, Table, in_turn, to_rows
from seqprep.domains.text_tables import Columns, Row, cell_text
from seqprep.errors import InputError
from seqprep.ingestion.expand import Notice, SourceStream, decode
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context
from seqprep.parallel import ordered

BLOCK_BYTES = 4 * 2**20
THREADS = 2
"""That read blocks of one file; Arrow and the digests free the interpreter's lock."""


def read_json_lines(
    file: SourceFile, columns: Columns, context: Context, notice: Notice
) -> Iterator[Row | pa.RecordBatch]:
    """The rows of a JSON lines file, in order, one by one or many at once.

    Raises:
        InputError: if columns were asked for by position, or the file cannot be expanded.
    """
    if not all(isinstance(name, str) for name in columns.all):
        raise InputError(f"columns of JSON lines have names, got {columns.all}", file=file.path)
    table, encoding = Table(file, columns, context), context.source.encoding
    whole = table.whole and encoding in ("auto", "utf-8")

    def read(block: _Block) -> tuple[_Block, tuple[pa.RecordBatch, Odd] | None]:
        return block, read_block(block, table) if whole else None

    cap = context.source.max_expanded_bytes
    with SourceStream(file, max_expanded_bytes=cap) as stream:
        blocks = _numbered(line_blocks(stream))
        for block, found in ordered(read, blocks, workers=THREADS if whole else 1):
            lines = block.data.split(b"\n") if found is None or found[1].any() else []
            one_by_one = partial(_line_rows, lines, block.line, columns, encoding)
            yield from one_by_one(0, len(lines)) if found is None else in_turn(*found, one_by_one)
        stream.tell_members(notice)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """Whole lines.

    Args:
        data: the lines. line: number of the first one, from 1.
        first: number of its record, from 0.
        objects: how many lines there are, if each starts and ends like an object; else 0.
    """

    data: bytes
    line: int
    first: int
    objects: int


def _numbered(blocks: Iterable[bytes]) -> Iterator[_Block]:
    line, first = 1, 0
    for block in blocks:
        data = block.removeprefix(b"\xef\xbb\xbf") if line == 1 else block
        objects = _object_lines(data)
        yield _Block(data=data, line=line, first=first, objects=objects)
        line += objects or data.count(b"\n")
        # Each line that is not blank is a record, whatever becomes of it.
        first += objects or sum(1 for one in data.split(b"\n") if one and not one.isspace())


def line_blocks(stream: SourceStream) -> Iterator[bytes]:
    """The content in blocks of whole lines; the last one may lack its line end."""
    held: list[bytes] = []
    size_bytes = 0
    for block in stream.blocks():
        size_bytes += len(block)
        end = block.rfind(b"\n") + 1
        if size_bytes < BLOCK_BYTES or not end:
            held.append(block)
            continue
        yield b"".join([*held, block[:end]])
        held, size_bytes = [block[end:]], len(block) - end
    if size_bytes:
        yield b"".join(held)


def read_block(block: _Block, table: Table) -> tuple[pa.RecordBatch, Odd] | None:
    """The rows of a block, and which must be looked at; None if all its lines must be.

    Args:
        block: whole lines.
        table: for which `whole` holds.
    """
    found = _parse(block, table.columns)
    if found is None:
        return None
    values = {name: found.column(str(name)) for name in table.columns.all}
    return to_rows(table, values, first=block.first)


def _parse(block: _Block, columns: Columns) -> pa.RecordBatch | None:
    """The columns as strings without nulls; None if anything else stands in them."""
    if not block.objects:
        return None
    schema = pa.schema([(str(name), pa.string()) for name in columns.all])
    try:
        block.data.decode()
        table = pj.read_json(
            pa.BufferReader(block.data),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(block.data) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
    except (UnicodeDecodeError, pa.ArrowException):
        return None
    # With as many rows as lines that start and end like an object, each line holds exactly one.
    if table.num_rows != block.objects or any(column.null_count for column in table.columns):
        return None
    batches = table.combine_chunks().to_batches()
    return batches[0] if len(batches) == 1 else None


def _object_lines(block: bytes) -> int:
    """The number of lines, if each starts and ends like an object; else 0."""
    raw = np.frombuffer(block, np.uint8)
    stops = np.flatnonzero(raw == ord("\n"))
    if not block.endswith(b"\n"):
        stops = np.append(stops, len(raw))
    starts = np.append(0, stops[:-1] + 1)
    if (stops == starts).any():
        return 0
    whole = (raw[starts] == ord("{")) & (raw[stops - 1] == ord("}"))
    return len(stops) if whole.all() else 0


def _line_rows(
    lines: list[bytes], first: int, columns: Columns, encoding: str, start: int, stop: int
) -> Iterator[Row]:
    """The rows on some of the lines, the first of which has the number `first`."""
    for number, one in enumerate(lines[start:stop], start=first + start):
        if one and not one.isspace():
            yield json_row(one, number, columns, encoding)


def json_row(data: bytes, line: int, columns: Columns, encoding: str) -> Row:
    """The row on one line, or what is wrong with it."""
    try:
        text, fallback = decode(data, encoding=encoding)
    except UnicodeError as error:
        return Row(line=line, fault=("bad_encoding", f"the bytes are not {encoding}: {error}"))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Row(line=line, fault=("bad_json", str(error)))
    if not isinstance(found, dict):
        detail = f"the line holds a {type(found).__name__}, not an object"
        return Row(line=line, fault=("bad_json", detail))
    values: dict[str | int, str] = {}
    for name in columns.all:
        values[name] = cell_text(found.get(str(name)))
        if not values[name].isascii() and _lone_surrogate(values[name]):
            return Row(line=line, fault=("bad_json", f"{name!r} holds half a surrogate pair"))
    return columns.row(values, line=line, fallback=fallback)


def _lone_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
