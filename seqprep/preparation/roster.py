"""All records of a `sequences` version before their content is read: split, label, duplicates.

Holds about fifty bytes a record beside the names of source files. Content stays on disk.

Legend: R records of the version, in storage order.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep import split_checks, splits
from seqprep.duplicates import resolve_duplicates
from seqprep.errors import ConfigError
from seqprep.preparation.labels import (
    answer_keys,
    class_codes,
    label_counts,
    label_numbers,
    new_classes,
    number_values,
    refuse_names,
)
from seqprep.ragged import Ints, Keys, row_keys, to_offsets
from seqprep.recipe import Prepare, Split
from seqprep.schema import SPLITS, Task
from seqprep.staging import StagedFile
from seqprep.table import Table

Chunks = tuple[tuple[StagedFile, int], ...]
TARGET_COLUMNS = {
    "label_steps": "targets",
    "regress_steps": "targets",
    "translate": "target_text",
}
"""The column with what is asked for, where it is not the label."""
COLUMNS = ("group", "label", "length", "source", "record", "content_hash")


@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """What is known of every record before its content is read.

    Args:
        chunks: (file, row group) of each chunk. starts: `(chunks + 1,)` its first record.
        splits: `(R,)` index into SPLITS; LEFT_OUT for records that give no example.
        labels: `(R,)` class codes int32, or float64 for regression; None for other tasks.
        names: of the classes, in code order.
        lengths: `(R,)` of the records in their natural form.
        duplicates, conflicting, unknown, outside: `{split: records}` that were left out because
            an equal one was kept; equal ones disagree; no training row has the label; the split's
            lists name no place for them.
        new_classes: `{class: training records}` that state which is kept does not know.
        by_label: `{split: {class: records}}`. groups: how many there are. held_out: the one
            that tests, where one is left out.
    """

    chunks: Chunks
    starts: Ints
    splits: splits.Codes
    labels: npt.NDArray[np.generic] | None
    names: tuple[str, ...]
    lengths: npt.NDArray[np.int32]
    duplicates: dict[str, int]
    conflicting: dict[str, int]
    unknown: dict[str, int]
    new_classes: dict[str, int]
    outside: int
    by_label: dict[str, dict[str, int]]
    groups: int
    held_out: str | None

    def rows(self, chunk: int) -> slice:
        """The records of a chunk."""
        return slice(int(self.starts[chunk]), int(self.starts[chunk + 1]))


def read_roster(
    table: Table,
    version: int,
    *,
    split: Split,
    recipe: Prepare,
    task: Task,
    base: Path,
    known: tuple[str, ...] | None = None,
) -> Roster:
    """Read the records' columns, split them and decide which take part.

    Args:
        table: of sequences.
        version: of it.
        split: as in the pipeline file.
        recipe: as in the pipeline file.
        task: as in the pipeline file.
        base: folder that `split.table` is relative to.
        known: classes of state that is kept; others are left out, in training, too.

    Raises:
        ConfigError: if a split is empty, a group is torn, or there is nothing to learn.
    """
    chunks = tuple(table.row_groups(version))
    if not chunks:
        raise ConfigError(f"{table.path}: there are no sequences; ingest some first")
    target = TARGET_COLUMNS.get(task)
    extra = () if target is None else (target,)
    wanted = list(dict.fromkeys((*COLUMNS, *splits.columns_needed(split), *extra)))
    parts: list[pa.Table] = []
    codes, groups, names = [], [], set()
    listed = splits.read_listed(split, base=base)
    for file, group in chunks:
        rows = table.read_group(file, group, wanted)
        codes.append(splits.assign(split, rows, listed=listed))
        groups.append(row_keys(rows["group"]))
        if split.leaves_one_out:
            names.update(rows["group"].unique().to_pylist())
        parts.append(_compact(rows, task))
    placed, group_keys = np.concatenate(codes), np.concatenate(groups)
    split_checks.check_folds(split, group_keys)
    held_out = None
    if split.leaves_one_out:
        placed = splits.leave_out(split, placed, group_keys, sorted(names))
        held_out = splits.held_out(split, sorted(names))
    _refuse_torn(placed, group_keys, table, chunks, parts)
    return _settle(
        pa.concat_tables(parts),
        placed,
        group_keys,
        chunks,
        split=split,
        recipe=recipe,
        task=task,
        sizes=[len(part) for part in parts],
        known=known,
        held_out=held_out,
    )


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


def _refuse_torn(
    placed: splits.Codes, groups: Keys, table: Table, chunks: Chunks, parts: list[pa.Table]
) -> None:
    torn = split_checks.check_groups(placed, groups)
    if torn is None:
        return
    starts = to_offsets([len(part) for part in parts])
    chunk = int(np.searchsorted(starts, torn, side="right")) - 1
    file, number = chunks[chunk]
    name = table.read_group(file, number, ["group"])["group"][torn - int(starts[chunk])].as_py()
    where = sorted({SPLITS[code] for code in placed[groups == groups[torn]].tolist() if code >= 0})
    raise ConfigError(
        f"split: group {name!r} would be in {' and '.join(where)}; a group must be in one split: "
        "change the lists, or `source.group`"
    )


def _settle(
    records: pa.Table,
    placed: splits.Codes,
    groups: Keys,
    chunks: Chunks,
    *,
    split: Split,
    recipe: Prepare,
    task: Task,
    sizes: list[int],
    known: tuple[str, ...] | None,
    held_out: str | None,
) -> Roster:
    labels, found = label_numbers(records["label"], task)
    if task == "classify":
        refuse_names(labels, found)
    split_checks.check_filled(split, placed, groups, task=task)
    outside = int((placed == splits.LEFT_OUT).sum())
    answers = records["answer"].to_numpy() if task in TARGET_COLUMNS else labels
    resolved = resolve_duplicates(
        number_values(records["content_hash"])[0],
        np.where(placed == splits.LEFT_OUT, len(SPLITS), placed),
        answers,
        _storage_order(records),
        keep="one" if recipe.duplicates == "one" else "all",
    )
    kept = np.where(resolved.kept, placed, splits.LEFT_OUT).astype(np.int8)
    duplicates = _named_counts(placed, resolved.duplicate)
    conflicting = _named_counts(placed, resolved.conflicting)
    names: tuple[str, ...] = ()
    unknown: dict[str, int] = {}
    new: dict[str, int] = {}
    if task == "classify":
        new = new_classes(labels, found, kept, known)
        labels, names, missing = class_codes(labels, found, kept, known)
        unknown = _named_counts(kept, missing)
        kept = np.where(missing, splits.LEFT_OUT, kept).astype(np.int8)
    gone = int((kept != placed).sum())
    split_checks.check_filled(split, kept, groups, task=task, left_out=gone)
    lengths = records["length"].to_numpy().astype(np.int32)
    if split.by == "time":
        split_checks.check_times(split, lengths[kept != splits.LEFT_OUT])
    return Roster(
        chunks=chunks,
        starts=to_offsets(sizes),
        splits=kept,
        labels=labels if task in ("classify", "regress") else None,
        names=names,
        lengths=lengths,
        duplicates=duplicates,
        conflicting=conflicting,
        unknown=unknown,
        new_classes=new,
        outside=outside,
        by_label=label_counts(kept, labels, names),
        groups=len(np.unique(groups)),
        held_out=held_out,
    )


def _compact(rows: pa.Table, task: Task) -> pa.Table:
    """The columns that are kept of every record; repeated strings as numbers, targets hashed."""
    columns = {name: rows[name] for name in ("length", "record", "content_hash")}
    for name in ("source", "label"):
        repeated = not (name == "label" and task == "regress")
        columns[name] = rows[name].dictionary_encode() if repeated else rows[name]
    if task in TARGET_COLUMNS:
        columns["answer"] = pa.array(answer_keys(rows[TARGET_COLUMNS[task]]))
    return pa.table(columns)


def _storage_order(records: pa.Table) -> Ints:
    """The place of each record by (path, record number), `(R,)`."""
    numbers, names = number_values(records["source"])
    ranks = pc.rank(names.cast(pa.large_binary()), tiebreaker="first").to_numpy()
    order = np.lexsort((records["record"].to_numpy(), ranks[numbers]))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def _named_counts(placed: splits.Codes, marked: npt.NDArray[np.bool_]) -> dict[str, int]:
    counts = Counter(placed[marked].tolist())
    return {name: counts[code] for code, name in enumerate(SPLITS) if counts[code]}
