"""What a flow is called with: a pipeline file, or its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.pipeline_file import build
from flows.references import resolve
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
