"""Tell a webhook that a run failed, or that a dataset has a new current model.

SEQPREP_NOTIFY, in the environment of the worker or of one deployment (`job_variables: {env: ...}`
in prefect.yaml), holds the name of a secret: a variable of the worker's environment, or else a
Secret block of Prefect's server. The secret is the webhook's address, which is no parameter and
stands in no log. A webhook that fails, or hangs, is a warning in the log, never a failed run.

A run that was killed together with its worker can tell nothing: let an automation of Prefect's
server do that, with the trigger of automations.yaml and an action of type send-notification.
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
import threading
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prefect.blocks.system import Secret
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import FlowRunContext
from prefect.flows import Flow
from prefect.logging import get_logger
from prefect.logging.loggers import flow_run_logger
from prefect.utilities.urls import url_for

from flows.references import Json

SETTING = "SEQPREP_NOTIFY"
LIMIT_S = 10.0
"""Seconds that a webhook may take in all."""
SHOWN = 500
"""Characters of a state's message that are sent."""


def tell_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """A hook of Prefect for runs that failed or crashed.

    Args:
        flow: of the run.
        flow_run: that ended.
        state: in which.
    """
    body = {
        "event": state.name.lower() if state.name else "failed",
        "flow": flow.name,
        "run": flow_run.name,
        "message": (state.message or "")[:SHOWN],
        "page": url_for("flow-run", obj_id=flow_run.id),
    }
    _post(body, flow_run_logger(flow_run))


TOLD: dict[str, Any] = {"on_failure": [tell_failure], "on_crashed": [tell_failure]}
"""Options of a flow whose failures are told."""


def tell_current(done: Json) -> None:
    """Tell that a model that was just trained is the current one of its dataset.

    Args:
        done: what the training says.
    """
    run = FlowRunContext.get()
    flow_run = None if run is None else run.flow_run
    body = {
        "event": "new current model",
        "dataset": done["dataset"],
        "model": Path(done["bundle"]).parent.name,
        "validation": done["metrics"].get("validation", {}),
        "test": done["metrics"].get("test", {}),
        "page": None if flow_run is None else url_for("flow-run", obj_id=flow_run.id),
    }
    _post(body, get_logger() if flow_run is None else flow_run_logger(flow_run))


def _post(body: Json, logger: logging.Logger | logging.LoggerAdapter[Any]) -> None:
    """Send it from a thread: a webhook that answers a byte a minute is left alone, too."""
    name = os.environ.get(SETTING)
    if not name:
        return
    failed: list[str] = []
    inside = contextvars.copy_context()  # the server's address is part of it
    thread = threading.Thread(target=inside.run, args=(_send, name, body, failed), daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    if thread.is_alive():
        failed.append(f"no answer within {LIMIT_S:.0f} s")
    if failed:
        logger.warning("the webhook of secret %r was not told: %s", name, failed[0])


def _send(name: str, body: Json, failed: list[str]) -> None:
    try:
        request = urllib.request.Request(
            _address(name),
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=LIMIT_S):
            pass
    except NoSecretError as error:
        failed.append(str(error))
    except Exception as error:  # its text may hold the address
        status = getattr(error, "code", None)
        failed.append(type(error).__name__ + (f" {status}" if status else ""))


class NoSecretError(Exception):
    """There is no such secret, or it is no address."""


def _address(name: str) -> str:
    """The address that a secret holds."""
    text = os.environ.get(name)
    try:
        text = text or str(Secret.load(name).get())  # type: ignore[union-attr]
    except ValueError:
        raise NoSecretError("no variable and no Secret block has that name") from None
    if urlsplit(text).scheme not in ("http", "https"):
        raise NoSecretError("it does not begin with http:// or https://")
    return text
