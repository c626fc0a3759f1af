"""The `pipeline` flow: ingest -> prepare -> train, for one dataset or for each fold of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean

from prefect import flow

from flows.ingest import ingest_files
from flows.new_version import announce
from flows.notify import TOLD
from flows.pipeline_file import Pipeline, check_folds, to_json
from flows.prepare import prepare_rows
from flows.progress import say
from flows.references import Json, check_tables, resolve
from flows.reporting.artifacts import Page, ingest_artifact, overview_artifact, prepare_artifact
from flows.run_names import run_name
from flows.runner import RunnerName, scheduler_of
from flows.train import train_when_due
from flows.training.due import is_asked
from models.scores.folds import pooled_scores
from seqprep.split_checks import check_left_out, group_keys
from seqprep.stores import store_folder
from seqprep.table import Table


@flow(name="pipeline", flow_run_name=run_name, **TOLD)
def pipeline(
    file: str | None = None,
    pipeline: Pipeline | None = None,
    store: str = "store",
    settings: list[str] | None = None,
    folds: str | None = None,
    refit: bool = False,
    prune: bool = False,
    if_newer: bool = False,
    runner: RunnerName = "local",
    address: str | None = None,
) -> Json:
    """Go from raw files to a scored model.

    Args:
        file: path of a pipeline file; none where `pipeline` is given.
        pipeline: or the content of one, its paths absolute.
        store: folder of the datasets, or s3://BUCKET/PREFIX.
        settings: `a.b=value` texts that change the file's values.
        folds: `all` trains and tests every fold of a split by folds.
        refit: fit vocabulary, labels and buckets anew, although data was only appended.
        prune: drop the rows of source files that are gone; without it they stay.
        if_newer: train only where the examples are newer than those of the newest model, and
            `train.retrain` says that it pays.
        runner: where ingest and prepare work: `local`, or `dask` on a cluster; training stays
            where the flow runs.
        address: of a Dask scheduler; without one `dask` starts a cluster of this machine.

    Returns:
        Versions, rows, scores and seconds by stage.
    """
    spec, base = resolve(file, pipeline, settings)
    check_folds(spec, folds)
    asked = is_asked(spec, if_newer, folds=folds)
    check_tables(spec, base=base)
    with scheduler_of(runner, address) as scheduler:
        sequences = ingest_files(
            to_json(spec), base=str(base), store=store, prune=prune, scheduler=scheduler
        )
        how = How(
            base=base,
            store=store,
            refit=refit,
            if_newer=asked,
            scheduler=scheduler,
            pages=[ingest_artifact(sequences)],
            tell=partial(announce, file=file, store=store, settings=settings, trains=True),
        )
        done = _one(spec, sequences, how) if folds is None else _all_folds(spec, sequences, how)
    overview_artifact(done, how.pages)
    return done


@dataclass(frozen=True, kw_only=True, slots=True)
class How:
    """What is the same for every fold of a run.

    Args:
        base: folder of the pipeline file. store: of the datasets. refit, if_newer: see `pipeline`.
        scheduler: of a Dask cluster; None: work in this process.
        pages: fills with what the run shows. tell: called with what was prepared.
    """

    base: Path
    store: str
    refit: bool
    if_newer: bool
    scheduler: str | None
    pages: list[Page]
    tell: Callable[[Json], None]


def _one(spec: Pipeline, sequences: Json, how: How) -> Json:
    """Prepare and train."""
    examples, model, pages = train_when_due(
        spec,
        _prepare(spec, how, refit=how.refit),
        store=how.store,
        if_newer=how.if_newer,
        refit=partial(_prepare, spec, how, refit=True),
    )
    how.pages.extend(pages)
    return summary(sequences, examples, model)


def _prepare(spec: Pipeline, how: How, *, refit: bool) -> Json:
    examples: Json = prepare_rows(
        to_json(spec), base=str(how.base), store=how.store, refit=refit, scheduler=how.scheduler
    )
    how.tell(examples)
    how.pages.extend(prepare_artifact(examples, spec.prepare.drift))
    return examples


def summary(sequences: Json, examples: Json, model: Json) -> Json:
    """What a run tells at its end, small enough to be a flow's result."""
    return {
        "dataset": sequences["dataset"],
        "sequences": {
            key: sequences[key]
            for key in ("version", "rows", "rejected", "rejections", "missing_files", "reused")
        },
        "examples": {
            "version": examples["version"],
            "rows": sum(examples["rows"].values()),
            "padding_share": examples["padding_share"],
            "groups": examples["groups"],
            "added": examples["added"],
            "refit_advised": examples["refit_advised"],
            "reused": examples["reused"],
        },
        "train": {
            "padding_share": model["train"]["padding_share"],
            "updates": model["train"]["updates"],
            "seconds": model["train"]["seconds"],
            "reused": model["reused"],
        },
        "trained": model["trained"],
        "why": model["why"],
        "bundle": model["bundle"],
        "current": model["current"],
        "report": model["report"],
        "metrics": model["metrics"],
        "baselines": model["baselines"],
        "seconds": {
            "ingest": sequences["seconds"],
            "prepare": examples["seconds"],
            "train": model["seconds"],
        },
    }


