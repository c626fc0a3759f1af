"""What a run of a flow is called on Prefect's page."""

from __future__ import annotations

from prefect.context import FlowRunContext

from flows.pipeline_file import Pipeline


def run_name() -> str:
    """The name of a run on the page: its flow and file, or the dataset where no file is given."""
    run = FlowRunContext.get()
    assert run is not None and run.flow is not None and run.parameters is not None
    given: Pipeline | None = run.parameters["pipeline"]
    of = run.parameters["file"] if given is None else given.dataset
    return run.flow.name if of is None else f"{run.flow.name}-{of}"
