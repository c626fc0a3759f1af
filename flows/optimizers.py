"""The `optimizers` flow: optimisers, clipping and schedules of segments against one another."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import flow, task

from flows.faults import RETRIED
from flows.ingest import ingest_files
from flows.notify import TOLD
from flows.optimizer_study.asked import Asked, check_asked
from flows.optimizer_study.conduct import conduct
from flows.pipeline_file import Pipeline, build, to_json
from flows.references import Json, check_tables, resolve
from flows.reporting.artifacts import optimizers_artifact
from flows.run_names import run_name
from seqprep.stores import store_folder


@task(name="train variants", **RETRIED)
def train_variants(
    pipeline: Json, asked: dict[str, Any], *, base: str, store: str, start_s: float
) -> Json:
    """Train the variants on a dataset that is ingested, and write the page."""
    return conduct(
        build(pipeline),
        Asked(**asked),
        base=Path(base),
        store=store_folder(store),
        start_s=start_s,
    )


@flow(name="optimizers", flow_run_name=run_name, **TOLD)
def optimizers(
    file: str | None = None,
    pipeline: Pipeline | None = None,
    store: str = "store",
    settings: list[str] | None = None,
    asked: Asked = Asked(),  # noqa: B008 - frozen, thus a value
) -> Json:
    """Train optimisers with and without clipping and a schedule of segments, and hold them up.

    Args:
        file: path of a pipeline file; none where `pipeline` is given.
        pipeline: or the content of one, its paths absolute.
        store: folder of the datasets.
        settings: `a.b=value` texts that change the file's values.
        asked: optimisers, clips, schedules, and how long all may take.

    Returns:
        The findings, the rows of the tables, and where the page lies.
    """
    start_s = time.time()
    spec, base = resolve(file, pipeline, settings)
    check_asked(spec, asked)
    check_tables(spec, base=base)
    ingest_files(to_json(spec), base=str(base), store=store)
    done = train_variants(
        to_json(spec), asdict(asked), base=str(base), store=store, start_s=start_s
    )
    optimizers_artifact(done)
    return done
