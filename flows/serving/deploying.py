"""Bring prefect.yaml and automations.yaml to the server, once for each state of files and code.

What a person switched on the page stays: a schedule that was made active, or was paused, is so
after a new deployment, too.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate, WorkPoolCreate
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectAlreadyExists
from prefect.workers.process import ProcessWorker

from seqprep.errors import SeqprepError

AUTOMATIONS = "automations.yaml"
DEPLOYMENTS = "prefect.yaml"
VARIABLE = "seqprep_deployed"
"""A variable on the server: what was deployed there last."""
_PACKAGES = ("flows", "models", "seqprep")

Switches = dict[tuple[str, str], bool]
"""Whether a schedule is active, by its deployment's id and its slug."""


def deploy(
    client: SyncPrefectClient, *, root: Path, pool: str, environment: Mapping[str, str]
) -> bool:
    """Deploy, unless this very state of files and code stands there already.

    Args:
        client: of the server.
        root: the project's folder.
        pool: name of the work pool, which is made where there is none.
        environment: in which prefect runs.

    Returns:
        Whether anything was deployed.

    Raises:
        SeqprepError: with prefect's own words, if it refuses.
    """
    digest = _digest(root)
    known = client.read_variable_by_name(VARIABLE)
    if known is not None and known.value == digest and are_there(client, root=root, pool=pool):
        return False
    with suppress(ObjectAlreadyExists):  # then it stays as it is
        client.create_work_pool(
            WorkPoolCreate(
                name=pool,
                type=ProcessWorker.type,
                base_job_template=ProcessWorker.get_default_base_job_template(),
            )
        )
    before = _switches(client)
    _prefect(["--no-prompt", "deploy", "--all"], root, environment)
    _restore(client, before)
    _automate(client, root)
    if known is None:
        client.create_variable(VariableCreate(name=VARIABLE, value=digest))
    else:
        client.update_variable(VariableUpdate(name=VARIABLE, value=digest))
    return True


def are_there(client: SyncPrefectClient, *, root: Path, pool: str) -> bool:
    """Whether the server has all deployments, in their pool: who deletes that takes it from them.

    Args:
        client: of the server.
        root: the project's folder.
        pool: name of their work pool.
    """
    told = yaml.safe_load((root / DEPLOYMENTS).read_text(encoding="utf-8"))["deployments"]
    found = {one.entrypoint for one in client.read_deployments() if one.work_pool_name == pool}
    return found >= {one["entrypoint"] for one in told}


def _digest(root: Path) -> str:
    """Of all that decides what the server is told: the files, and the code for the run form."""
    digest = hashlib.sha256()
    code = sorted(path for package in _PACKAGES for path in (root / package).rglob("*.py"))
    for path in (root / DEPLOYMENTS, root / AUTOMATIONS, *code):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(root)} {content}\n".encode())
    return digest.hexdigest()


def _prefect(arguments: list[str], root: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", *arguments],
        cwd=root,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stdout + done.stderr).strip().splitlines()[-5:]
        raise SeqprepError(f"prefect {' '.join(arguments[:3])} failed: {' '.join(last)}")


def _switches(client: SyncPrefectClient) -> Switches:
    return {
        (str(one.id), schedule.slug): schedule.active
        for one in client.read_deployments()
        for schedule in one.schedules
        if schedule.slug
    }


def _restore(client: SyncPrefectClient, before: Switches) -> None:
    for one in client.read_deployments():
        for schedule in one.schedules:
            was = before.get((str(one.id), schedule.slug or ""))
            if was is not None and was != schedule.active:
                client.update_deployment_schedule(one.id, schedule.id, active=was)


def _automate(client: SyncPrefectClient, root: Path) -> None:
    """Create the automations, or bring those of the same name to what the file says."""
    for body in yaml.safe_load((root / AUTOMATIONS).read_text(encoding="utf-8"))["automations"]:
        automation = AutomationCore.model_validate(body)
        known = client.read_automations_by_name(automation.name)
        if known:
            automation.enabled = known[0].enabled
            client.update_automation(known[0].id, automation)
        else:
            client.create_automation(automation)
