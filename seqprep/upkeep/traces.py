"""Where withdrawn records stand beside the sequences: in examples, in fitted state, in models.

Use it before records are removed, for the dataset and for each that was made from it: it looks in
one folder. What cannot be read counts as holding them, so that an erasure never leaves out a file
because it is damaged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from seqprep.errors import CorruptError
from seqprep.staging import StagedFile
from seqprep.table import Table
from seqprep.upkeep.gone import gone_reason
from seqprep.upkeep.leftovers import recipe_of, tables_of
from seqprep.upkeep.model_runs import ModelRun, model_runs
from seqprep.upkeep.withdrawal import Withdrawal

Holds = Mapping[str, Mapping[int, Mapping[str, set[str]]]]
"""By recipe and version of its examples: ids of withdrawn records by split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Traces:
    """Where withdrawn records stand beside the sequences.

    Args:
        holds: see Holds. tainted: versions by recipe that hold one or whose state has seen one.
        runs: trainings on these, and the withdrawn ids that each has seen, by split.
    """

    holds: Holds
    tainted: Mapping[str, set[int]]
    runs: tuple[tuple[ModelRun, Mapping[str, set[str]]], ...]


def find_traces(folder: Path, found: Withdrawal) -> Traces:
    """Look for withdrawn records in the examples of every recipe and in what models remember.

    Args:
        folder: of the dataset.
        found: what is withdrawn.
    """
    holds, tainted = {}, {}
    for table in tables_of(folder):
        if table.path.name != "sequences":
            recipe = recipe_of(table)
            holds[recipe] = _held(table, found.ids)
            tainted[recipe] = _with_shared_state(table, set(holds[recipe]))
    runs = []
    for run in model_runs(folder):
        seen = _remembered(run, found)
        for version in run.versions:
            for split, held in holds.get(run.recipe, {}).get(version, {}).items():
                seen[split] = seen.get(split, set()) | held
        if any(seen.values()):
            runs.append((run, seen))
    return Traces(holds=holds, tainted=tainted, runs=tuple(runs))


def _remembered(run: ModelRun, found: Withdrawal) -> dict[str, set[str]]:
    """What the run itself remembers, after the versions that held the records are gone."""
    return {
        split: {id_ for id_, group in ids.items() if id_ in found.ids or group in found.groups}
        for split, ids in run.withdrawn.items()
    }


def _held(table: Table, ids: Collection[str]) -> dict[int, dict[str, set[str]]]:
    """Which versions of examples hold which of the records, by split."""
    wanted = pa.array(sorted(ids), pa.string())
    seen: dict[str, set[str] | None] = {}
    found: dict[int, dict[str, set[str]]] = {}
    for version in standing(table):
        for file in _files(table, version):
            if file is None:
                found.setdefault(version, {})
                continue
            if file.path not in seen:
                seen[file.path] = _ids_in(table, file, wanted)
            held = seen[file.path]
            if held is None:
                found.setdefault(version, {})
            elif held:
                split = file.partition.get("split", "")
                found.setdefault(version, {}).setdefault(split, set()).update(held)
    return found


def standing(table: Table) -> list[int]:
    """Versions that are not gone."""
    listed = (version for version, _, _ in table.history())
    return [version for version in listed if gone_reason(table.path, version) is None]


def _files(table: Table, version: int) -> Iterator[StagedFile | None]:
    """The files of a version; None where they cannot be told, for it may hold the record."""
    try:
        yield from table.files(version)
    except CorruptError:
        yield None


def _ids_in(table: Table, file: StagedFile, wanted: pa.Array) -> set[str] | None:
    """Which of the records a shard holds; None if it cannot be read, for then it may hold any."""
    held: set[str] = set()
    try:
        for group in range(table.group_count(file, verify=False)):
            ids = table.read_group(file, group, ["id"])["id"]
            held.update(ids.filter(pc.is_in(ids, value_set=wanted)).to_pylist())
    except CorruptError:
        return None
    return held


def _with_shared_state(table: Table, versions: set[int]) -> set[int]:
    """These versions and all that use state of one of them: it has seen the record."""
    states = {
        version: {name for key, name in table.info(version).state.items() if key != "manifest"}
        for version in standing(table)
    }
    while True:
        seen = set().union(*(states[version] for version in versions))
        more = {version for version, names in states.items() if names & seen}
        if more <= versions:
            return versions
        versions = versions | more
