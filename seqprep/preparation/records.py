"""The columns of `sequences` that decide what becomes of a record, kept from one run to the next.

Some fifty bytes a record, in storage order. A run that finds the columns of the version before
reads only the files that are new since then, so that preparing costs what was appended.

Legend: R records.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from seqprep import splits
from seqprep.errors import ConfigError, CorruptError
from seqprep.preparation.labels import answer_keys
from seqprep.ragged import Ints, Keys, row_keys, string_bytes, to_offsets
from seqprep.recipe import Split
from seqprep.schema import Task
from seqprep.staging import StagedFile
from seqprep.table import Table

Chunks = tuple[tuple[StagedFile, int], ...]
TARGET_COLUMNS = {
    "label_steps": "targets",
    "regress_steps": "targets",
    "translate": "target_text",
}
"""The column with what is asked for, where it is not the label."""
COLUMNS = ("id", "group", "label", "length", "source", "record", "content_hash")
_FILES = b"seqprep.files"
_FORMAT = 1
_PACKED = {"label": "ZSTD", "source": "ZSTD", "length": "ZSTD", "placed": "ZSTD"}
"""Columns that shrink; hashes do not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """R records of a version, in storage order.

    Args:
        columns: `key` and `group` (hashes), `placed` (index into SPLITS, or LEFT_OUT), `label`,
            `length`, `source`, `record`, `content_high` and `content_low` (16 bytes of the
            content's digest, which tell contents apart as well as all of it), and `answer` (a hash
            of the targets) where the task has targets.
        chunks: (file, row group) of each chunk. sizes: records of each.
    """

    columns: pa.Table
    chunks: Chunks
    sizes: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def starts(self) -> Ints:
        """The first record of each chunk, and how many there are, `(chunks + 1,)`."""
        return to_offsets(self.sizes)

    @property
    def placed(self) -> splits.Codes:
        """`(R,)` index into SPLITS, or LEFT_OUT."""
        return self.columns["placed"].to_numpy()

    @property
    def keys(self) -> Keys:
        """`(R,)` hash of each id."""
        return self.columns["key"].to_numpy()

    @property
    def groups(self) -> Keys:
        """`(R,)` hash of each group."""
        return self.columns["group"].to_numpy()

    def to_bytes(self, **more: npt.NDArray[Any]) -> memoryview:
        """As Parquet, with further columns `(R,)`."""
        table = self.columns
        for name, column in more.items():
            table = table.append_column(name, pa.array(column))
        files = [
            [file.path, file.sha256, size, group]
            for (file, group), size in zip(self.chunks, self.sizes, strict=True)
        ]
        about = {_FILES: json.dumps([_FORMAT, files]).encode()}
        sink = pa.BufferOutputStream()
        pq.write_table(
            table.replace_schema_metadata(about),
            sink,
            compression={name: _PACKED.get(name, "NONE") for name in table.column_names},
            use_dictionary=["label", "source"],
            write_statistics=False,
        )
        return memoryview(sink.getvalue())  # no second copy of what may be large


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """What a run before kept.

    Args:
        columns: as in Records, and what `to_bytes` was given beside it.
        places: (path, SHA-256) of a file -> (first record, records of each of its chunks).
        placed: whether the records still stand where `placed` says; else the split is asked again.
    """

    columns: pa.Table
    places: dict[tuple[str, str], tuple[int, tuple[int, ...]]]
    placed: bool = True

    @classmethod
    def of(cls, data: bytes) -> Stored:
        """Read what `to_bytes` wrote.

        Raises:
            CorruptError: if it is of another format.
        """
        try:
            table = pq.read_table(pa.BufferReader(data), read_dictionary=["label", "source"])
            number, files = json.loads(table.schema.metadata[_FILES])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise CorruptError(f"kept columns of records cannot be read: {error!r}") from error
        if number != _FORMAT:
            raise CorruptError(f"kept columns of records are of format {number}, not {_FORMAT}")
        places: dict[tuple[str, str], tuple[int, tuple[int, ...]]] = {}
        start = 0
        for path, sha256, size, _ in files:
            first, sizes = places.get((path, sha256), (start, ()))
            places[path, sha256] = (first, (*sizes, size))
            start += size
        return cls(columns=table, places=places)


