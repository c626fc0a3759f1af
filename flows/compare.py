"""The `compare` flow: which way of handling long sequences works on this dataset."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import flow, task

from flows.comparison.asked import Asked, check_asked
from flows.comparison.conduct import conduct
from flows.faults import RETRIED
from flows.ingest import ingest_files
from flows.notify import TOLD
from flows.pipeline_file import Pipeline, build, to_json
from flows.references import Json, check_tables, resolve
from flows.reporting.artifacts import compare_artifact
from flows.run_names import run_name
from flows.runner import RunnerName, scheduler_of
from seqprep.stores import store_folder


@task(name="compare strategies", **RETRIED)
def compare_strategies(
    pipeline: Json,
    asked: dict[str, Any],
    *,
    base: str,
    store: str,
    start_s: float,
    scheduler: str | None = None,
) -> Json:
    """Train the strategies on a dataset that is ingested, and write the page."""
    return conduct(
        build(pipeline),
        Asked(**asked),
        base=Path(base),
        store=store_folder(store),
        scheduler=scheduler,
        start_s=start_s,
    )


@flow(name="compare", flow_run_name=run_name, **TOLD)
def compare(
    file: str | None = None,
    pipeline: Pipeline | None = None,
    store: str = "store",
    settings: list[str] | None = None,
    asked: Asked = Asked(),  # noqa: B008 - frozen, thus a value
    runner: RunnerName = "local",
    address: str | None = None,
) -> Json:
    """Train every way of handling long sequences that fits, fairly, and recommend one.

    Args:
        file: path of a pipeline file; none where `pipeline` is given.
        pipeline: or the content of one, its paths absolute.
        store: folder of the datasets.
        settings: `a.b=value` texts that change the file's values.
        asked: strategies, time, and what every training gets the same of.
        runner: where ingest and the trainings work: `local`, or `dask` on a cluster.
        address: of a Dask scheduler; without one `dask` starts a cluster of this machine.

    Returns:
        The recommendation, the rows of the table, and where the page lies.
    """
    start_s = time.time()
    spec, base = resolve(file, pipeline, settings)
    check_asked(spec, asked)
    check_tables(spec, base=base)
    with scheduler_of(runner, address) as scheduler:
        ingest_files(to_json(spec), base=str(base), store=store, scheduler=scheduler)
        done = compare_strategies(
            to_json(spec),
            asdict(asked),
            base=str(base),
            store=store,
            start_s=start_s,
            scheduler=scheduler,
        )
    compare_artifact(done)
    return done
