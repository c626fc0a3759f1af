"""What a comparison tries in a store on an S3-compatible server stays on the machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger

from flows.comparison.asked import Asked
from flows.comparison.conduct import conduct
from flows.ingest import ingest_files
from flows.pipeline_file import to_json
from seqprep.stores import store_folder
from tests.flows.training.test_job import pipeline
from tests.object_store import ObjectServer


@pytest.mark.slow
def test_trials_are_not_uploaded(
    server: ObjectServer, machine: Callable[[str], Path], tmp_path: Path
) -> None:
    """They would lie there for good: no machine asks for them, and `gc` knows no trial."""
    bucket, spec = server.bucket(), pipeline(tmp_path)
    store = f"s3://{bucket}/p"
    with disable_run_logger():
        ingest_files.fn(to_json(spec), base="/", store=store)
    asked = Asked(strategies=("truncate-tail",), minutes=1, equal="updates", seeds=1)
    with server.counted() as requests:
        done = conduct(spec, asked, base=Path("/"), store=store_folder(store))
    assert {row["strategy"] for row in done["rows"]} == {"full", "truncate-tail"}
    assert not [path for _, path, _ in requests if "comparisons" in path]
    folders = {name.split("/")[2] for name in server.names(bucket, "p/tiny/")}
    # Rows are shared as those of any recipe: the recommended file, or a cluster, trains on them.
    assert folders == {
        "sequences",
        "examples-compare-full",
        "examples-compare-truncate-tail",
        "snapshots",
        "state",
    }
