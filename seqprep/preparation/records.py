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
from seqprep.parallel import ordered
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
        chunks: (file, row group) of each chunk.
        starts: `(chunks + 1,)` the first record of each, and how many there are.
    """

    columns: pa.Table
    chunks: Chunks
    starts: Ints

    def __len__(self) -> int:
        return len(self.columns)

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
            for (file, group), size in zip(self.chunks, np.diff(self.starts).tolist(), strict=True)
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
    workers: int,
) -> tuple[Records, tuple[str, ...]]:
    """The columns of every record, and the names of the groups where one of them is left out.

    Args:
        table: of sequences.
        version: of it.
        split: as in the pipeline file.
        task: as in the pipeline file.
        base: folder that `split.table` is relative to.
        stored: columns of another version; files in both are not read again.
        workers: threads.

    Raises:
        CorruptError: naming a file that is read and is not what was committed.
        ConfigError: if `split.table` does not fit, or no record has `split.column`.
    """
    target = TARGET_COLUMNS.get(task)
    extra = () if target is None else (target,)
    wanted = list(dict.fromkeys((*COLUMNS, *splits.columns_needed(split), *extra)))
    listed = splits.read_listed(split, base=base)

    def one(file: StagedFile) -> _FileRecords:
        return _read_file(table, file, stored, wanted, split=split, task=task, listed=listed)

    found = list(ordered(one, table.files(version), workers=workers))
    if found and stored is None and not any(part.named for part in found):
        source = found[0].columns["source"][0].as_py()
        raise ConfigError(splits.says_nothing(split, listed, source))
    parts = [part.columns for part in found]
    columns = pa.concat_tables(parts, promote_options="default") if parts else None
    chunks = tuple((part.file, group) for part in found for group in range(len(part.sizes)))
    assert columns is not None or not chunks
    return (
        Records(
            columns=columns,
            chunks=chunks,
            starts=to_offsets([size for part in found for size in part.sizes]),
        ),
        tuple(sorted(set().union(*(part.groups for part in found)))),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _FileRecords:
    """The records of one file.

    Args:
        file: which. columns: as in Records. sizes: records of each chunk.
        groups: their names, where one group is left out. named: see `splits.names_any`.
    """

    file: StagedFile
    columns: pa.Table
    sizes: tuple[int, ...]
    groups: set[str]
    named: bool


def _read_file(
    table: Table,
    file: StagedFile,
    stored: Stored | None,
    wanted: Sequence[str],
    *,
    split: Split,
    task: Task,
    listed: pl.DataFrame | None,
) -> _FileRecords:
    """The records of one file, from what a run before kept where it did."""
    known = None if stored is None else stored.places.get((file.path, file.sha256))
    if known is not None and stored is not None:
        first, sizes = known
        columns = stored.columns.slice(first, sum(sizes)).select(_columns(task))
        if not stored.placed:
            columns = _placed_anew(columns, table, file, split=split, listed=listed)
        return _FileRecords(file=file, columns=columns, sizes=sizes, groups=set(), named=True)
    parts: list[pa.Table] = []
    groups: set[str] = set()
    named = False
    for number in range(table.group_count(file)):
        rows = table.read_group(file, number, wanted)
        if split.leaves_one_out:
            groups.update(rows["group"].unique().to_pylist())
        named = named or splits.names_any(split, rows, listed)
        parts.append(_compact(rows, task, splits.assign(split, rows, listed=listed)))
    columns = pa.concat_tables(parts, promote_options="default")
    sizes = tuple(len(part) for part in parts)
    return _FileRecords(file=file, columns=columns, sizes=sizes, groups=groups, named=named)


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
