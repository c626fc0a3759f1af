"""The columns of `sequences` that decide what becomes of a record, kept from one run to the next.

A run that finds the columns of the version before reads only the files that are new since then, so
that preparing costs what was appended.

Legend: R records.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from seqprep import split_checks, splits
from seqprep.errors import ConfigError
from seqprep.parallel import ordered
from seqprep.preparation.labels import answer_keys
from seqprep.preparation.record_columns import Columns, Stored
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """R records of a version, in storage order.

    Args:
        columns: of each chunk: `key` and `group` (hashes), `placed` (index into SPLITS, or
            LEFT_OUT), `label`, `length`, `source`, `record`, `content_high` and `content_low` (16
            bytes of the content's digest, which tell contents apart as well as all of it), and
            `answer` (a hash of the targets) where the task has targets.
        chunks: (file, row group) of each chunk.
        starts: `(chunks + 1,)` the first record of each, and how many there are.
    """

    columns: Columns
    chunks: Chunks
    starts: Ints

    def __len__(self) -> int:
        return int(self.starts[-1])

    def column(self, name: str) -> npt.NDArray[Any]:
        """A number of each record, `(R,)`."""
        parts = self.parts([name])
        first = next(parts)[name].to_numpy()
        whole = np.empty(len(self), first.dtype)
        whole[: len(first)] = first
        for start, part in zip(self.starts[1:].tolist(), parts, strict=False):
            whole[start : start + len(part)] = part[name].to_numpy()
        return whole

    def parts(self, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Some columns, or all, of each chunk."""
        for number in range(len(self.chunks)):
            yield self.columns.read(number, names)

    @property
    def placed(self) -> splits.Codes:
        """`(R,)` index into SPLITS, or LEFT_OUT."""
        return self.column("placed")

    @property
    def keys(self) -> Keys:
        """`(R,)` hash of each id."""
        return self.column("key")

    @property
    def groups(self) -> Keys:
        """`(R,)` hash of each group."""
        return self.column("group")


def read_records(
    table: Table,
    version: int,
    *,
    split: Split,
    task: Task,
    base: Path,
    stored: Stored | None,
    columns: Columns,
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
        columns: where those of this version are put.
        workers: threads.

    Raises:
        CorruptError: naming a file that is read and is not what was committed.
        ConfigError: if `split.table` does not fit, or no record has `split.column`.
    """
    target = TARGET_COLUMNS.get(task)
    extra = () if target is None else (target,)
    wanted = list(dict.fromkeys((*COLUMNS, *splits.columns_needed(split), *extra)))
    listed = splits.read_listed(split, base=base)
    known = {} if stored is None else stored.places

    def opened(file: StagedFile) -> list[tuple[StagedFile, int, slice | None]]:
        found = known.get((file.path, file.sha256))
        if found is None:
            return [(file, group, None) for group in range(table.group_count(file))]
        edges = (found[0] + to_offsets(found[1])).tolist()
        return [(file, n, slice(*ends)) for n, ends in enumerate(pairwise(edges))]

    def read(chunk: tuple[StagedFile, int, slice | None]) -> tuple[pa.Table, set[str], bool]:
        file, group, place = chunk
        if place is not None and stored is not None:
            rows = stored.rows(place.start, place.stop, _columns(task))
            if not stored.placed:
                rows = _placed_anew(rows, table, file, group, split=split, listed=listed)
            return rows, set(), True
        rows = table.read_group(file, group, wanted)
        names = set(rows["group"].unique().to_pylist()) if split.leaves_one_out else set()
        codes = splits.assign(split, rows, listed=listed)
        return _compact(rows, task, codes), names, splits.names_any(split, rows, listed)

    files = ordered(opened, table.files(version), workers=workers)
    chunks = [chunk for several in files for chunk in several]
    sizes: list[int] = []
    groups: set[str] = set()
    named = stored is not None or not chunks
    for part, names, has in ordered(read, chunks, workers=workers):
        columns.add(part)
        sizes.append(len(part))
        groups |= names
        named |= has
    if not named:
        source = columns.read(0, ["source"])["source"][0].as_py()
        raise ConfigError(split_checks.says_nothing(split, listed, source))
    records = Records(
        columns=columns,
        chunks=tuple((file, group) for file, group, _ in chunks),
        starts=to_offsets(sizes),
    )
    return records, tuple(sorted(groups))


def _placed_anew(
    part: pa.Table,
    table: Table,
    file: StagedFile,
    group: int,
    *,
    split: Split,
    listed: pl.DataFrame | None,
) -> pa.Table:
    """Kept columns of a chunk's records with the splits that its rows have now."""
    wanted = list(dict.fromkeys(("group", *splits.columns_needed(split))))
    codes = splits.assign(split, table.read_group(file, group, wanted), listed=listed)
    place = part.column_names.index("placed")
    return part.set_column(place, "placed", pa.array(codes))


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
            column = column.dictionary_encode().unify_dictionaries().combine_chunks()
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
