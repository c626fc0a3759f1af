"""Artifacts of real flow runs on a real server, and the links between them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact
from prefect.testing.utilities import prefect_test_harness

from flows import progress
from flows.compare import compare
from flows.comparison.asked import Asked
from flows.environment import TERMINAL
from flows.length_study.asked import AskedLengths
from flows.lengths import lengths
from flows.pipeline import pipeline
from flows.train import train
from tests.conftest import ROOT

TEXT = str(ROOT / "data" / "text.yaml")
SETTINGS = ["train.updates=5"]
KINDS = ("sequences", "rare-words-examples", "rare-words-training", "rare-words-scores")


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """Prefect's own temporary server."""
    with prefect_test_harness(server_startup_timeout=240):
        yield


def artifacts() -> dict[str, Artifact]:
    """The newest artifact of each key."""
    with get_client(sync_client=True) as client:
        found = sorted(client.read_artifacts(), key=lambda one: str(one.created))
    return {str(one.key): one for one in found}


def linked(one: Artifact) -> set[str]:
    return set(re.findall(r"\.\./\.\./artifacts/artifact/([0-9a-f-]+)", str(one.data)))


@pytest.mark.slow
def test_a_pipeline_run_has_one_page_that_links_all_others(server: None, tmp_path: Path) -> None:
    """Would break if a person had to look for the pages of a run, or a link led nowhere."""
    pipeline(file=TEXT, store=str(tmp_path), settings=SETTINGS)
    found = artifacts()
    pages = {kind: found[f"sample-text-{kind}"] for kind in KINDS}
    assert linked(found["sample-text-overview"]) == {str(one.id) for one in pages.values()}
    sources = {str(pages["sequences"].id), str(pages["rare-words-examples"].id)}
    assert sources <= linked(pages["rare-words-scores"])
    assert all(one.description for one in found.values())
    assert max(len(str(one.data)) for one in found.values()) < 2 * 100_000

    train(file=TEXT, store=str(tmp_path), settings=["train.updates=6"])
    scores = artifacts()["sample-text-rare-words-scores"]
    assert scores.id != pages["rare-words-scores"].id
    assert sources <= linked(scores)
    assert "**current**" in str(scores.data)
    assert "this one" in str(scores.data)

    assert not train(file=TEXT, store=str(tmp_path), settings=SETTINGS, if_newer=True)["trained"]
    decision = artifacts()["sample-text-rare-words-decision"]
    assert "nothing to train" in str(decision.description)
    assert "**current**" in str(decision.data)


@pytest.mark.slow
def test_a_long_stage_has_a_bar(server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would break if a person could not see how far a run is, or each step cost a call."""
    monkeypatch.setattr(progress, "EVERY_S", 0.2)
    monkeypatch.delenv(TERMINAL, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)

    @flow
    def stages() -> None:
        with progress.stage("d: short") as show:
            show("records", 1, 2)
        with progress.stage("d: long") as show:
            for done in range(50):
                show("records", done, 100)
                time.sleep(0.01)
            bar = artifacts()["d-long-records"]
            assert 0 < float(str(bar.data)) < 50
            assert "of 100" in str(bar.description)

    stages()
    found = artifacts()
    assert "d-short-records" not in found
    assert float(str(found["d-long-records"].data)) == 100


@pytest.mark.slow
def test_a_length_study_leaves_its_page_with_its_plots(server: None, tmp_path: Path) -> None:
    """Would break if a person who started it on Prefect's page had to look for files."""
    asked = AskedLengths(rungs=(8, 64), seeds=1, minutes=5)
    done = lengths(file=TEXT, store=str(tmp_path), asked=asked)
    page = str(artifacts()["sample-text-lengths"].data)
    assert done["verdict"] in page
    assert page.count("data:image/png") == 3
    assert len(page) < 3 * 100_000


@pytest.mark.slow
def test_a_comparison_leaves_its_page_with_its_plots(server: None, tmp_path: Path) -> None:
    """Would break if the recommendation of a scheduled comparison stood in a folder alone."""
    asked = Asked(strategies=("truncate-tail",), seeds=1, minutes=5, equal="updates")
    done = compare(file=TEXT, store=str(tmp_path), asked=asked)
    found = artifacts()["sample-text-comparison"]
    assert done["verdict"] in str(found.data)
    assert str(found.data).count("data:image/png") == 2
    assert "recommended, of 3 strategies" in str(found.description)
