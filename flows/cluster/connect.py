"""Connecting to a Dask scheduler, and the checks before its workers get work.

Scheduler and workers must have the same packages; a worker must see store and source under the
same paths, and reach Prefect's server. Each of these is one clear error here, and a riddle in the
middle of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import cloudpickle
from dask import config as dask_settings
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect_dask.client import PrefectDaskClient
from prefect_dask.task_runners import DaskTaskRunner

from flows.cluster import probe
from flows.cluster.tasks import DaskRunner
from flows.cluster.versions import check_versions, versions
from seqprep.errors import ConfigError

CONNECT_S = 15
"""Seconds in which a scheduler must answer."""
WORKERS_S = 60
"""Seconds in which it must have a worker."""

PATIENCE = {"distributed.comm.timeouts.tcp": "300s"}
"""How long a scheduler may be busy before its connection counts as lost."""
MODULES = ("flows.cluster.tasks", "seqprep.ingestion.spread", "seqprep.preparation.spread_tasks")
"""That hold the functions of all tasks."""

cloudpickle.register_pickle_by_value(probe)


@contextmanager
def connected(scheduler: str, *, store: Path, sees: Path | None) -> Iterator[DaskRunner]:
    """A runner of tasks on the workers of a scheduler.

    Args:
        scheduler: its address.
        store: folder of the datasets.
        sees: what workers must see beside it.

    Raises:
        ConfigError: saying which worker cannot do the work, and why.
    """
    dask = DaskTaskRunner(address=scheduler, client_kwargs={"timeout": CONNECT_S})
    with dask_settings.set(PATIENCE), dask:
        client = _client(dask, scheduler)
        api = str(get_client(sync_client=True).api_url)
        there = client.run_on_scheduler(probe.versions_here)
        check_versions(f"the Dask scheduler at {scheduler}", there, versions())
        found = _ask(client, store=store.absolute(), sees=sees, api=api)
        for worker, one in found.items():
            check_worker(worker, one, store=store, sees=sees, api=api)
        modules = needed_modules()
        client.run_on_scheduler(probe.load, modules)
        client.run(probe.load, modules)
        # Without the URL each worker would start a server of its own.
        with temporary_settings({PREFECT_API_URL: api}):
            yield DaskRunner(dask, scheduler=scheduler)


def needed_modules() -> tuple[str, ...]:
    """The modules that a task needs: those of all tasks, and that of its flow."""
    context = FlowRunContext.get()
    flow = None if context is None or context.flow is None else context.flow.fn.__module__
    return MODULES if flow in (None, "__main__") else (*MODULES, flow)


def _client(dask: DaskTaskRunner, scheduler: str) -> PrefectDaskClient:
    """The client, once the scheduler has a worker."""
    try:
        client = dask.client
    except (OSError, TimeoutError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at {scheduler} within {CONNECT_S} s ({error}); start one "
            "with `dask scheduler`, or check --address and the way there"
        ) from error
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError as error:
        raise ConfigError(
            f"the Dask scheduler at {scheduler} has no worker within {WORKERS_S} s; start some "
            f"with `dask worker {scheduler}`"
        ) from error
    return client


def _ask(
    client: PrefectDaskClient, *, store: Path, sees: Path | None, api: str
) -> Mapping[str, dict[str, Any]]:
    """What each worker finds, by its address."""
    store.mkdir(parents=True, exist_ok=True)
    token = store / f".probe.{uuid4().hex}.tmp"
    token.write_text(token.name)
    try:
        path = None if sees is None else str(sees.absolute())
        answers = client.run(probe.look, str(token), path, api)
    finally:
        token.unlink(missing_ok=True)
    return {
        worker: {**answer, "token": answer["token"] == token.name}
        for worker, answer in answers.items()
    }


def check_worker(
    worker: str,
    found: Mapping[str, Any],
    *,
    store: Path,
    sees: Path | None,
    api: str,
) -> None:
    """Refuse a worker that cannot do the work.

    Args:
        worker: its address.
        found: as `probe.look` gives it, `token` being whether it sees the store.
        store: folder of the datasets.
        sees: what it must see beside it.
        api: URL of Prefect's server.

    Raises:
        ConfigError: naming the worker, what differs and what to do.
    """
    who = f"Dask worker {worker} on {found['host']}"
    check_versions(who, found["versions"], versions())
    for seen, path in ((found["token"], store), (found["sees"], sees)):
        if not seen and path is not None:
            raise ConfigError(
                f"{who} does not see {path.absolute()}: store and source must lie on storage that "
                "all workers share, under the same path"
            )
    if not found["api"]:
        raise ConfigError(
            f"{who} cannot reach Prefect's server at {api}; start one that all machines reach "
            "(prefect server start --host ...) and set PREFECT_API_URL to it here"
        )
