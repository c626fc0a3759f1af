"""Where a record's label and group come from: folder, file, path, header, column or a table.

Use it in every reader; the values are plain strings and never become paths.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from seqprep.errors import SeqprepError
from seqprep.ingestion.expand import decode, read_bytes
from seqprep.ingestion.files import SourceFile, source_root
from seqprep.ingestion.globs import strip_gz
from seqprep.source import Field, Source

MAX_TABLE_BYTES = 2**30


class FieldError(Exception):
    """The value of one record cannot be found; the message says why and what to do."""


Tables = dict[str, dict[str, str]]
"""The values by id of every table that fields read, by field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldReader:
    """Finds one value of each record.

    Args:
        given: what the person wrote.
        key: `label` or `group`, for messages.
        table: for `from: table`, the values by id.
    """

    given: Field
    key: str
    table: Mapping[str, str] = field(default_factory=dict)

    @property
    def per_file(self) -> bool:
        """Whether all records of a file have the same value."""
        return self.given.from_ in ("folder", "file", "path")

    @property
    def column(self) -> str | int | None:
        """The table column that must be read for it, if any."""
        return self.given.column if self.given.from_ == "column" else None

    def find(
        self, file: SourceFile, *, header: str = "", name: str = "", id_: str = "", cell: str = ""
    ) -> str:
        """The record's value.

        Args:
            file: the record's source file.
            header: its FASTA header.
            name: first word of that.
            id_: of the record.
            cell: what stands in its column.

        Raises:
            FieldError: if there is none.
        """
        match self.given.from_:
            case "folder":
                if len(file.categories) > 1:
                    raise FieldError(
                        f"{self.key}: the corpus gives it {len(file.categories)} categories: "
                        f"{', '.join(file.categories[:8])}; only documents with one can be used"
                    )
                text = folder_of(file)
            case "file":
                text = stem_of(file.path)
            case "path":
                text = file.path
            case "header":
                text = header
            case "column":
                text = cell
            case "table":
                text = self._look_up(name, id_, file.path)
            case _:
                raise AssertionError(self.given.from_)
        return self._shape(text)

    def _look_up(self, *keys: str) -> str:
        for key in keys:
            if key in self.table:
                return self.table[key]
        raise FieldError(
            f"{self.key}: {keys[0] or keys[1]!r} is not in column {self.given.key!r} of "
            f"{self.given.table}"
        )

    def _shape(self, text: str) -> str:
        if self.given.pattern is not None:
            found = re.search(self.given.pattern, text)
            if found is None or found[1] is None:
                raise FieldError(
                    f"{self.key}.pattern {self.given.pattern!r} finds nothing in {text[:80]!r}"
                )
            text = found[1]
        if text == "":
            raise FieldError(f"{self.key}: {self.advice()}")
        if self.given.values is not None:
            if text not in self.given.values:
                raise FieldError(
                    f"{self.key}: {text[:80]!r} is not among {self.key}.values: "
                    f"{sorted(self.given.values)[:8]}"
                )
            text = self.given.values[text]
        return text

    def advice(self) -> str:
        """What to do when the place is empty."""
        if self.given.from_ == "folder":
            return (
                f"the file lies in no folder; sort files into one folder a {self.key}, or set "
                f"source.{self.key}: {{from: file}} or another place"
            )
        return f"nothing stands in its {self.given.from_}"


def folder_of(file: SourceFile) -> str:
    """The innermost folder, or what the corpus says; "" for a file at the root.

    >>> folder_of(SourceFile(path="a/pos/x.txt"))
    'pos'
    """
    if file.category is not None:
        return file.category
    parts = file.path.split("/")
    return parts[-2] if len(parts) > 1 else ""


def stem_of(path: str) -> str:
    """The name without folders and suffix.

    >>> stem_of("a/b.coding.fa.gz")
    'b.coding'
    """
    name = strip_gz(path).split("/")[-1]
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def table_file(source: Source, base: Path, table: str) -> SourceFile:
    """The label table, inside the source's folder.

    Raises:
        SeqprepError: if it does not exist.
    """
    root = source_root(source, base)
    folder = root if root.is_dir() else root.parent
    full = folder / table
    if not full.is_file():
        key = "label" if source.label is not None and source.label.table == table else "group"
        raise SeqprepError(
            f"source.{key}.table: {table!r} does not exist in {folder}; the path is relative to "
            "source.path"
        )
    return SourceFile(path=table, full=str(full), size_bytes=full.stat().st_size)


def field_reader(
    given: Field | None, source: Source, base: Path, *, key: str, tables: Tables | None = None
) -> FieldReader | None:
    """The reader of a field, with its table loaded; None where nothing is asked for.

    Args:
        given: what the person wrote.
        source: of the field.
        base: the folder that `source.path` is relative to.
        key: `label` or `group`.
        tables: what `read_tables` gave, if it was asked.
    """
    if given is None or given.from_ == "none":
        return None
    if given.from_ != "table":
        return FieldReader(given=given, key=key)
    table = _load_table(given, source, base) if tables is None else tables[key]
    return FieldReader(given=given, key=key, table=table)


def read_tables(source: Source, base: Path) -> Tables:
    """Load the tables of `label` and `group`; {} where neither reads one."""
    return {
        key: _load_table(given, source, base)
        for key, given in (("label", source.label), ("group", source.group))
        if given is not None and given.from_ == "table"
    }


def has_grown(before: Tables, now: Tables) -> bool:
    """Whether every value of before stands there still: lines were added, none changed.

    >>> has_grown({"label": {"a": "x"}}, {"label": {"a": "x", "b": "y"}})
    True
    >>> has_grown({"label": {"a": "x"}}, {"label": {"a": "y"}})
    False
    """
    return before.keys() == now.keys() and all(
        values.items() <= now[key].items() for key, values in before.items()
    )


def table_digests(source: Source, base: Path) -> list[str]:
    """SHA-256 of every table that fields read: part of a fingerprint."""
    return [
        hashlib.sha256(_table_bytes(given, source, base)).hexdigest()
        for given in (source.label, source.group)
        if given is not None and given.from_ == "table"
    ]


def _table_bytes(given: Field, source: Source, base: Path) -> bytes:
    assert given.table is not None
    return read_bytes(table_file(source, base, given.table), max_expanded_bytes=MAX_TABLE_BYTES)


def _load_table(given: Field, source: Source, base: Path) -> dict[str, str]:
    try:
        text, _ = decode(_table_bytes(given, source, base), encoding="auto")
        first = text.split("\n", 1)[0]
        delimiter = max(",\t;", key=first.count)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SeqprepError(f"{given.table}: is no CSV or TSV in text; save it as one") from error
    header = [cell.strip() for cell in rows[0]] if rows else []
    assert given.key is not None and given.column is not None
    places = []
    for column in (given.key, given.column):
        place = column if isinstance(column, int) else _place(header, column, given.table or "")
        places.append(place)
    found: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if max(places) >= len(row):
            raise SeqprepError(f"{given.table}, line {number}: has {len(row)} cells, too few")
        key, value = (row[place].strip() for place in places)
        if found.setdefault(key, value) != value:
            raise SeqprepError(
                f"{given.table}, line {number}: {key!r} has two values, {found[key]!r} and "
                f"{value!r}; keep one"
            )
    return found


def _place(header: list[str], column: str, table: str) -> int:
    if column not in header:
        raise SeqprepError(f"{table}: no column {column!r}; it has {header[:12]}")
    return header.index(column)
