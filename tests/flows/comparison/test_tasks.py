"""Trainings on the page of a run of Prefect."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.context import get_run_context
from prefect.testing.utilities import prefect_test_harness

from flows.comparison.tasks import as_task
from flows.training.running import TrainingStopped

Json = dict[str, Any]
ITEMS: list[Json] = [{"outcome": 1}, {"error": "no memory"}, {"late": "no time"}]


@pytest.fixture(scope="module", autouse=True)
def prefect_server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=240):
        yield


def echo(item: Json) -> Json:
    return item


def stop(_: Json) -> Json:
    raise TrainingStopped("told to stop")


@flow(name="training in threads")
def in_threads() -> tuple[list[Json], Any]:
    calls = [as_task(echo, item, what=f"in full: way-{n}") for n, item in enumerate(ITEMS)]
    with ThreadPoolExecutor(2) as pool:
        answers = [future.result() for future in [pool.submit(call) for call in calls]]
        with pytest.raises(TrainingStopped, match="told to stop"):
            pool.submit(as_task(stop, {}, what="in full: stopped")).result()
    return answers, get_run_context().flow_run.id  # type: ignore[union-attr]


def test_each_training_is_a_task_that_shows_how_it_ended() -> None:
    """Would break if a run's page showed one task for an hour, or a failed training as done."""
    answers, run_id = in_threads()
    assert answers == ITEMS
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
        )
    assert {run.name: run.state_name for run in found} == {
        "in full: way-0": "Completed",
        "in full: way-1": "Failed",
        "in full: way-2": "Completed",
        "in full: stopped": "Failed",
    }


def test_outside_of_a_flow_it_is_a_plain_call() -> None:
    """Would break if a notebook needed a server to train."""
    assert as_task(echo, {"outcome": 2}, what="in full: way")() == {"outcome": 2}
