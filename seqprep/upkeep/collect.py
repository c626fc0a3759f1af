"""Give up old versions and delete what no version, training or model needs any longer: `gc`.

Kept are the newest versions of each table, every version of examples that a training or a model in
the dataset was made from, and the sequences that each of these was made from; and whatever is
younger than a day. All else is marked as gone and deleted. Use it when a store grows too large. It
does not delete models: delete a run's folder by hand, and its data goes with the next collection.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from seqprep.errors import SeqprepError
from seqprep.inbox.done import NAME as PREDICTIONS
from seqprep.preparation.spill import live_spills
from seqprep.remote.removal import push, stored_below
from seqprep.staging import STALE_S
from seqprep.table import Table
from seqprep.upkeep.gone import gone_reason, mark_gone
from seqprep.upkeep.in_use import InUseError, alone
from seqprep.upkeep.leftovers import Leftover, collectable, delete, find_leftovers
from seqprep.upkeep.model_runs import model_runs

KEEP = 2
"""Versions of each table that stay by default: the newest, and the one before it to compare."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Collected:
    """What a collection does, or did.

    Args:
        dataset: its name. applied: whether it was done; else this is what would be.
        versions: that are given up, by table. kept: that stay. young: of them, those that stay for
            no other reason than that they, or examples made of them, are less than a day old.
        files: number of files and folders that go, by kind. size_bytes: all of them.
        in_use: why nothing was done although it was asked for; "" if it was.
    """

    dataset: str
    applied: bool
    versions: dict[str, tuple[int, ...]]
    kept: dict[str, tuple[int, ...]]
    young: dict[str, tuple[int, ...]]
    files: dict[str, int]
    size_bytes: int
    in_use: str = ""


def collect(
    folder: Path, *, keep: int = KEEP, apply: bool = False, now_s: float | None = None
) -> Collected:
    """Give up old versions of a dataset.

    Args:
        folder: of the dataset.
        keep: how many of the newest versions of each table stay in any case.
        apply: do it; else only say what would be done.
        now_s: seconds since 1970; files younger than a day before it are left alone.

    Raises:
        SeqprepError: if `keep` is none, or the folder is no dataset.
        CorruptError: if it cannot be told what a kept version or a model needs.
    """
    if keep < 1:
        raise SeqprepError(f"keep (--keep) must be >= 1 version of each table, got {keep}")
    if not collectable(folder):
        raise SeqprepError(f"{folder}: no dataset here; `seqprep run FILE --store DIR` makes one")
    before_s = (time.time() if now_s is None else now_s) - STALE_S
    if not apply:
        return _describe(folder, *_plan(folder, keep, before_s))
    try:
        with alone(folder):
            if spills := live_spills(folder):
                raise InUseError(f"{spills[0]}: a prepare is running there")
            kept, young, going = _plan(folder, keep, before_s)
            told = _describe(folder, kept, young, going)
            push(
                [
                    mark_gone(table.path, version, "collected")
                    for table in collectable(folder)
                    for version in told.versions.get(table.path.name, ())
                ]
            )
            delete(going, folder)
            return replace(told, applied=True)
    except InUseError as error:
        return replace(_describe(folder, {}, {}, []), in_use=str(error))


Kept = dict[str, set[int]]


def _plan(folder: Path, keep: int, before_s: float) -> tuple[Kept, Kept, list[Leftover]]:
    kept, young = _kept(folder, keep, before_s)
    there = stored_below(folder)
    return kept, young, find_leftovers(folder, kept, before_s=before_s, there=there)


def _kept(folder: Path, keep: int, before_s: float) -> tuple[Kept, Kept]:
    """The versions that stay, and those of them that only their age keeps, by the table's name."""
    used: dict[str, set[int]] = {}
    for run in model_runs(folder):
        used.setdefault(f"examples-{run.recipe}", set()).add(run.version)
    kept: Kept = {}
    young: Kept = {}
    # Sequences of examples that stay, and of those that only their age keeps.
    sources: set[int] = set()
    young_sources: set[int] = set()
    for table in reversed(collectable(folder)):  # sequences last
        name = table.path.name
        there = [entry for entry in table.history() if not _is_gone(table, entry[0])]
        needed = {version for version, _, _ in there[-keep:]}
        needed |= used.get(name, set()) if name != "sequences" else sources
        fresh = {version for version, time_ms, _ in there if time_ms / 1000 >= before_s}
        fresh |= young_sources if name == "sequences" else set()
        kept[name] = {version for version, _, _ in there if version in needed | fresh}
        young[name] = kept[name] - needed
        if name not in ("sequences", PREDICTIONS):
            for version, _, info in there:
                if version in kept[name]:
                    into = young_sources if version in young[name] else sources
                    into.add(info.params["sequences_version"])
    return kept, young


def _is_gone(table: Table, version: int) -> bool:
    return gone_reason(table.path, version) is not None


def _describe(folder: Path, kept: Kept, young: Kept, going: list[Leftover]) -> Collected:
    versions = {}
    for table in collectable(folder) if kept else ():
        every = {version for version, _, _ in table.history() if not _is_gone(table, version)}
        versions[table.path.name] = tuple(sorted(every - kept[table.path.name]))
    return Collected(
        dataset=folder.name,
        applied=False,
        versions={name: given for name, given in versions.items() if given},
        kept={name: tuple(sorted(got)) for name, got in kept.items()},
        young={name: tuple(sorted(got)) for name, got in young.items() if got},
        files=dict(sorted(Counter(one.kind for one in going).items())),
        size_bytes=sum(one.size_bytes for one in going),
    )
