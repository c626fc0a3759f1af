"""All records of a `sequences` version before their content is read: split, label, duplicates.

Holds some ten bytes a record beside the names of source files, and about forty while it decides.
Content stays on disk.

Legend: R records of the version, in storage order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep import split_checks, splits
from seqprep.duplicates import count_distinct, hash_parts, resolve_records
from seqprep.errors import ConfigError
from seqprep.preparation.job import Job
from seqprep.preparation.labels import (
    class_codes,
    label_counts,
    label_numbers,
    new_classes,
    numbered,
    refuse_names,
)
from seqprep.preparation.record_columns import Columns, HeldColumns, Stored
from seqprep.preparation.records import TARGET_COLUMNS, Chunks, Records, read_records
from seqprep.ragged import Ints, Keys, look_up, mix
from seqprep.recipe import Prepare, Split
from seqprep.schema import SPLITS, Task
from seqprep.table import Table

SHOWN = 12
"""Values that a message names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """What is known of every record before its content is read.

    Args:
        records: their columns.
        splits: `(R,)` index into SPLITS; LEFT_OUT for records that give no example.
        labels: `(R,)` class codes int32, or float64 for regression; None for other tasks.
        names: of the classes, in code order.
        duplicates, conflicting, unknown, outside: `{split: records}` that were left out because
            an equal one was kept; equal ones disagree; no training row has the label; the split's
            lists name no place for them.
        new_classes: `{class: training records}` that state which is kept does not know.
        by_label: `{split: {class: records}}`. groups: how many there are. held_out: the one
            that tests, where one is left out.
    """

    records: Records
    splits: splits.Codes
    labels: npt.NDArray[np.generic] | None
    names: tuple[str, ...]
    duplicates: dict[str, int]
    conflicting: dict[str, int]
    unknown: dict[str, int]
    new_classes: dict[str, int]
    outside: int
    by_label: dict[str, dict[str, int]]
    groups: int
    held_out: str | None

    @property
    def chunks(self) -> Chunks:
        """(file, row group) of each chunk."""
        return self.records.chunks

    @property
    def lengths(self) -> npt.NDArray[np.int32]:
        """`(R,)` of the records in their natural form."""
        return self.records.column("length")

    @property
    def active(self) -> tuple[int, ...]:
        """The chunks with a record that gives examples."""
        return tuple(
            number
            for number in range(len(self.chunks))
            if (self.splits[self.rows(number)] != splits.LEFT_OUT).any()
        )

    def rows(self, chunk: int) -> slice:
        """The records of a chunk."""
        starts = self.records.starts
        return slice(int(starts[chunk]), int(starts[chunk + 1]))

    def only(self, marked: npt.NDArray[np.bool_]) -> Roster:
        """The same, of which only the marked records give examples."""
        return replace(self, splits=np.where(marked, self.splits, splits.LEFT_OUT).astype(np.int8))

    def identities(self) -> Keys:
        """A hash of all that decides each record's examples beside the recipe, `(R,)`."""
        found = np.empty(len(self.splits), dtype=np.uint64)
        for number, part in enumerate(self.records.parts()):
            found[self.rows(number)] = self.identity(number, part)
        return found

    def identity(self, chunk: int, columns: pa.Table) -> Keys:
        """The same of the records of one chunk, whose columns are given."""
        rows = self.rows(chunk)
        content = columns["content_high"].to_numpy() ^ mix(columns["content_low"].to_numpy(), 5)
        keys = mix(columns["key"].to_numpy() ^ mix(content, 1), 0)
        keys = mix(keys ^ mix(self.splits[rows].astype(np.uint64), 2), 0)
        if "answer" in columns.column_names:
            keys = mix(keys ^ columns["answer"].to_numpy().view(np.uint64), 3)
        if self.labels is not None:
            kind = np.float64 if self.labels.dtype == np.float64 else np.int64
            keys = mix(keys ^ mix(self.labels[rows].astype(kind).view(np.uint64), 4), 0)
        return keys


def read_roster(
    job: Job,
    *,
    base: Path,
    known: tuple[str, ...] | None = None,
    stored: Stored | None = None,
    columns: Columns | None = None,
    workers: int = 1,
) -> Roster:
    """Read the records' columns, split them and decide which take part.

    Args:
        job: which sequences, and how they are prepared.
        base: folder that `split.table` is relative to.
        known: classes of state that is kept; others are left out, in training, too.
        stored: columns that a run before kept, with the same options.
        columns: where those of this version are put; default in memory.
        workers: threads.

    Raises:
        ConfigError: if a split is empty, a group is torn, or there is nothing to learn.
    """
    table, version, split = job.table, job.version, job.split
    records, names = read_records(
        table,
        version,
        split=split,
        task=job.task,
        base=base,
        stored=stored,
        columns=HeldColumns() if columns is None else columns,
        workers=workers,
    )
    if not records.chunks:
        raise ConfigError(f"{table.path}: there are no sequences; ingest some first")
    placed, groups = records.placed, records.groups
    split_checks.check_folds(split, groups)
    held_out = None
    if split.leaves_one_out:
        placed = splits.leave_out(split, placed, groups, names)
        held_out = splits.held_out(split, names)
    count = 0
    for (rows,) in hash_parts(groups):
        count += count_distinct(groups[rows])
        torn = split_checks.check_groups(placed[rows], groups[rows])
        if torn is not None:
            raise ConfigError(_torn(placed, groups, int(rows[torn]), table, records))
    del groups
    try:
        settled = _settle(
            records, placed, split=split, recipe=job.recipe, task=job.task, known=known
        )
    except split_checks.EmptySplitError as error:
        values = split_checks.values_there(split, table, version, base=base)
        raise ConfigError(f"{error}{_named(values)}") from None
    return replace(settled, groups=count, held_out=held_out)


