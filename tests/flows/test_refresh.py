"""New files become new examples, an event of it, and a model, without anybody's doing."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import new_version
from flows.new_version import announce, payload
from flows.pipeline_file import to_json
from flows.registry.current import models
from tests.flows.stages import ingest_and_prepare
from tests.flows.system import System
from tests.flows.training.test_due import add
from tests.flows.training.test_job import pipeline


def test_the_event_is_small_and_enough_to_train_on_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training would start on other options, or in another store, than the data was made with."""
    monkeypatch.chdir(tmp_path)
    spec = pipeline(tmp_path)
    ingest_and_prepare(spec, tmp_path / "store")
    add(tmp_path, 40, 50, "entirely other words and")
    done = asdict(ingest_and_prepare(spec, tmp_path / "store"))
    told = payload(done, file="p.yaml", store="store", settings=["train.updates=4"])
    assert len(json.dumps(told)) < 2_000
    assert told["file"] == str(tmp_path / "p.yaml") and told["store"] == str(tmp_path / "store")
    assert told["settings"] == ["train.updates=4"]
    assert (told["dataset"], told["recipe"], told["examples_version"]) == ("tiny", "default", 1)
    assert told["sequences_version"] == 1 and told["records_added"] == done["added"] == 10
    assert told["drift"]["unseen_share"] > 0 and "never seen" in told["refit_advised"]
    bucket = payload(done, file=None, store="s3://bucket/store", settings=None)
    assert bucket["store"] == "s3://bucket/store" and bucket["file"] is None


def test_an_event_that_cannot_be_sent_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Data that is committed would count as failed for want of a listener."""
    done = asdict(ingest_and_prepare(pipeline(tmp_path), tmp_path))
    sent: list[dict[str, object]] = []

    def refuse(**event: object) -> None:
        sent.append(event)
        raise ConnectionError("no server")

    monkeypatch.setattr(new_version, "emit_event", refuse)
    announce(done, file="p.yaml", store="store")
    assert not sent  # a command on its own temporary server
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        announce(done, file="p.yaml", store="store")
        announce(done, file="p.yaml", store="store", trains=True)
        announce(done, file=None, store="store")
        announce({**done, "reused": True}, file="p.yaml", store="store")
    assert "the new version of tiny was not announced" in caplog.text
    labels = [one["resource"]["seqprep.training"] for one in sent]  # type: ignore[index]
    assert labels == ["asked", "follows", "none"]


def trainings(system: System) -> list[UUID]:
    """The runs of `train/default`, oldest first."""
    with system.client() as client:
        of = DeploymentFilter(name=DeploymentFilterName(any_=["default"]))
        runs = client.read_flow_runs(deployment_filter=of)
    named = [run for run in runs if run.name.startswith("train-")]
    return [run.id for run in sorted(named, key=lambda run: str(run.expected_start_time))]


def wait_for_training(system: System, count: int) -> None:
    """Wait until so many trainings were started, and the last one is done."""
    limit_s = time.monotonic() + 400
    while len(trainings(system)) < count:
        assert time.monotonic() < limit_s, system.log()[-4000:]
        time.sleep(1)
    assert system.wait(trainings(system)[-1], within_s=400).name == "Completed"


@pytest.mark.slow
def test_new_files_lead_to_a_new_model(tmp_path: Path) -> None:
    """Would break if the event were not sent, the trigger not deployed, or training never due."""
    (tmp_path / "own").mkdir()
    spec = to_json(pipeline(tmp_path / "own"))
    spec["train"]["warm_start"] = True
    file = tmp_path / "own" / "pipeline.json"  # JSON is YAML
    file.write_text(json.dumps(spec))
    store = tmp_path / "own" / "store"
    called = {"file": str(file), "store": str(store), "settings": ["train.updates=4"]}
    with System(tmp_path) as system:
        assert system.wait(system.start("refresh/default", **called)).name == "Completed"
        wait_for_training(system, 1)
        add(tmp_path / "own", 40, 60, "so on and number words")
        assert system.wait(system.start("refresh/default", **called)).name == "Completed"
        wait_for_training(system, 2)
        known = models(store / "tiny")["models"]
        assert [one["examples_version"] for one in known] == [0, 1]
        report = Path(known[1]["bundle"]).parent / "report.json"
        begun = json.loads(report.read_bytes())["train"]["begun_from"]
        assert begun["taken"] and begun["run"] == known[0]["run"]
        # Nothing new: no event, and a training that is started all the same has nothing to do.
        assert system.wait(system.start("refresh/default", **called)).name == "Completed"
        again = system.start("train/default", **called, if_newer=True)
        assert system.wait(again).name == "Completed"
        assert "is the newest, nothing to train" in system.log()
        assert len(models(store / "tiny")["models"]) == 2
        assert len(trainings(system)) == 3
