"""What a person writes about the place of a record's label, group and targets.

Frozen dataclasses with the keys under `source.label`, `source.group` and `source.target`; part of
`source`. The values are found by `ingestion.fields`. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from seqprep.checks import check_pattern
from seqprep.errors import ConfigError


def check_columns(columns: Sequence[str | int | None], *, key: str) -> None:
    """Refuse positions under 0 and columns that are listed twice."""
    given = [column for column in columns if column is not None]
    for number, column in enumerate(given):
        if isinstance(column, int) and column < 0:
            raise ConfigError(f"{key}: positions count from 0, got {column}")
        if column in given[:number]:
            raise ConfigError(f"{key}: {column!r} is listed twice")


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """Where a record's label or group comes from.

    Args:
        from_: `folder` (the innermost folder), `file` (the name without suffix), `path` (the whole
            relative path), `header` (the FASTA header), `column` (of a table), `table` (another
            file that maps ids to values) or `none`.
        pattern: a regular expression searched in that text; its first group is the value.
        column: the column that holds the value, by name or by position from 0.
        table: for `from: table`, a CSV or TSV file relative to `source.path`.
        key: for `from: table`, its column of ids: a record's name, id or relative path.
        values: renames what was found: `{found: name}`. What is not listed is rejected.
    """

    from_: Literal["folder", "file", "path", "header", "column", "table", "none"] = "folder"
    pattern: str | None = None
    column: str | int | None = None
    table: str | None = None
    key: str | None = None
    values: dict[str, str] | None = None

    def __post_init__(self) -> None:
        check_pattern(self.pattern, key="pattern")
        if self.pattern is not None and re.compile(self.pattern).groups < 1:
            raise ConfigError(
                f"pattern needs a group that holds the value, e.g. 'subject([a-d])', "
                f"got {self.pattern!r}"
            )
        if self.from_ in ("column", "table") and self.column is None:
            raise ConfigError(f"from: {self.from_} needs `column`")
        if self.from_ == "table" and (self.table is None or self.key is None):
            raise ConfigError("from: table needs `table` (a CSV file) and `key` (its id column)")
        if self.from_ not in ("column", "table") and self.column is not None:
            raise ConfigError(f"`column` has no meaning with from: {self.from_}")
        check_columns((self.column,), key="column")
        given = {
            "table": self.from_ != "table" and self.table is not None,
            "key": self.from_ != "table" and self.key is not None,
            "pattern": self.from_ == "none" and self.pattern is not None,
            "values": self.from_ == "none" and self.values is not None,
        }
        for name in (name for name, wrong in given.items() if wrong):
            raise ConfigError(f"`{name}` has no meaning with from: {self.from_}; remove it")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """Where a record's target comes from, for tasks whose answer is more than one label.

    Args:
        from_: `column` (of a table, or per-step columns of a signal), `file` (a text file beside
            the record, with `suffix`), or `codons` (DNA: the protein of the first reading frame,
            standard genetic code, up to the first stop codon).
        column: one column; columns: several target channels of a signal.
        suffix: for `file`: replaces the record's own suffix.
    """

    from_: Literal["column", "file", "codons"] = "column"
    column: str | int | None = None
    columns: tuple[str | int, ...] = ()
    suffix: str | None = None

    def __post_init__(self) -> None:
        if self.from_ == "column" and self.column is None and not self.columns:
            raise ConfigError("target: {from: column} needs `column` or `columns`")
        if self.from_ == "file" and not self.suffix:
            raise ConfigError("target: {from: file} needs `suffix`")
        if self.from_ != "column" and self.names:
            raise ConfigError(f"target.column has no meaning with from: {self.from_}; remove it")
        if self.from_ != "file" and self.suffix is not None:
            raise ConfigError(f"target.suffix has no meaning with from: {self.from_}; remove it")
        if self.column is not None and self.columns:
            raise ConfigError("target takes `column` or `columns`, not both")
        check_columns((self.column, *self.columns), key="target.columns")

    @property
    def names(self) -> tuple[str | int, ...]:
        """All target columns, in order."""
        return self.columns or (() if self.column is None else (self.column,))