def _named(values: list[str]) -> str:
    """The first values of a split's place, for a message; "" where there are none."""
    more = f" and {len(values) - SHOWN:,} more" if len(values) > SHOWN else ""
    return f"; found are {', '.join(map(repr, values[:SHOWN]))}{more}" if values else ""


def find_held_out(table: Table, version: int, *, split: Split) -> str | None:
    """The group that a fold tests on where one is left out in each; else None.

    Raises:
        ConfigError: if there are not that many groups.
    """
    if not split.leaves_one_out:
        return None
    names: set[str] = set()
    for group in table.row_groups(version, verify=False):  # read_roster does
        names.update(table.read_group(*group, ["group"])["group"].unique().to_pylist())
    return splits.held_out(split, sorted(names))


def _torn(placed: splits.Codes, groups: Keys, torn: int, table: Table, records: Records) -> str:
    """The message that a group is in two splits, as that of one record shows."""
    starts = records.starts
    chunk = int(np.searchsorted(starts, torn, side="right")) - 1
    file, number = records.chunks[chunk]
    name = table.read_group(file, number, ["group"])["group"][torn - int(starts[chunk])].as_py()
    where = sorted({SPLITS[code] for code in placed[groups == groups[torn]].tolist() if code >= 0})
    return (
        f"split: group {name!r} would be in {' and '.join(where)}; a group must be in one split: "
        "change the lists, or `source.group`"
    )


def _settle(
    records: Records,
    placed: splits.Codes,
    *,
    split: Split,
    recipe: Prepare,
    task: Task,
    known: tuple[str, ...] | None,
) -> Roster:
    parts = (part["label"] for part in records.parts(["label"]))
    labels, found = label_numbers(parts, total=len(records), task=task)
    if task == "classify":
        refuse_names(labels, found)
    _check_filled(records, placed, split=split, task=task)
    resolved = resolve_records(
        records.column("content_high"),
        cache(lambda: records.column("content_low")),
        np.where(placed == splits.LEFT_OUT, np.int8(len(SPLITS)), placed),
        records.column("answer") if task in TARGET_COLUMNS else labels,
        _storage_order(records),
        keep="one" if recipe.duplicates == "one" else "all",
    )
    kept = np.where(resolved.kept, placed, np.int8(splits.LEFT_OUT))
    names: tuple[str, ...] = ()
    unknown: dict[str, int] = {}
    new: dict[str, int] = {}
    if task == "classify":
        new = new_classes(labels, found, kept, known)
        lost = _named_counts(placed, resolved.conflicting).get("train", 0)
        labels, names, missing = class_codes(labels, found, kept, known, conflicting=lost)
        unknown = _named_counts(kept, missing)
        kept = np.where(missing, np.int8(splits.LEFT_OUT), kept)
    gone = int((kept != placed).sum())
    _check_filled(records, kept, split=split, task=task, left_out=gone)
    if split.by == "time":
        lengths = records.column("length")
        split_checks.check_times(split, lengths[kept != splits.LEFT_OUT])
    return Roster(
        records=records,
        splits=kept,
        labels=labels if task in ("classify", "regress") else None,
        names=names,
        duplicates=_named_counts(placed, resolved.duplicate),
        conflicting=_named_counts(placed, resolved.conflicting),
        unknown=unknown,
        new_classes=new,
        outside=int((placed == splits.LEFT_OUT).sum()),
        by_label=label_counts(kept, labels, names),
        groups=0,
        held_out=None,
    )


def _check_filled(
    records: Records, codes: splits.Codes, *, split: Split, task: Task, left_out: int = 0
) -> None:
    """Refuse a split without rows; groups are asked only for the message."""
    if not all((codes == number).any() for number in range(len(SPLITS))):
        split_checks.check_filled(split, codes, records.groups, task=task, left_out=left_out)


def _storage_order(records: Records) -> Callable[[Ints], Ints]:
    """Gives the place of some records by (path, record number); read where it is asked."""

    @cache
    def read() -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        parts = (part["source"] for part in records.parts(["source"]))
        numbers, names = numbered(parts, total=len(records))
        paths = pa.array(names, pa.large_string()).cast(pa.large_binary())
        ranks = pc.rank(paths, tiebreaker="first").to_numpy().astype(np.int32)
        return look_up(ranks, numbers), records.column("record")

    def order(rows: Ints) -> Ints:
        path, record = read()
        place = np.empty(len(rows), dtype=np.int64)
        place[np.lexsort((record[rows], path[rows]))] = np.arange(len(rows))
        return place

    return order


def _named_counts(placed: splits.Codes, marked: npt.NDArray[np.bool_]) -> dict[str, int]:
    counts = [int(((placed == code) & marked).sum()) for code in range(len(SPLITS))]
    return {name: count for name, count in zip(SPLITS, counts, strict=True) if count}
