"""JSON lines: Arrow reads whole blocks where nothing is odd, Python line by line where it is.

Both ways give the same rows; `read_block` says None where it is not sure. Blank lines are no
records; numbers and truth values become text as JSON writes them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from seqprep.domains.text_tables import Columns, Row, cell_text
from seqprep.errors import InputError
from seqprep.hashing import string_bytes
from seqprep.ingestion.expand import Notice, SourceStream, decode
from seqprep.ingestion.fields import FieldError, FieldReader
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context
from seqprep.parallel import ordered
from seqprep.schema import sequences_schema

BLOCK_BYTES = 4 * 2**20
_C1 = re.compile(rb"\xc2[\x80-\x9f]")
THREADS = 2
"""That read blocks of one file; Arrow and the digests free the interpreter's lock."""
MOST_LABELS = 10_000
"""Labels that are looked at one by one; with more of them, so are the lines."""


def read_json_lines(
    file: SourceFile, columns: Columns, context: Context, notice: Notice
) -> Iterator[Row | pa.RecordBatch]:
    """The rows of a JSON lines file, in order, one by one or many at once.

    Raises:
        InputError: if columns were asked for by position, or the file cannot be expanded.
    """
    if not all(isinstance(name, str) for name in columns.all):
        raise InputError(f"columns of JSON lines have names, got {columns.all}", file=file.path)
    source, whole = context.source, simple(context)

    def read(block: _Block) -> tuple[_Block, pa.RecordBatch | None]:
        return block, read_block(block, file, columns, context) if whole else None

    with SourceStream(file, max_expanded_bytes=source.max_expanded_bytes) as stream:
        blocks = _numbered(line_blocks(stream))
        for block, rows in ordered(read, blocks, workers=THREADS if whole else 1):
            if rows is not None:
                yield rows
                continue
            for number, one in enumerate(block.data.split(b"\n"), start=block.line):
                if one and not one.isspace():
                    yield json_row(one, number, columns, source.encoding)
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


def simple(context: Context) -> bool:
    """Whether blocks can be read whole at all with these options."""
    source = context.source
    fields = [field for field in (context.label, context.group) if field is not None]
    return (
        source.encoding in ("auto", "utf-8")
        and source.normalize == "none"
        and source.task in ("classify", "translate")
        and not source.keep
        and all(field.per_file or field.column is not None for field in fields)
    )


def read_block(
    block: _Block, file: SourceFile, columns: Columns, context: Context
) -> pa.RecordBatch | None:
    """The rows of a block, or None if a line of it must be looked at.

    Args:
        block: whole lines.
        file: the source file.
        columns: which columns are read.
        context: as for a reader; `simple(context)` holds.
    """
    found = _parse(block, columns)
    if found is None:
        return None
    text = found.column(str(columns.text))
    lengths = pc.utf8_length(text)
    if pc.min(lengths).as_py() == 0 or pc.any(pc.utf8_is_space(text)).as_py() or _is_odd(text):
        return None
    first = block.first
    ids = _joined(f"{file.path}#", pa.array(np.arange(first, first + len(text))))
    cells = {key: found.column(str(column)) for key, column in columns.cells}
    target = None if columns.target is None else found.column(str(columns.target))
    if target is not None and pc.min(pc.utf8_length(target)).as_py() == 0:
        return None
    try:
        label = _values(context.label, file, cells.get("label"), len(text))
        group = (
            ids
            if context.group is None
            else _values(context.group, file, cells.get("group"), len(text))
        )
    except FieldError:
        return None
    return _batch(
        file,
        context,
        first=first,
        text=text,
        lengths=lengths,
        ids=ids,
        label=label,
        group=group,
        target=target,
    )


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


def _is_odd(text: pa.Array) -> bool:
    """Whether there are control characters or carriage returns."""
    data, _ = string_bytes(text)
    low = np.count_nonzero(data < 32)
    if low and low != sum(np.count_nonzero(data == fine) for fine in b"\t\n"):
        return True
    if (data == 127).any():
        return True
    return data.max(initial=0) >= 0x80 and _C1.search(data.tobytes()) is not None


def _values(
    reader: FieldReader | None, file: SourceFile, cells: pa.Array | None, count: int
) -> pa.Array:
    if reader is None:
        return pa.nulls(count, pa.string())
    if cells is None:
        return pa.repeat(reader.find(file), count)
    coded = cells.dictionary_encode()
    if len(coded.dictionary) > MOST_LABELS:
        raise FieldError("too many values")
    found = [reader.find(file, cell=cell) for cell in coded.dictionary.to_pylist()]
    return pa.array(found, pa.string()).take(coded.indices)


def _joined(prefix: str, numbers: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(prefix, numbers.cast(pa.string()), "")


def _batch(
    file: SourceFile,
    context: Context,
    *,
    first: int,
    text: pa.Array,
    lengths: pa.Array,
    ids: pa.Array,
    label: pa.Array,
    group: pa.Array,
    target: pa.Array | None,
) -> pa.RecordBatch:
    schema = sequences_schema(context.source.domain, context.source.task)
    count = len(text)
    columns = {
        "id": ids,
        "group": group,
        "label": label,
        "length": lengths.cast(pa.int32()),
        "source": pa.repeat(file.path, count),
        "record": pa.array(np.arange(first, first + count, dtype=np.int32)),
        "content_hash": pa.array(_hashes(text), pa.binary()),
        "text": text,
    }
    if target is not None:
        columns["target_text"] = target
    arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _hashes(text: pa.Array) -> list[bytes]:
    edges = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    view, places = memoryview(text.buffers()[2]), edges.tolist()
    sha256 = hashlib.sha256
    return [sha256(view[start:stop]).digest() for start, stop in pairwise(places)]


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
        value = found.get(str(name))
        values[name] = value if isinstance(value, str) else cell_text(value)
        if not values[name].isascii() and _lone_surrogate(values[name]):
            return Row(line=line, fault=("bad_json", f"{name!r} holds half a surrogate pair"))
    return columns.row(values, line=line, fallback=fallback)


def _lone_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
