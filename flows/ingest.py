"""The `ingest` flow: source files -> a version of the `sequences` table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from prefect import flow, task

from flows.faults import RETRIED
from flows.notify import TOLD
from flows.pipeline_file import Pipeline, build, to_json
from flows.progress import say, stage
from flows.references import Json, resolve
from flows.reporting.artifacts import ingest_artifact
from flows.reporting.rejections import rejected_records
from flows.run_names import run_name
from flows.runner import RunnerName, runner_at, scheduler_of
from flows.turns import turn
from seqprep.ingest import ingest as ingest_sources
from seqprep.stores import store_folder
from seqprep.table import Table


@task(name="ingest files", **RETRIED)
def ingest_files(
    pipeline: Json,
    *,
    base: str,
    store: str,
    prune: bool = False,
    rehash: bool = False,
    scheduler: str | None = None,
) -> Json:
    """Bring the source's new and changed files into the dataset; one commit."""
    spec = build(pipeline)
    path = spec.source.path
    sees = None if path is None else Path(base) / Path(path).expanduser()
    with (
        turn("tables", dataset=spec.dataset, store=store),
        stage(f"{spec.dataset}: ingest") as progress,
        runner_at(scheduler, store=store_folder(store), sees=sees) as runner,
    ):
        root = store_folder(store, dataset=spec.dataset)
        done = ingest_sources(
            spec.source,
            dataset=spec.dataset,
            store=root,
            base=Path(base),
            progress=progress,
            prune=prune,
            rehash=rehash,
            runner=runner,
        )
    how = "unchanged, reused" if done.reused else "committed"
    say(
        f"{spec.dataset}: sequences version {done.version} {how}: {done.rows:,} rows from "
        f"{done.files:,} files, {done.rejected:,} rejected"
    )
    if done.missing_files:
        count = len(done.missing_files)
        rows = "their rows were dropped" if prune else "the rows stay, --prune drops them"
        say(
            f"{spec.dataset}: {count:,} {'file is' if count == 1 else 'files are'} gone from the "
            f"source, first {done.missing_files[0]}; {rows}"
        )
    table = Table(root / spec.dataset / "sequences")
    rejected = rejected_records(table, done.version) if done.rejections else None
    return {**asdict(done), "rejected_records": rejected}


@flow(name="ingest", flow_run_name=run_name, **TOLD)
def ingest(
    file: str | None = None,
    pipeline: Pipeline | None = None,
    store: str = "store",
    settings: list[str] | None = None,
    prune: bool = False,
    rehash: bool = False,
    runner: RunnerName = "local",
    address: str | None = None,
) -> Json:
    """Read source files into a version of the `sequences` table.

    Args:
        file: path of a pipeline file; none where `pipeline` is given.
        pipeline: or the content of one, its paths absolute.
        store: folder of the datasets, or s3://BUCKET/PREFIX.
        settings: `a.b=value` texts that change the file's values.
        prune: drop the rows of source files that are gone; without it they stay.
        rehash: open also files whose size, times and inode are what they were.
        runner: where files are read: `local`, or `dask` on a cluster, with the same result.
        address: of a Dask scheduler; without one `dask` starts a cluster of this machine.

    Returns:
        What was ingested, as `seqprep.ingest.Ingested`.
    """
    spec, base = resolve(file, pipeline, settings)
    with scheduler_of(runner, address) as scheduler:
        done = ingest_files(
            to_json(spec),
            base=str(base),
            store=store,
            prune=prune,
            rehash=rehash,
            scheduler=scheduler,
        )
    ingest_artifact(done)
    return done
