"""What a table with a column of documents is: its suffixes, its columns and its rows."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seqprep.errors import InputError
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context

DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
TABLE_SUFFIXES = (*DELIMITERS, *JSON_SUFFIXES, ".parquet")
TABLE_INCLUDE = tuple(f"*{suffix}" for suffix in TABLE_SUFFIXES)


class Row(NamedTuple):
    """One row of a table, or what is wrong with it.

    Args:
        line: in the file, from 1; None where lines mean nothing.
        text: the document. cells: `label` and `group`. attributes: columns to keep.
        target: text of the target column.
        fault: reason code and detail, if the row cannot be used.
        fallback: whether cp1252 had to be taken.
    """

    line: int | None
    text: str = ""
    cells: Mapping[str, str] = {}
    attributes: Mapping[str, str] | None = None
    target: str | None = None
    fault: tuple[str, str] | None = None
    fallback: bool = False


class Columns(NamedTuple):
    """Which columns are read, and what for.

    Args:
        text: the document. cells: (`label` or `group`, column). kept: columns to keep.
        target: the target's column. all: every column, each once.
    """

    text: str | int
    cells: tuple[tuple[str, str | int], ...]
    kept: tuple[str, ...]
    target: str | int | None
    all: tuple[str | int, ...]

    @classmethod
    def of(cls, context: Context) -> Columns:
        """The columns that a source asks for."""
        source = context.source
        assert source.text_column is not None
        fields = (("label", context.label), ("group", context.group))
        target = source.target.column if source.target and not context.predicting else None
        cells = tuple(
            (key, reader.column)
            for key, reader in fields
            if reader is not None and reader.column is not None
        )
        kept = () if context.predicting else source.keep
        wanted = [source.text_column, *(column for _, column in cells), *kept]
        wanted += [] if target is None else [target]
        return cls(source.text_column, cells, kept, target, tuple(dict.fromkeys(wanted)))

    def row(self, values: Mapping[str | int, str], *, line: int | None, fallback: bool) -> Row:
        """A row from the text of each column."""
        return Row(
            line=line,
            text=values[self.text],
            cells={key: values[column] for key, column in self.cells},
            attributes={name: values[name] for name in self.kept} or None,
            target=None if self.target is None else values[self.target],
            fallback=fallback,
        )


def cell_text(value: object) -> str:
    """What a cell says: a string itself, null nothing, all else as JSON writes it.

    >>> cell_text("a"), cell_text(None), cell_text(True), cell_text(1), cell_text(2.5)
    ('a', '', 'true', '1', '2.5')
    """
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def find_places(
    wanted: Sequence[str | int], header: Sequence[str] | None, file: SourceFile
) -> dict[str | int, int]:
    """The position of each column, from 0.

    Args:
        wanted: columns, by name or by position.
        header: the names that the table gives them; None where it has none.
        file: the table.

    Raises:
        InputError: if a column is missing, or several have its name.
    """
    places: dict[str | int, int] = {}
    for column in wanted:
        if isinstance(column, int):
            places[column] = column
        elif header is None or column not in header:
            raise InputError(
                f"has no column {column!r}; {_instead(column, header)}",
                file=file.path,
                line=1,
                reason="no_column",
            )
        elif header.count(column) > 1:
            raise InputError(f"column {column!r} occurs twice", file=file.path, line=1)
        else:
            places[column] = header.index(column)
        if header is not None and places[column] >= len(header):
            raise InputError(f"has no column {column}, only {len(header)}", file=file.path, line=1)
    return places


def _instead(column: str | int, header: Sequence[str] | None) -> str:
    """What stands there instead of a column, and what to do."""
    if header is None:
        return "it has no header; give the column's position, from 0"
    found = f"its header is {list(header)[:12]}"
    if len(header) == 1 and (mark := next((m for m in ";\t|" if m in header[0]), None)):
        return f"{found}: write the table with commas, or with tabs as .tsv, instead of {mark!r}"
    near = difflib.get_close_matches(str(column), header, n=1)
    return f"{found}; did you mean {near[0]!r}?" if near else f"{found}; change the pipeline file"
