"""What a flow is called with, a pipeline file or its content, and how its run is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.context import FlowRunContext
from prefect.flows import Flow

from flows.compare import compare
from flows.ingest import ingest
from flows.lengths import lengths
from flows.optimizers import optimizers
from flows.pipeline import pipeline
from flows.pipeline_file import build, to_json
from flows.prepare import prepare
from flows.references import resolve
from flows.refresh import refresh
from flows.run_names import run_name
from flows.train import train
from seqprep.errors import ConfigError
from tests.conftest import ROOT

SPEC = build({"dataset": "d", "source": {"domain": "text", "path": "/data/texts"}})
FILE = str(ROOT / "data" / "text.yaml")


def test_a_file_or_its_content_is_taken() -> None:
    """Would break if a run form that gives the content looked for a file, or the other way."""
    assert resolve(None, SPEC, None) == (SPEC, Path("/"))
    spec, base = resolve(FILE, None, ["train.updates=3"])
    assert (spec.dataset, spec.train.updates, base) == ("sample_text", 3, ROOT / "data")


def test_both_or_neither_are_refused_with_what_to_clear() -> None:
    """Would break if who fills in the form beside the file that stands there were not told so."""
    with pytest.raises(ConfigError, match=rf"both `file` \({FILE}\) and `pipeline` .* one to None"):
        resolve(FILE, SPEC, None)
    with pytest.raises(ConfigError, match="give `file`, the path of a pipeline file, or"):
        resolve(None, None, None)


def test_content_takes_no_settings_and_absolute_paths_only() -> None:
    """Would break if settings were passed over, or a path were looked for where the worker is."""
    with pytest.raises(ConfigError, match="`settings` change a pipeline `file`"):
        resolve(None, SPEC, ["train.updates=3"])
    beside = build({"dataset": "d", "source": {"domain": "text", "path": "texts"}})
    with pytest.raises(ConfigError, match=r"source\.path must be absolute .* got 'texts'"):
        resolve(None, beside, None)


def named(flow: Flow[..., Any], **given: Any) -> str:
    """The name of a run of a flow with these parameters, as a deployment gives them."""
    parameters = flow.validate_parameters({"file": None, "pipeline": None, **given})
    with FlowRunContext.model_construct(flow=flow, parameters=parameters):
        assert callable(flow.flow_run_name)
        return flow.flow_run_name()


@pytest.mark.parametrize(
    "flow", [compare, ingest, lengths, optimizers, pipeline, prepare, refresh, train]
)
def test_a_run_is_named_by_what_it_was_given(flow: Flow[..., Any]) -> None:
    """Runs of a pipeline that was typed into the form would all be called `pipeline-None`."""
    assert flow.flow_run_name is run_name
    assert named(flow, file="data/text.yaml") == f"{flow.name}-data/text.yaml"
    assert named(flow, pipeline=to_json(SPEC)) == f"{flow.name}-d"
    assert named(flow) == flow.name  # and refused in the next moment
