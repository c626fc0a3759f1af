"""Remove withdrawn records from a dataset, and on demand every trace of them (CONTRACT 11).

`remove` tells what would happen, and with `apply` it does it. Without `erase` older versions keep
the record, for the models that were trained on them. With it every version and file that holds the
record is deleted, with the fitted state that has seen it. Nothing that a crash leaves needs a
person: the same call finishes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from seqprep.errors import SeqprepError
from seqprep.ingestion.derived import made_from_records
from seqprep.preparation.spill import live_spills
from seqprep.remote.mirror import mirror_of
from seqprep.remote.removal import push, stored_below
from seqprep.remote.sync import pull_table
from seqprep.stores import store_folder
from seqprep.table import Table
from seqprep.upkeep.gone import mark_gone
from seqprep.upkeep.in_use import InUseError, alone
from seqprep.upkeep.leftovers import Leftover, delete, derived, find_leftovers, recipe_of, tables_of
from seqprep.upkeep.model_runs import ModelRun, delete_removed
from seqprep.upkeep.traces import Traces, find_traces, standing
from seqprep.upkeep.withdrawal import Withdrawal, commit_withdrawal, find_withdrawals


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """A model that was trained on withdrawn records.

    Args:
        name: of its run. bundle: path, "" where there is none. live: whether it trains now.
        recipe, version: of the examples. records: how many of them withdrawn, by split.
    """

    name: str
    bundle: str
    live: bool
    recipe: str
    version: int
    records: dict[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Removed:
    """What a removal does, or did.

    Args:
        dataset: its name. applied: whether it was done; else this is what would be.
        version: of sequences, the newest after it. records: rows that leave the newest version;
            copies: of these, rows that were not named but hold the same content.
        sequences_versions: that hold such a record; all are older ones after it.
        examples_versions: by recipe; with `erase` also those whose fitted state has seen one.
        models: that were trained on one. models_deleted: names of runs.
        erase: whether these versions are deleted. files, size_bytes: that go with them.
        derived: the same of each dataset that was made from the records and holds some of them.
    """

    dataset: str
    applied: bool
    version: int
    records: int
    copies: int
    sequences_versions: tuple[int, ...]
    examples_versions: dict[str, tuple[int, ...]]
    models: tuple[Trained, ...]
    models_deleted: tuple[str, ...]
    erase: bool
    files: int
    size_bytes: int
    derived: tuple[Removed, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to do in the dataset."""
        held = (self.sequences_versions, self.examples_versions, self.models)
        return not (self.records or self.files or any(held))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What is to be withdrawn from one dataset, and where it stands."""

    folder: Path
    found: Withdrawal
    traces: Traces

    @property
    def is_meant(self) -> bool:
        """Whether the dataset holds a record, or a removal that may have died began there."""
        held = (*self.traces.holds.values(), self.traces.runs)
        return bool(self.found.newest or self.found.older or self.found.begun or any(held))


def remove(
    folder: Path,
    *,
    ids: Sequence[str] = (),
    groups: Sequence[str] = (),
    erase: bool = False,
    models: bool = False,
    apply: bool = False,
) -> Removed:
    """Withdraw records, and all records of groups, from a dataset and from what was made of it.

    Args:
        folder: of the dataset.
        ids: of records.
        groups: names of groups; their later records are refused, too.
        erase: delete every older version, shard and fitted state that holds one.
        models: with `erase`, delete the runs of models that were trained on one, too.
        apply: do it; else only say what would be done.

    Raises:
        SeqprepError: if a name occurs nowhere.
        InUseError: if another run works on one of the datasets or, with `erase`, trains on such
            data.
        CorruptError: if what stays cannot be read.
    """
    folder = folder if folder.name not in ("", "..") else Path(os.path.abspath(folder))
    _sequences(folder)
    if models and not erase:
        raise SeqprepError("--models deletes models together with their data; it needs --erase")
    with ExitStack() as stack:
        folders = _held_alone(folder, stack) if apply else _with_derived(folder)
        plans = _plans(folders, ids=ids, groups=groups)
        told = [_describe(plan, erase=erase, models=models, applied=apply) for plan in plans]
        if apply:
            if erase:
                _refuse_live(plans)
            # The dataset itself last: as long as it holds the records, a rerun finds all of them.
            for place in reversed(range(len(plans))):
                version = _carry_out(plans[place], erase=erase, models=models)
                told[place] = replace(told[place], version=version)
    return replace(told[0], derived=tuple(one for one in told[1:] if not one.is_nothing))


def _with_derived(folder: Path) -> list[Path]:
    """The dataset, then those that were made from it; of a mirror as the server has them."""
    mirror = mirror_of(folder)
    if mirror is None:
        return [folder, *made_from_records(folder)]
    for name in mirror.folders(folder.parent):
        pull_table(mirror, folder.parent / name / "sequences")
    made = made_from_records(folder)
    for one in made:
        store_folder(folder.parent, dataset=one.name)
    return [folder, *made]


def _held_alone(folder: Path, stack: ExitStack) -> list[Path]:
    """The datasets, each held until the stack ends; until then no other is made from them.

    Raises:
        InUseError: if another run works on one of them.
    """
    held = [folder]
    stack.enter_context(alone(folder))
    while new := [one for one in _with_derived(folder) if one not in held]:
        for one in new:
            stack.enter_context(alone(one))
        held += new
    for one in held:
        if spills := live_spills(one):
            raise InUseError(f"{spills[0]}: a prepare is running; run again when it has ended")
    return held


def _plans(folders: Sequence[Path], *, ids: Sequence[str], groups: Sequence[str]) -> list[_Plan]:
    """What is to be done in the first folder, and in those others that it concerns."""
    tables = [_sequences(folder) for folder in folders]
    found = find_withdrawals(tables, ids=ids, groups=groups)
    first, *others = (
        _Plan(folder=folder, found=one, traces=find_traces(folder, one))
        for folder, one in zip(folders, found, strict=True)
    )
    return [first, *(plan for plan in others if plan.is_meant)]


def _refuse_live(plans: Sequence[_Plan]) -> None:
    for run in (run for plan in plans for run, _ in plan.traces.runs):
        if run.live:
            raise InUseError(
                f"{run.path}: a training runs on data that would be erased; stop it or wait for "
                "its end, then run again. Nothing was changed"
            )


def _carry_out(plan: _Plan, *, erase: bool, models: bool) -> int:
    """Do what is to be done in one dataset; its newest version after that."""
    found = plan.found
    version = commit_withdrawal(found)
    for run, held in plan.traces.runs:
        run.mark(
            {split: {id_: found.ids.get(id_, "") for id_ in ids} for split, ids in held.items()}
        )
    if erase:
        _erase(plan.folder, found, plan.traces, models=models)
    return version


def _describe(plan: _Plan, *, erase: bool, models: bool, applied: bool) -> Removed:
    found, traces = plan.found, plan.traces
    examples = traces.tainted if erase else traces.holds
    going = _going(plan.folder, found, traces) if erase else []
    return Removed(
        dataset=plan.folder.name,
        applied=applied,
        version=found.version,
        records=found.records,
        copies=found.copies,
        sequences_versions=tuple(sorted(_tainted(found.table, found, traces))),
        examples_versions={name: tuple(sorted(got)) for name, got in examples.items() if got},
        models=tuple(_trained(run, held) for run, held in traces.runs),
        models_deleted=tuple(run.path.name for run, _ in traces.runs) if models else (),
        erase=erase,
        files=len(going),
        size_bytes=sum(one.size_bytes for one in going),
    )


def _trained(run: ModelRun, held: Mapping[str, set[str]]) -> Trained:
    return Trained(
        name=run.path.name,
        bundle="" if run.bundle is None else str(run.bundle),
        live=run.live,
        recipe=run.recipe,
        version=run.version,
        records={split: len(ids) for split, ids in sorted(held.items()) if ids},
    )


def _going(folder: Path, found: Withdrawal, plan: Traces) -> list[Leftover]:
    """What the erasure will delete, as far as it stands now."""
    kept = {
        table.path.name: set(standing(table)) - _tainted(table, found, plan)
        for table in tables_of(folder)
    }
    table = found.table
    stay = {
        table.path / file.path
        for file in table.files(found.version)
        if file.path not in found.newest
    }
    there = stored_below(folder)
    going = find_leftovers(folder, kept, before_s=time.time() + 1, there=there)
    return [*(one for one in going if one.path not in stay), *derived(folder, there=there)]


def _tainted(table: Table, found: Withdrawal, plan: Traces) -> set[int]:
    """Versions that hold a withdrawn record, or whose state has seen one."""
    if table.path.name != "sequences":
        return set(plan.tainted[recipe_of(table)])
    return {*found.older, *([found.version] if found.newest else [])}


def _erase(folder: Path, found: Withdrawal, plan: Traces, *, models: bool) -> None:
    # Sequences last: as long as they are there, a rerun finds what else holds the records.
    for table in reversed(tables_of(folder)):
        tainted = sorted(_tainted(table, found, plan))
        push([mark_gone(table.path, version, "erased") for version in tainted])
    kept = {table.path.name: set(standing(table)) for table in tables_of(folder)}
    # The dataset's lock is held: what no version needs belongs to no run, however young it is.
    there = stored_below(folder)
    delete(find_leftovers(folder, kept, before_s=time.time() + 1, there=there), folder)
    delete(derived(folder, there=there), folder)  # words of the record may stand in them
    delete_removed(folder)
    for run, _ in plan.runs if models else ():
        run.delete()


def _sequences(folder: Path) -> Table:
    """The sequences of a dataset.

    Raises:
        SeqprepError: if the folder is no dataset.
    """
    if not (folder / "sequences" / "_delta_log").is_dir():
        raise SeqprepError(f"{folder}: no dataset here; name the folder of one, e.g. store/reviews")
    return Table(folder / "sequences")
