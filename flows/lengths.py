"""The `lengths` flow: how long records must be, and what length costs."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prefect import flow, task

from flows.faults import RETRIED
from flows.ingest import ingest_files
from flows.length_study.asked import AskedLengths, check_lengths
from flows.length_study.conduct import conduct
from flows.notify import TOLD
from flows.pipeline_file import Pipeline, build, to_json
from flows.references import Json, check_tables, resolve
from flows.reporting.artifacts import lengths_artifact
from flows.run_names import run_name
from seqprep.stores import store_folder


@task(name="study lengths", **RETRIED)
def study_lengths(
    pipeline: Json, asked: dict[str, Any], *, base: str, store: str, start_s: float
) -> Json:
    """Train at every length on a dataset that is ingested, and write the page."""
    return conduct(
        build(pipeline),
        AskedLengths(**asked),
        base=Path(base),
        store=store_folder(store),
        start_s=start_s,
    )


@flow(name="lengths", flow_run_name=run_name, **TOLD)
def lengths(
    file: str | None = None,
    pipeline: Pipeline | None = None,
    store: str = "store",
    settings: list[str] | None = None,
    asked: AskedLengths = AskedLengths(),  # noqa: B008 - frozen, thus a value
) -> Json:
    """Train on records that are cut to a ladder of lengths, and name the shortest that will do.

    Args:
        file: path of a pipeline file; none where `pipeline` is given.
        pipeline: or the content of one, its paths absolute.
        store: folder of the datasets.
        settings: `a.b=value` texts that change the file's values.
        asked: lengths, what is kept of records, time and seeds.

    Returns:
        The named length, the rows of the table, the exponent of time, and where the page lies.
    """
    start_s = time.time()
    spec, base = resolve(file, pipeline, settings)
    check_lengths(spec, asked)
    check_tables(spec, base=base)
    ingest_files(to_json(spec), base=str(base), store=store)
    done = study_lengths(to_json(spec), asdict(asked), base=str(base), store=store, start_s=start_s)
    lengths_artifact(done)
    return done
