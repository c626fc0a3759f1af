"""Runs of deployments on a served system: turns, cancelling, silence, notifications."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Cancelling

from flows.turns import limit_name
from models.training.checkpoint import NAME, Checkpoint
from seqprep.table import Table
from tests.flows.system import System
from tests.flows.test_notify import Webhook

pytestmark = pytest.mark.slow

FEW = ["train.updates=5"]
CANCELS = int(os.environ.get("SEQPREP_CANCELS", "1"))
CANCEL_S = float(os.environ.get("SEQPREP_CANCEL_S", "10"))
SILENCE_S = 180
WAITS = "waiting until another run has written tables"


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, webhook: Webhook) -> Iterator[System]:
    hook = {"SEQPREP_NOTIFY": "TEAM_HOOK", "TEAM_HOOK": webhook.address("/secret-path")}
    with System(tmp_path_factory.mktemp("served"), more={"RUNS": "4", **hook}) as system:
        yield system


def finish(system: System, *runs: UUID) -> list[str | None]:
    return [system.wait(run, within_s=600).name for run in runs]


@contextmanager
def turn_held(system: System, store: str) -> Iterator[None]:
    """As if another run wrote the sample's tables while the block runs."""
    name = limit_name("tables", dataset="sample_text", store=str(system.root / store))
    with system.client() as client:
        with suppress(ObjectAlreadyExists):
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
        client.increment_concurrency_slots([name], 1, "concurrency").raise_for_status()
        yield
        client.release_concurrency_slots([name], 1, 1.0)


def wait_until_told(system: System, what: str, *, count: int) -> None:
    """Until the log of the worker and its runs says it so often."""
    limit_s = time.monotonic() + 180
    while system.log().count(what) < count:
        assert time.monotonic() < limit_s, f"{what}: not told {count} times"
        time.sleep(0.5)


def test_schedules_that_fire_at_once_take_turns(system: System, webhook: Webhook) -> None:
    """Would break if runs that write one dataset failed one another, or did work twice."""
    parameters: dict[str, Any] = {"store": "at-once", "settings": FEW}
    with turn_held(system, "at-once"):
        runs = [
            *(system.start("pipeline/default", **parameters) for _ in range(2)),
            system.start("ingest/default", **parameters),
        ]
        wait_until_told(system, WAITS, count=3)  # now they meet, however fast each is
    assert finish(system, *runs) == ["Completed"] * 3
    dataset = system.root / "at-once" / "sample_text"
    assert Table(dataset / "sequences").version() == 0
    assert Table(dataset / "examples-rare-words").version() == 0
    assert len(list(dataset.glob("models/*/bundle"))) == 1
    assert WAITS in system.log()
    [told] = [one for one in webhook.told if one["event"] == "new current model"]
    assert told["dataset"] == "sample_text"
    assert str(told["page"]).startswith(f"http://127.0.0.1:{system.port}/")


def test_a_failure_is_told_without_the_address(system: System, webhook: Webhook) -> None:
    """Would break if a failed run told nobody, or the webhook's address stood in a log."""
    webhook.told.clear()
    run = system.start("ingest/default", file="missing.yaml", store="none")
    assert finish(system, run) == ["Failed"]
    limit_s = time.monotonic() + 30
    while not webhook.told and time.monotonic() < limit_s:
        time.sleep(0.2)
    [told] = webhook.told
    assert (told["event"], told["flow"]) == ("failed", "ingest")
    assert "missing.yaml: no such pipeline file" in told["message"]
    assert "secret-path" not in system.log() + json.dumps(webhook.told)


def training(system: System, store: str) -> tuple[UUID, Path]:
    """A run that trains, and its folder; after its first checkpoint."""
    run = system.start(
        "pipeline/default", store=store, settings=["train.updates=1000000", "train.seed=7"]
    )
    limit_s = time.monotonic() + 300
    while not (found := list(system.root.glob(f"{store}/*/models/*/checkpoint/{NAME}"))):
        assert time.monotonic() < limit_s, system.state(run)
        time.sleep(0.2)
    return run, found[0].parent.parent


@pytest.mark.parametrize("number", range(CANCELS))
def test_cancelling_stops_the_training_in_its_checkpoint(system: System, number: int) -> None:
    """Would break if a training went on after its run was cancelled on the page, or lost work."""
    run, folder = training(system, f"cancel-{number}")
    time.sleep(number % 3)
    with system.client() as client:
        begun_s = time.monotonic()
        client.set_flow_run_state(run, Cancelling())
    while system.belonging(trainers=True):
        time.sleep(0.1)
        assert time.monotonic() - begun_s < 60
    stopped_s = time.monotonic() - begun_s
    assert finish(system, run) == ["Cancelled"]
    print(f"stopped {stopped_s:.1f} s, cancelled {time.monotonic() - begun_s:.1f} s")
    checkpoint = Checkpoint.read(folder / "checkpoint")
    assert checkpoint is not None
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert events[-1]["event"] == "stopped"
    shown = [int(event["update"]) for event in events if event["event"] == "progress"]
    assert checkpoint.progress["run"]["seen"] >= max(shown), "updates were lost"
    assert stopped_s < CANCEL_S


def test_a_silent_run_is_marked_crashed_while_the_server_lives(system: System) -> None:
    """Would break if a run that was killed with its worker stood there as Running for ever."""
    run, _ = training(system, "silent")
    flow = system.flow(run)
    assert flow is not None
    for pid in (system.process("worker").pid, flow.pid):
        os.kill(pid, signal.SIGKILL)
    killed = datetime.now(UTC)
    state = system.wait(run, within_s=SILENCE_S)
    assert state.name == "Crashed"
    print(f"marked after {(state.timestamp - killed).total_seconds():.0f} s")
    assert "No sign of life" in (state.message or "")
    limit_s = time.monotonic() + 60
    while system.belonging(trainers=True):
        assert time.monotonic() < limit_s, "a training outlived its run"
        time.sleep(0.5)
    assert "started: worker" in system.up()


def test_a_dataset_that_is_deleted_under_a_waiting_run(system: System) -> None:
    """Would break if a run that waited for its turn went on with what is not there any more."""
    parameters: dict[str, Any] = {"store": "deleted", "settings": FEW}
    assert finish(system, system.start("ingest/default", **parameters)) == ["Completed"]
    before = system.log().count(WAITS)
    with turn_held(system, "deleted"):
        waiting = [
            system.start(f"{flow}/default", **parameters) for flow in ("prepare", "pipeline")
        ]
        wait_until_told(system, WAITS, count=before + 2)
        shutil.rmtree(system.root / "deleted" / "sample_text")
    prepared, whole = (system.wait(run, within_s=300) for run in waiting)
    assert whole.name == "Completed", "a pipeline reads the sources again"
    if prepared.name != "Completed":  # its turn came before the pipeline's
        assert "there are no sequences yet; ingest the source first" in (prepared.message or "")
