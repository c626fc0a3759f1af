"""One nightly command for all of it: new files, new examples, and a model where it pays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.pipeline_file import to_json
from tests.flows.test_cli import last_json, seqprep
from tests.flows.training.test_due import add
from tests.flows.training.test_job import pipeline


@pytest.mark.slow
def test_a_nightly_run_trains_where_it_pays(tmp_path: Path) -> None:
    """Would break if `run` trained in vain, or not after the refit that its policy asks for."""
    body = to_json(pipeline(tmp_path))
    body["train"] |= {"if_newer": True, "retrain": {"when": "refit"}, "warm_start": True}
    (tmp_path / "nightly.yaml").write_text(json.dumps(body))
    command = ("run", "nightly.yaml", "--json")
    first = last_json(seqprep(*command, cwd=tmp_path))
    assert first["trained"] and first["why"] == "recipe default has no model yet"
    quiet = seqprep(*command, cwd=tmp_path)
    told = last_json(quiet)
    assert not told["trained"] and told["bundle"] == first["bundle"]
    assert told["metrics"] == first["metrics"] and "nothing to train" in quiet.stderr
    add(tmp_path, 40, 44, "so on and number words")
    told = last_json(seqprep(*command, cwd=tmp_path))
    assert (told["trained"], told["examples"]["version"]) == (False, 1)
    assert "no drift beyond the limits of prepare.drift" in told["why"]
    add(tmp_path, 50, 90, "entirely other language of tomorrow")
    drifted = seqprep(*command, cwd=tmp_path)
    told = last_json(drifted)
    assert told["trained"] and told["examples"]["version"] == 3 and "never seen" in told["why"]
    assert told["examples"]["refit_advised"] is None
    assert "begins with fresh weights: " in drifted.stderr
    assert not last_json(seqprep(*command, cwd=tmp_path))["trained"]
