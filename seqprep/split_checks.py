"""Splits that cannot serve, refused before work starts, with one that does (CONTRACT 7).

What a message advises is tried on the groups at hand first.

Legend: R records. Splits are indices into SPLITS; LEFT_OUT is in none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.ragged import Ints, Keys, row_keys
from seqprep.recipe import Split
from seqprep.schema import SPLITS, STEP_TASKS, Task
from seqprep.splits import (
    LEFT_OUT,
    SPLIT_SALT,
    TEST,
    TRAIN,
    VALIDATION,
    Codes,
    columns_needed,
    fold_of,
    hash_validation,
    read_listed,
    time_spans,
    validation_draws,
    values_of,
)
from seqprep.table import Table


class EmptySplitError(ConfigError):
    """A split without rows."""


def check_groups(codes: Codes, groups: Keys) -> int | None:
    """The number of a record whose group is in two splits; None if there is none."""
    placed = np.flatnonzero(codes != LEFT_OUT)
    order = placed[np.argsort(groups[placed], kind="stable")]
    torn = (groups[order][1:] == groups[order][:-1]) & (codes[order][1:] != codes[order][:-1])
    return int(order[1:][torn][0]) if torn.any() else None


def check_times(split: Split, lengths: Ints) -> None:
    """Refuse a cut by time that leaves a split without steps.

    Args:
        split: by time.
        lengths: `(R,)` steps of the recordings that take part.

    Raises:
        ConfigError: naming the split and the longest recording.
    """
    _, sizes = time_spans(lengths.astype(np.int64), split)
    for number, name in enumerate(SPLITS):
        share = float(getattr(split, name) or 0)
        if not sizes[:, number].any() and (share or number == TRAIN):
            raise ConfigError(
                f"split by time leaves {name} without steps: the longest of {len(lengths)} "
                f"recordings has {int(lengths.max(initial=0))} steps, its share is {share:g} and "
                f"split.gap is {split.gap}; make the share larger or the gap smaller"
            )


def check_filled(
    split: Split, codes: Codes, groups: Keys, *, task: Task, left_out: int = 0
) -> None:
    """Refuse a split without rows, naming the groups and what would work.

    Args:
        split: as in the pipeline file.
        codes: `(R,)` of all records.
        groups: `(R,)` keys of their groups.
        task: of the dataset.
        left_out: how many of the records went as duplicates, conflicting or of unknown label.

    Raises:
        ConfigError: naming the split, the number of groups and a `by:` that works.
    """
    if split.by == "time":
        return
    for number, name in enumerate(SPLITS):
        wanted = getattr(split, name)
        if wanted == 0 and number != TRAIN:
            continue
        if not (codes == number).any():
            count = len(np.unique(groups))
            went = f", {left_out} of them left out as duplicates or for their label" * bool(
                left_out
            )
            raise EmptySplitError(
                f"split by {split.by} leaves {name} without rows: there are {count} groups "
                f"({len(codes)} records{went}); {_remedy(split, codes, groups, name, task)}"
            )


def check_folds(split: Split, groups: Keys) -> None:
    """Refuse folds of which one has no group, before the first of them is run.

    Groups are hashed to folds, so that new ones never move old ones; with few groups a fold may
    stay empty.

    Raises:
        ConfigError: naming the empty folds and what works.
    """
    if split.by != "folds" or split.count is None:
        return
    keys = np.unique(groups)
    empty = _empty_folds(split, keys, split.count)
    if not empty:
        return
    counts = range(split.count - 1, 1, -1)
    fewer = next((count for count in counts if _folds_work(split, keys, count)), 0)
    share = 0.0 if split.validation == 0 else _share(split, keys, 2)
    raise ConfigError(
        f"split: {split.count} folds leave fold {', '.join(map(str, empty))} without rows: there "
        f"are {len(keys)} groups, hashed to folds; use {{by: folds, of: group, "
        f"validation: {share:g}}}, which tests on each group in turn"
        + (f", or count: {fewer}" if fewer else "")
    )


def check_left_out(split: Split, groups: Keys) -> None:
    """Refuse to leave each group out in turn where one of these folds trains or validates on none.

    Args:
        split: by folds, one group left out in each.
        groups: `(R,)` keys of the records' groups.

    Raises:
        ConfigError: naming the share of validation that serves every fold.
    """
    keys = np.unique(groups)
    codes = hash_validation(split, np.full(len(keys), TRAIN, dtype=np.int8), keys)
    validating = int((codes == VALIDATION).sum())
    # Whichever group is held out, one of each kind is left.
    if split.validation == 0 or (validating >= 2 and len(keys) - validating >= 2):
        return
    share = _share(split, keys, 2)
    raise ConfigError(
        f"split by folds: {len(keys)} groups are left out in turn, and {validating} of them would "
        "validate, so that some fold trains or validates on none; give "
        + (f"`validation: {share:g}`, or 0 for none" if share else "`validation: 0`")
    )


def _empty_folds(split: Split, keys: Keys, count: int) -> list[int]:
    return sorted(set(range(count)) - set(fold_of(split, keys, count).tolist()))


def _folds_work(split: Split, keys: Keys, count: int) -> bool:
    """Whether every fold of so many trains, validates where that is wanted, and tests."""
    folds = fold_of(split, keys, count)
    for fold in range(count):
        codes = hash_validation(split, np.where(folds == fold, TEST, TRAIN).astype(np.int8), keys)
        wanted = {TRAIN, TEST} if split.validation == 0 else {TRAIN, VALIDATION, TEST}
        if not wanted <= set(codes.tolist()):
            return False
    return True


def _remedy(split: Split, codes: Codes, groups: Keys, name: str, task: Task) -> str:
    """What works instead, tried on the groups that are left."""
    every = np.unique(groups[codes != LEFT_OUT])
    training = np.unique(groups[codes == TRAIN])
    if split.by != "hash" and name == "validation" and len(training):
        share = _share(split, training, 1)
        return f"give `validation: {share:g}` (a share of the training groups), or 0 for none"
    if split.by not in ("hash", "folds"):
        return f"list the values that `{name}` shall have" + _or_hash(every)
    if len(every) < 2:
        if task in STEP_TASKS:
            return "use by: time, which cuts a recording in order"
        return "name a `source.group` with more values, or leave it out to split by record"
    # Enough that one is left for validation, and one for training, whichever is held out.
    share = _share(Split(by="folds", of="group", seed=split.seed), every, 2)
    seed = f", seed: {split.seed}" if split.seed else ""
    return (
        f"use {{by: folds, of: group, fold: 0, validation: {share:g}{seed}}}, which tests on one "
        f"of the {len(every)} groups"
    )


def _or_hash(groups: Keys) -> str:
    draws = ragged.uniform(groups, SPLIT_SALT, 0)
    return ", or use by: hash" if len(np.unique(np.digitize(draws, [0.8, 0.9]))) == 3 else ""


def _share(split: Split, groups: Keys, count: int) -> float:
    """A share that sends at least `count` groups to validation and leaves as many; 0 if none."""
    draws = np.sort(validation_draws(split, groups))
    for digits in range(2, 7):
        share = float(np.ceil(draws[min(count, len(draws)) - 1] * 10**digits + 1e-9) / 10**digits)
        if count <= int((draws < share).sum()) <= len(draws) - count:
            return share
    return 0.0


def group_keys(table: Table) -> Keys:
    """Keys of the groups in the newest version, each once."""
    parts = [
        np.unique(row_keys(table.read_group(file, group, ["group"])["group"]))
        for file, group in table.row_groups(verify=False)
    ]
    return np.unique(np.concatenate(parts))


def values_there(split: Split, table: Table, version: int, *, base: Path) -> list[str]:
    """The values that records have at the place that the split names, sorted; [] for others."""
    if split.by not in ("path", "header", "column", "table"):
        return []
    listed = read_listed(split, base=base)
    found: set[str] = set()
    for file, group in table.row_groups(version, verify=False):
        rows = table.read_group(file, group, columns_needed(split))
        found.update(values_of(split, rows, listed).drop_nulls().unique().to_list())
    return sorted(found)


def says_nothing(split: Split, listed: pl.DataFrame | None, source: str) -> str:
    """Why a split by column or table cannot serve any record, and what to do.

    Args:
        split: as in the pipeline file.
        listed: what `read_listed` gave, for `by: table`.
        source: the file of some record.
    """
    if listed is None:
        return (
            f"split.column: no record has a column {split.column!r}; keep it at ingest "
            f"(`source.keep: [{split.column}]`) or choose another"
        )
    first = f", as {listed['key'][0]!r}" if len(listed) else ""
    return (
        f"split.table: {split.table} names no record: what stands in its column {split.key!r}"
        f"{first} must be a record's id ({source + '#0'!r}), its name in a FASTA file, its file "
        f"({source!r}) or its group"
    )
