"""One run after the other writes a dataset: turns among the runs of deployments.

A turn is a slot of one of Prefect's global concurrency limits, held by a lease: a run that dies
gives it back when the lease ends, within a minute and a half. Turns spare work that would be done
twice; where one is lost, as with the server, data is still right, for a table takes one commit upon
a version, and the other run tries again. Commands take no turns.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

from httpx import HTTPStatusError, TransportError, codes
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from flows.commands import guard
from flows.progress import say

LEASE_S = 60
"""Seconds after which a lease ends that is not renewed; the least that Prefect allows."""
POLL_S = 2.0


@contextmanager
def turn(
    what: Literal["tables", "models", "predictions"], *, dataset: str, store: str
) -> Iterator[None]:
    """Wait until no other deployment's run writes the same; then be the one that does.

    Args:
        what: is written.
        dataset: its name.
        store: folder of the datasets, or of predictions.
    """
    run = FlowRunContext.get()
    if run is None or run.flow_run is None or run.flow_run.deployment_id is None:
        yield
        return
    guard.start()  # what this run started shall not outlive it
    name = limit_name(what, dataset=dataset, store=store)
    holder = ConcurrencyLeaseHolder(type="flow_run", id=run.flow_run.id)
    with ExitStack() as held:
        _wait(name, holder, held, told=f"{dataset}: waiting until another run has written {what}")
        try:
            yield
        finally:
            # Without a server, now: the lease ends by itself.
            with suppress(Exception):
                held.close()


def limit_name(what: str, *, dataset: str, store: str) -> str:
    """Of the concurrency limit, as the page shows it.

    >>> limit_name("tables", dataset="reviews", store="/srv/store")
    'reviews tables in srv.store'
    """
    place = store if "://" in store else str(Path(store).resolve())
    place = re.sub(r"[/:%&<>]+", ".", place).strip(".")  # what Prefect allows in a name
    return f"{dataset} {what} in {place}"


def _wait(name: str, holder: ConcurrencyLeaseHolder, held: ExitStack, *, told: str) -> None:
    """Enter a slot as soon as it is free. Sleeps here, where a cancellation can interrupt it."""
    is_told = False
    while not (_is_free(name) and _enter(name, holder, held)):
        if not is_told:
            say(told)
            is_told = True
        time.sleep(POLL_S)


def _is_free(name: str) -> bool:
    """Whether a slot is free; not while the server is being restarted."""
    try:
        with get_client(sync_client=True) as client:
            limit = client.read_global_concurrency_limit_by_name(name)
            return limit.active_slots < limit.limit
    except ObjectNotFound:
        _create(name)
        return True
    except TransportError:
        return False


def _create(name: str) -> None:
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))


def _enter(name: str, holder: ConcurrencyLeaseHolder, held: ExitStack) -> bool:
    """Whether the slot could be had; another run may have been faster."""
    try:
        held.enter_context(
            concurrency(
                name,
                max_retries=0,
                lease_duration=LEASE_S,
                holder=holder,
                raise_on_lease_renewal_failure=False,
            )
        )
    except ConcurrencySlotAcquisitionError as error:
        cause = error.__cause__
        taken = isinstance(cause, HTTPStatusError) and cause.response.status_code == codes.LOCKED
        if not taken and not isinstance(cause, TransportError):
            raise
        return False
    return True
