"""Runs whose process is gone are settled, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType

from flows.serving import leftovers, processes
from flows.serving.leftovers import forget_leases, settle


class Server:
    """What `settle` asks of Prefect's server, which knows these runs."""

    def __init__(self, runs: Sequence[FlowRun]) -> None:
        self.runs = {run.id: run for run in runs}
        self.ended_meanwhile: set[UUID] = set()

    def read_flow_runs(
        self, *, flow_run_filter: FlowRunFilter, limit: int, offset: int, **_: Any
    ) -> list[FlowRun]:
        """Of some states, a page at a time."""
        assert flow_run_filter.state is not None and flow_run_filter.state.type is not None
        types = flow_run_filter.state.type.any_ or []
        found = [run for run in self.runs.values() if run.state and run.state.type in types]
        return found[offset : offset + limit]

    def read_flow_run(self, id_: UUID) -> FlowRun:
        """As it is now."""
        if id_ in self.ended_meanwhile:
            self.runs[id_] = run_in(StateType.COMPLETED, id_)
        return self.runs[id_]

    def set_flow_run_state(self, id_: UUID, state: State[Any], *, force: bool) -> None:
        """Put it into a state."""
        assert force
        self.runs[id_] = run_in(state.type, id_, message=state.message)

    def types(self) -> list[StateType | None]:
        """Of all runs."""
        return [run.state.type if run.state else None for run in self.runs.values()]


def run_in(type_: StateType, id_: UUID | None = None, *, message: str | None = None) -> FlowRun:
    """A run in a state."""
    return FlowRun(id=id_ or uuid4(), flow_id=uuid4(), state=State(type=type_, message=message))


def settled(server: Server, root: Path, *, is_served: bool = True) -> int:
    client = cast(SyncPrefectClient, server)
    return settle(client, pool="seqprep", root=root, is_served=is_served)


def test_runs_without_a_process_end_as_they_were_to_end(tmp_path: Path) -> None:
    """Would break if a dead run stood there as Running, or a cancelled one counted as a crash."""
    server = Server([run_in(StateType.RUNNING), run_in(StateType.CANCELLING)])
    assert settled(server, tmp_path) == 2
    assert server.types() == [StateType.CRASHED, StateType.CANCELLED]
    told = [run.state.message for run in server.runs.values() if run.state]
    assert all(message and "the next run goes on from there" in message for message in told)


def test_pending_runs_are_left_to_the_worker_that_may_start_them(tmp_path: Path) -> None:
    """Would break if a run that is just being started were marked Crashed, or one never was."""
    server = Server([run_in(StateType.PENDING), run_in(StateType.SCHEDULED)])
    assert settled(server, tmp_path) == 0
    assert settled(server, tmp_path, is_served=False) == 1
    assert server.types() == [StateType.CRASHED, StateType.SCHEDULED]


def test_a_run_that_ends_while_we_look_keeps_its_state(tmp_path: Path) -> None:
    """Would break if a model that was trained were told to have crashed."""
    run = run_in(StateType.RUNNING)
    server = Server([run])
    server.ended_meanwhile.add(run.id)
    assert settled(server, tmp_path) == 0
    assert server.types() == [StateType.COMPLETED]


def test_a_run_whose_process_lives_goes_on(tmp_path: Path) -> None:
    """Would break if `up` beside a training ended its run."""
    run = run_in(StateType.RUNNING)
    told = {"PREFECT__FLOW_RUN_ID": str(run.id), "SEQPREP_ROOT": str(tmp_path)}
    code = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(code, env={**os.environ, **told}) as alive:
        try:
            limit_s = time.monotonic() + 10
            while not processes.of_flow_runs(tmp_path) and time.monotonic() < limit_s:
                time.sleep(0.05)  # between fork and exec a child bears its parent's variables
            assert settled(Server([run]), tmp_path) == 0
        finally:
            alive.kill()
    assert settled(Server([run]), tmp_path) == 1


def test_all_pages_of_runs_are_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if after a week of restarts only the first runs were settled."""
    monkeypatch.setattr(leftovers, "_PAGE", 3)
    server = Server([run_in(StateType.RUNNING) for _ in range(7)])
    assert settled(server, tmp_path) == 7
    assert set(server.types()) == {StateType.CRASHED}


def test_leases_of_the_dead_are_forgotten(tmp_path: Path) -> None:
    """Would break if a slot stayed taken after the machine was restarted."""
    (tmp_path / leftovers.LEASES / "one").mkdir(parents=True)
    (tmp_path / "prefect.db").touch()
    for _ in range(2):
        forget_leases(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["prefect.db"]
