"""A table of tokens as a file: how many there are and how many records hold each.

A Parquet file with the columns `token`, `count`, `records` (and more, see `frequency_table`), whose
metadata says how many records there were. It is a reference for informativeness (P4), or names the
tokens that a study found useful (P5). Its SHA-256 is part of every fingerprint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from seqprep.errors import ConfigError
from seqprep.frequency import places_in
from seqprep.ragged import Ints

NUM_RECORDS = b"seqprep.num_records"
"""Metadata key: records that were counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenTable:
    """A table of tokens that was read from a file.

    Args:
        tokens: `(T,)` strings.
        columns: numbers of each token by column, each `(T,)`.
        num_records: records that were counted; None where the file does not say.
        sha256: of the file.
    """

    tokens: pa.Array
    columns: dict[str, npt.NDArray[np.generic]]
    num_records: int | None
    sha256: str

    @classmethod
    def read(cls, path: Path, *, key: str) -> TokenTable:
        """Read a file that `seqprep frequencies` or `seqprep usefulness` wrote.

        Args:
            path: of the Parquet file.
            key: which key of the pipeline file names it, for messages.

        Raises:
            ConfigError: if it is missing, or not such a file.
        """
        command = "usefulness" if key.startswith("usefulness") else "frequencies"
        if not path.is_file():
            raise ConfigError(
                f"{key}: {path} does not exist; correct the path, which is relative to the "
                f"pipeline file, or write the table with `seqprep {command} FILE --out "
                "TABLE.parquet`"
            )
        try:
            data = path.read_bytes()
            table = pq.read_table(pa.BufferReader(data))
            strings = table["token"].combine_chunks().cast(pa.large_string())
            numbers = {
                name: table[name].combine_chunks().to_numpy(zero_copy_only=False)
                for name in table.column_names
                if pa.types.is_integer(table[name].type) or pa.types.is_floating(table[name].type)
            }
            found = (table.schema.metadata or {}).get(NUM_RECORDS)
            num_records = None if found is None else int(found)
            _check_records(numbers.get("records"), num_records)
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise ConfigError(
                f"{key}: {path} is no table of tokens ({error}); write one with "
                f"`seqprep {command} FILE --out TABLE.parquet`"
            ) from error
        return cls(
            tokens=strings,
            columns=numbers,
            num_records=num_records,
            sha256=hashlib.sha256(data).hexdigest(),
        )

    def column(self, name: str, tokens: pa.Array, *, missing: float) -> npt.NDArray[np.float64]:
        """A column's number for each of `tokens`, `missing` for those that the table lacks.

        Raises:
            ConfigError: if the table has no such column.
        """
        if name not in self.columns:
            raise ConfigError(
                f"the table of tokens has no column {name!r}, only {', '.join(self.columns)}"
            )
        found: npt.NDArray[np.float64] = np.append(self.columns[name].astype(np.float64), missing)[
            self._places(tokens)
        ]
        return found

    def _places(self, tokens: pa.Array) -> Ints:
        return places_in(tokens, self.tokens)


def _check_records(records: npt.NDArray[Any] | None, num_records: int | None) -> None:
    """Refuse a token that stands in fewer than no records, or in more than there are."""
    if records is None:
        return
    most = np.inf if num_records is None else num_records
    if not ((records >= 0) & (records <= most)).all():
        raise ValueError(f"a token cannot stand in {records.min()} to {records.max()} of {most}")