def read_records(
    table: Table,
    version: int,
    *,
    split: Split,
    task: Task,
    base: Path,
    stored: Stored | None,
) -> tuple[Records, tuple[str, ...]]:
    """The columns of every record, and the names of the groups where one of them is left out.

    Args:
        table: of sequences.
        version: of it.
        split: as in the pipeline file.
        task: as in the pipeline file.
        base: folder that `split.table` is relative to.
        stored: columns of another version; files in both are not read again.

    Raises:
        CorruptError: naming a file that is read and is not what was committed.
        ConfigError: if `split.table` does not fit, or no record has `split.column`.
    """
    target = TARGET_COLUMNS.get(task)
    extra = () if target is None else (target,)
    wanted = list(dict.fromkeys((*COLUMNS, *splits.columns_needed(split), *extra)))
    listed = splits.read_listed(split, base=base)
    chunks: list[tuple[StagedFile, int]] = []
    parts: list[pa.Table] = []
    sizes: list[int] = []
    names: set[str] = set()
    known = {} if stored is None else stored.places
    named = stored is not None
    for file in table.files(version):
        found = known.get((file.path, file.sha256))
        if found is not None and stored is not None:
            first, counts = found
            chunks += [(file, group) for group in range(len(counts))]
            sizes += counts
            part = stored.columns.slice(first, sum(counts)).select(_columns(task))
            if not stored.placed:
                part = _placed_anew(part, table, file, split=split, listed=listed)
            parts.append(part)
            continue
        for group in range(table.group_count(file)):
            rows = table.read_group(file, group, wanted)
            if split.leaves_one_out:
                names.update(rows["group"].unique().to_pylist())
            named = named or splits.has_column(split, rows)
            chunks.append((file, group))
            sizes.append(len(rows))
            parts.append(_compact(rows, task, splits.assign(split, rows, listed=listed)))
    if parts and not named:
        raise ConfigError(
            f"split.column: no record has a column {split.column!r}; keep it at ingest "
            f"(`source.keep: [{split.column}]`) or choose another"
        )
    columns = pa.concat_tables(parts, promote_options="default") if parts else None
    assert columns is not None or not chunks
    return (
        Records(columns=columns, chunks=tuple(chunks), sizes=tuple(sizes)),
        tuple(sorted(names)),
    )


def _placed_anew(
    part: pa.Table, table: Table, file: StagedFile, *, split: Split, listed: pl.DataFrame | None
) -> pa.Table:
    """Kept columns of a file's records with the splits that its rows have now."""
    wanted = list(dict.fromkeys(("group", *splits.columns_needed(split))))
    codes = [
        splits.assign(split, table.read_group(file, group, wanted), listed=listed)
        for group in range(table.group_count(file, verify=False))
    ]
    place = part.column_names.index("placed")
    return part.set_column(place, "placed", pa.array(np.concatenate(codes)))


def _columns(task: Task) -> list[str]:
    names = ["key", "group", "placed", "label", "length", "source", "record"]
    names += ["content_high", "content_low"]
    return [*names, "answer"] if task in TARGET_COLUMNS else names


def _compact(rows: pa.Table, task: Task, placed: splits.Codes) -> pa.Table:
    """The columns that are kept of every record; repeated strings as numbers, targets hashed."""
    columns: dict[str, object] = {
        "key": pa.array(row_keys(rows["id"])),
        "group": pa.array(row_keys(rows["group"])),
        "placed": pa.array(placed),
    }
    for name in ("label", "source"):
        column = rows[name]
        if name == "source" or task != "regress":
            column = column.dictionary_encode()
        columns[name] = column
    for name in ("length", "record"):
        columns[name] = rows[name]
    words = digest_words(rows["content_hash"])
    columns["content_high"], columns["content_low"] = pa.array(words[0]), pa.array(words[1])
    if task in TARGET_COLUMNS:
        columns["answer"] = pa.array(answer_keys(rows[TARGET_COLUMNS[task]]))
    return pa.table({name: columns[name] for name in _columns(task)})


def digest_words(digests: pa.ChunkedArray) -> tuple[Keys, Keys]:
    """The first and the second 8 bytes of each digest, both `(R,)`."""
    joined = pa.concat_arrays([chunk.cast(pa.large_binary()) for chunk in digests.chunks])
    raw, _ = string_bytes(joined)
    words = np.ascontiguousarray(raw.reshape(len(joined), -1)[:, :16]).view(np.uint64)
    return words[:, 0].copy(), words[:, 1].copy()


def verify_chunks(table: Table, chunks: Sequence[tuple[StagedFile, int]]) -> None:
    """Compare the files of some chunks with what was committed, each once.

    Raises:
        CorruptError: naming the first that is missing or altered.
    """
    for file in {file.path: file for file, _ in chunks}.values():
        table.check(file)
