"""A comparison whose trainings run on a Dask scheduler and workers of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import flow
from prefect.testing.utilities import prefect_test_harness

from flows.comparison.asked import Asked
from flows.comparison.conduct import conduct
from flows.references import Json
from seqprep.ingest import ingest
from tests.flows.cluster.machines import Machines
from tests.flows.comparison.test_conduct import told_at_the_end

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    """Prefect's own temporary server."""
    with prefect_test_harness(server_startup_timeout=240):
        yield


def test_a_cluster_trains_what_one_machine_trains(tmp_path: Path) -> None:
    """Would break if workers trained other options, or their results were not found again."""
    spec, store = told_at_the_end(tmp_path), tmp_path / "store"
    ingest(spec.source, dataset=spec.dataset, store=store)
    asked = Asked(strategies=("truncate-tail",), minutes=60, equal="updates", seeds=1)

    @flow
    def compared(scheduler: str | None) -> Json:
        return conduct(spec, asked, base=Path("/"), store=store, scheduler=scheduler)

    with Machines(tmp_path, count=2) as machines:
        there = compared(machines.address)
    trials = {p: p.stat().st_mtime_ns for p in store.glob("ends/studies/runs/*/trial.json")}
    assert len(trials) == 6 and not there["failed"]
    here = compared(None)  # finds all of it
    assert {p: p.stat().st_mtime_ns for p in trials} == trials
    assert here["rows"] == there["rows"]
