"""What a comparison trains in a store on an S3-compatible server stays on the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from flows.comparison.pretraining import RUNS
from flows.comparison.trials import Trial, measure_pace, run_trial
from flows.ingest import ingest_files
from flows.pipeline_file import to_json
from flows.prepare import prepare_rows
from seqprep.stores import store_folder
from tests.flows.training.test_job import pipeline
from tests.object_store import ObjectServer


@pytest.mark.slow
def test_trials_are_not_uploaded(
    server: ObjectServer, machine: Callable[[str], Path], tmp_path: Path
) -> None:
    """They would lie there for good: no machine asks for them, and `gc` knows no trial."""
    bucket, spec = server.bucket(), pipeline(tmp_path, recipe="compare-full")
    store = f"s3://{bucket}/p"
    with disable_run_logger():
        ingest_files.fn(to_json(spec), base="/", store=store)
        rows = prepare_rows.fn(to_json(spec), base="/", store=store)
    # Rows are shared as those of any recipe: the recommended file, or a cluster, trains on them.
    before = server.names(bucket)
    trial = Trial(strategy="full", setting="", spec=spec, prepared=rows)
    few = replace(trial, spec=replace(spec, train=replace(spec.train, updates=3)))
    measure_pace(few, store=store_folder(store))
    done = run_trial(trial, store=store_folder(store))
    assert Path(done.folder).parent == (store_folder(store) / "tiny" / RUNS).resolve()
    assert server.names(bucket) == before
