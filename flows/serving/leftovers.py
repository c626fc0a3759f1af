"""Settle what a killed worker or server, or a restarted machine, left behind on the server.

A run whose process was killed together with its worker says nothing any more. While the server
lives, an automation marks it Crashed (automations.yaml); where the server was killed, too, what it
had in memory is lost, so `./run up` looks for such runs itself: all runs of its pool have their
process on this machine.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Crashed

from flows.serving import processes

LEASES = "concurrency_leases"
"""Where Prefect keeps leases of concurrency limits, in its home."""
GONE = "its process is gone: killed, or the machine was restarted; the next run goes on from there"
_PAGE = 200


def settle(client: SyncPrefectClient, *, pool: str, root: Path, is_served: bool) -> int:
    """Mark runs Crashed whose process is gone, and those Cancelled that were to be.

    Args:
        client: of the server.
        pool: name of the work pool.
        root: the project's folder.
        is_served: whether a worker runs, which may be about to start pending runs.

    Returns:
        How many there were.
    """
    types = [StateType.RUNNING, StateType.CANCELLING]
    suspects = _runs(client, pool, types if is_served else [*types, StateType.PENDING])
    alive = processes.of_flow_runs(root)
    gone = [run for run in suspects if str(run.id) not in alive]
    settled = 0
    for run in gone:
        now = client.read_flow_run(run.id)
        if now.state is None or run.state is None or now.state.id != run.state.id:
            continue  # it ended while we looked
        was_to_end = run.state.type == StateType.CANCELLING
        state: State[Any] = Cancelled(message=GONE) if was_to_end else Crashed(message=GONE)
        client.set_flow_run_state(run.id, state, force=True)
        settled += 1
    return settled


def _runs(client: SyncPrefectClient, pool: str, types: list[StateType]) -> list[FlowRun]:
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types))
            ),
            work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
            limit=_PAGE,
            offset=len(found),
        )
        found += page
        if len(page) < _PAGE:
            return found


def forget_leases(home: Path) -> None:
    """Forget who held slots; called where neither the server nor any run is alive."""
    shutil.rmtree(home / LEASES, ignore_errors=True)


def free_slots(client: SyncPrefectClient) -> None:
    """Free all slots of concurrency limits, likewise."""
    for limit in client.read_global_concurrency_limits(limit=_PAGE, offset=0):
        if limit.active_slots:
            client.update_global_concurrency_limit(
                name=limit.name, concurrency_limit=GlobalConcurrencyLimitUpdate(active_slots=0)
            )
