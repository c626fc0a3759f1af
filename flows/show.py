"""What a store says of its datasets: versions, what made them, and models."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from flows.references import Json
from flows.reporting.rejections import rejected_records
from seqprep.errors import CorruptError, SeqprepError
from seqprep.ingestion.withdrawn import read_withdrawn
from seqprep.registry import Registry
from seqprep.table import CommitInfo, Table
from seqprep.upkeep.gone import gone_reason
from seqprep.upkeep.leftovers import recipe_of, tables_of
from seqprep.upkeep.model_runs import model_runs

SHOWN = 8
"""Rejected records that `show` lists; the file that it names has all."""
OF_STUDIES = ("compare-", "lengths-")
"""So begin recipes that studies make for themselves; one is a person's own when a model is trained
on it, as by the pipeline file that a comparison recommends."""


def datasets(path: Path) -> list[Path]:
    """Folders of the datasets in a store, or the one that `path` itself is.

    Raises:
        SeqprepError: if there is none.
    """
    if (path / "sequences" / "_delta_log").is_dir():
        return [path]
    found = sorted(p.parent.parent for p in path.glob("*/sequences/_delta_log"))
    if not found:
        there = sorted(p.parent.parent.name for p in path.parent.glob("*/sequences/_delta_log"))
        hint = f"; in {path.parent} there are {', '.join(there[:SHOWN])}" if there else ""
        raise SeqprepError(
            f"{path}: no dataset here{hint}; `seqprep run FILE --store DIR` makes one"
        )
    return found


def describe(path: Path) -> Json:
    """Everything that the store says about its datasets, as plain JSON."""
    return {"datasets": [_dataset(folder) for folder in datasets(path)]}


def _dataset(folder: Path) -> Json:
    runs = model_runs(folder)
    recipes = {recipe_of(table): table for table in tables_of(folder)[1:]}
    used = {run.recipe for run in runs}
    own = [name for name in recipes if not name.startswith(OF_STUDIES) or name in used]
    return {
        "dataset": folder.name,
        "sequences": _versions(Table(folder / "sequences")),
        "withdrawn": _withdrawn(Table(folder / "sequences")),
        "rejections": rejected_records(Table(folder / "sequences")),
        "recipes": {name: _versions(recipes[name]) for name in own},
        "recipes_of_studies": [name for name in recipes if name not in own],
        "models": [_model(p) for p in sorted(folder.glob("models/*/report.json"))],
        "current": Registry(folder).current_run(),
        "trained_on_withdrawn": {
            run.path.name: {split: len(ids) for split, ids in run.withdrawn.items()}
            for run in runs
            if run.withdrawn
        },
    }


def _withdrawn(table: Table) -> dict[str, int]:
    """How much was withdrawn and is refused from then on."""
    found = read_withdrawn(table, table.info())
    return {"ids": len(found.ids), "groups": len(found.groups)} if found else {}


def _versions(table: Table) -> list[Json]:
    return [
        {**_version(number, time_ms, info), "gone": gone_reason(table.path, number)}
        for number, time_ms, info in table.history()
    ]


def _version(number: int, time_ms: int, info: CommitInfo) -> Json:
    return {
        "version": number,
        "time": when(time_ms),
        "fingerprint": info.fingerprint,
        "code_version": info.code_version,
        "counts": info.counts,
        "params": info.params,
    }


def _model(report: Path) -> Json:
    try:
        body = json.loads(report.read_bytes())
    except ValueError as error:
        raise CorruptError(f"{report}: not JSON: {error}; train again to rewrite it") from error
    return {
        "name": report.parent.name,
        "bundle": str(report.parent / "bundle"),
        "metrics": body["metrics"],
        "baselines": body["baselines"],
        "seconds": body["train"]["seconds"],
    }


def when(at_ms: int) -> str:
    """A moment in milliseconds since 1970, for a person."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).strftime("%Y-%m-%d %H:%MZ")
