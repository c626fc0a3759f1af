"""Rows of a text table as columns: what is plain goes on whole, what is odd one by one.

Every kind of table comes here with its columns as text. A row is odd if it must be rejected or
counted, or if a label or group cannot be found; the reader then says why.

Legend: R rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep.domains.text_tables import Columns, Row
from seqprep.hashing import Ints, string_bytes
from seqprep.ingestion.field_columns import find_column, label_numbers, map_distinct
from seqprep.ingestion.fields import FieldReader
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context
from seqprep.schema import STEP_TASKS, sequences_schema

Values = Mapping[str | int, pa.StringArray]
"""The text of each column, `(R,)` without nulls."""
Odd = npt.NDArray[np.bool_]

LEAST_ROWS = 32
"""Fewer plain rows between two odd ones go one by one, too: a batch costs more than they."""


class Table(NamedTuple):
    """What is read of a table.

    Args:
        file: the source file. columns: to read. context: as for a reader.
    """

    file: SourceFile
    columns: Columns
    context: Context

    @property
    def whole(self) -> bool:
        """Whether rows can be read many at once at all with these options."""
        source, context = self.context.source, self.context
        untold = source.task == "translate" and self.columns.target is None
        return (
            source.normalize == "none"
            and source.task not in STEP_TASKS
            and (context.predicting or not untold)
        )


def table_rows(
    table: Table, values: Values, *, first: int, lines_R: Ints | None
) -> Iterator[Row | pa.RecordBatch]:
    """The rows of a table, in order, one by one or many at once.

    Args:
        table: that is read.
        values: of its columns.
        first: number of the first record in the file.
        lines_R: the line of each row, where lines mean something.
    """
    names = table.columns.all

    def one_by_one(start: int, stop: int) -> Iterator[Row]:
        cells = [values[name].slice(start, stop - start).to_pylist() for name in names]
        for place, row in enumerate(zip(*cells, strict=True), start=start):
            line = None if lines_R is None else int(lines_R[place])
            yield table.columns.row(dict(zip(names, row, strict=True)), line=line, fallback=False)

    if table.whole:
        rows, odd_R = to_rows(table, values, first=first)
        yield from in_turn(rows, odd_R, one_by_one)
    else:
        yield from one_by_one(0, len(values[table.columns.text]))


def to_rows(table: Table, values: Values, *, first: int) -> tuple[pa.RecordBatch, Odd]:
    """The rows in the schema of `sequences`, and which of them must be looked at, `(R,)`.

    Args:
        table: for which `whole` holds.
        values: of its columns.
        first: number of the first record in the file.
    """
    file, columns, context = table
    source = context.source
    text = _with_line_ends(values[columns.text])
    count, odd_R = len(text), _odd_texts(text)
    numbers = np.arange(first, first + count, dtype=np.int32)
    ids = pc.binary_join_element_wise(f"{file.path}#", pa.array(numbers).cast(pa.string()), "")
    cells = {key: values[column] for key, column in columns.cells}

    def find(reader: FieldReader, key: str) -> pa.Array:
        found = find_column(reader, file, ids=ids, cells=cells.get(key))
        if key == "label" and source.task == "regress":
            found = label_numbers(found)
        _mark(odd_R, found.is_null())
        return found

    found: dict[str, pa.Array] = {
        "id": ids,
        "group": ids if context.group is None else find(context.group, "group"),
        "length": pc.utf8_length(text).cast(pa.int32()),
        "source": pa.repeat(file.path, count),
        "record": pa.array(numbers),
        "content_hash": pa.array(_hashes(text), pa.binary()),
        "text": text,
    }
    if context.label is not None:
        found["label"] = find(context.label, "label")
    if columns.kept:
        found["attributes"] = _json_objects({name: values[name] for name in columns.kept})
    if source.task == "translate" and columns.target is not None:
        found["target_text"] = values[columns.target]
        _mark(odd_R, pc.equal(found["target_text"], ""))
    schema = sequences_schema(source.domain, source.task)
    arrays = [found.get(field.name, pa.nulls(count, field.type)) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema), odd_R


def in_turn(
    rows: pa.RecordBatch, odd_R: Odd, one_by_one: Callable[[int, int], Iterable[Row]]
) -> Iterator[Row | pa.RecordBatch]:
    """Plain rows whole and the others one by one, in order.

    Args:
        rows: all of them.
        odd_R: which are odd.
        one_by_one: the rows from one place to another.
    """
    cuts = np.flatnonzero(odd_R[1:] != odd_R[:-1]) + 1
    edges = [0, *cuts.tolist(), len(odd_R)]
    waiting = 0
    for start, stop in pairwise(edges):
        if odd_R[start : start + 1].any() or stop - start < min(LEAST_ROWS, len(odd_R)):
            continue
        yield from one_by_one(waiting, start)
        yield rows.slice(start, stop - start)
        waiting = stop
    yield from one_by_one(waiting, len(odd_R))


def _mark(odd_R: Odd, wrong: pa.BooleanArray) -> None:
    odd_R |= wrong.to_numpy(zero_copy_only=False)


def _with_line_ends(text: pa.StringArray) -> pa.StringArray:
    r"""The texts with every line end as `\n`."""
    letters, _ = string_bytes(text)
    if not (letters == ord("\r")).any():
        return text
    return pc.replace_substring(pc.replace_substring(text, "\r\n", "\n"), "\r", "\n")


def _odd_texts(text: pa.StringArray) -> Odd:
    r"""Which are white space only, or hold control characters other than tab and line ends.

    >>> _odd_texts(pa.array(["a\0", "b", " ", "c\x85", "\t d"]).slice(1)).tolist()
    [False, True, True, False]
    """
    letters, offsets = string_bytes(text)
    odd_R = pc.utf8_is_space(text).to_numpy(zero_copy_only=False)
    odd_R = odd_R | (np.diff(offsets) == 0)
    low = np.flatnonzero(letters < 32)
    low = low[(letters[low] != ord("\t")) & (letters[low] != ord("\n"))]
    places = [low, np.flatnonzero(letters == 127)]
    if letters.max(initial=0) >= 0x80:
        # C1 characters are C2 80 to C2 9F in UTF-8.
        lead = np.flatnonzero(letters[:-1] == 0xC2)
        places.append(lead[letters[lead + 1] < 0xA0])
    found = np.concatenate(places) + offsets[0]
    odd_R[np.searchsorted(offsets, found, side="right") - 1] = True
    return odd_R


def _hashes(text: pa.StringArray) -> list[bytes]:
    letters, offsets = string_bytes(text)
    view, edges = memoryview(letters.data), (offsets - offsets[0]).tolist()
    sha256 = hashlib.sha256
    return [sha256(view[start:stop]).digest() for start, stop in pairwise(edges)]


def _json_objects(values: Mapping[str, pa.StringArray]) -> pa.StringArray:
    """What `json.dumps` makes of a dictionary with the value of each column, keys sorted."""
    parts: list[str | pa.StringArray] = []
    for name in sorted(values):
        parts += [", " if parts else "{", f"{json.dumps(name)}: ", _json_strings(values[name])]
    return pc.binary_join_element_wise(*parts, "}", "")


def _json_strings(texts: pa.StringArray) -> pa.StringArray:
    letters, _ = string_bytes(texts)
    quoted = (letters < 32) | (letters > 126) | (letters == ord('"')) | (letters == ord("\\"))
    if not quoted.any():
        return pc.binary_join_element_wise('"', texts, '"', "")
    return map_distinct(json.dumps, texts)