def _all_folds(spec: Pipeline, sequences: Json, how: How) -> Json:
    """Each fold in turn; mean and pooled scores over all of them."""
    if spec.split.leaves_one_out:
        table = Table(store_folder(how.store) / spec.dataset / "sequences")
        check_left_out(spec.split, group_keys(table))
    runs: list[Json] = []
    count = spec.split.count
    while count is None or len(runs) < count:
        say(f"{spec.dataset}: fold {len(runs) + 1} of {count or 'as many as there are groups'}")
        one = replace(spec, split=replace(spec.split, fold=len(runs)))
        runs.append(_one(one, sequences, how))
        count = count or runs[0]["examples"]["groups"]
    files = [Path(run["bundle"]).parent / "predictions-test.parquet" for run in runs]
    seconds = {stage: sum(run["seconds"][stage] for run in runs) for stage in runs[0]["seconds"]}
    return {
        **runs[-1],
        "examples": {**runs[-1]["examples"], "reused": all(r["examples"]["reused"] for r in runs)},
        "train": {
            "padding_share": fmean(run["train"]["padding_share"] for run in runs),
            "updates": sum(run["train"]["updates"] for run in runs),
            "seconds": sum(run["train"]["seconds"] for run in runs),
            "reused": all(run["train"]["reused"] for run in runs),
        },
        "trained": any(run["trained"] for run in runs),
        "metrics": {
            "test": pooled_scores(files),
            "mean_of_folds": _mean([run["metrics"]["test"] for run in runs]),
        },
        "baselines": {"test": _mean_baselines(runs)},
        "seconds": {**seconds, "ingest": sequences["seconds"]},
        "folds": [
            {key: run[key] for key in ("bundle", "report", "metrics", "baselines")} for run in runs
        ],
    }


def _mean(scores: list[Json]) -> Json:
    """Mean over the folds of each figure; None where a fold has none. Records are summed."""
    result: Json = {"folds": len(scores)}
    for key in sorted({key for score in scores for key in score}):
        values = [score.get(key) for score in scores]
        if all(isinstance(value, int | float) for value in values):
            numbers = [float(value) for value in values if value is not None]
            result[key] = int(sum(numbers)) if key == "records" else fmean(numbers)
        elif any(isinstance(value, int | float) for value in values):
            result[key] = None
    return result


def _mean_baselines(runs: list[Json]) -> Json:
    """Mean over the folds of every baseline's scores."""
    names = runs[0]["baselines"]["test"]
    return {name: _mean([run["baselines"]["test"][name] for run in runs]) for name in names}
