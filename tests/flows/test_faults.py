"""What is tried again and told, and that nothing is remembered by Prefect (F2, F3)."""

from __future__ import annotations

import errno
from importlib import import_module

import pytest
import yaml
from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.states import exception_to_failed_state
from prefect.utilities.asyncutils import run_coro_as_sync

from flows.faults import is_passing
from flows.notify import tell_failure
from seqprep.errors import ConfigError, SeqprepError, UnreachableError
from seqprep.table import ConflictError
from tests.conftest import ROOT

MODULES = sorted(path.stem for path in (ROOT / "flows").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConflictError("another run committed version 3 in the meantime"), True),
        (ConnectionResetError("peer"), True),
        (TimeoutError("no answer"), True),
        (UnreachableError("s3://lab/team: http://10.0.0.5:9000 does not answer"), True),
        (SeqprepError("reads.fasta, line 3: no header"), False),
        (ConfigError("train.epochs must be >= 1"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (RuntimeError("training ended with status 1"), False),
        (ValueError("ours"), False),
    ],
)
def test_only_passing_faults_are_tried_again(error: Exception, passes: bool) -> None:
    """Would break if bad data were read again and again, or a lost race failed a run."""
    state = run_coro_as_sync(exception_to_failed_state(error))
    assert is_passing(None, None, state) == passes


def test_no_task_takes_its_result_from_prefects_cache() -> None:
    """Would break if what is done were read from Prefect's state instead of the tables."""
    found = [
        task
        for name in MODULES
        for task in vars(import_module(f"flows.{name}")).values()
        if isinstance(task, Task)
    ]
    assert {task.name for task in found} >= {"ingest files", "prepare examples", "train model"}
    assert all(task.cache_policy == NO_CACHE for task in found)
    assert not any(task.persist_result for task in found)


def test_the_stages_are_tried_again_after_passing_faults_only() -> None:
    """Would break if a task that moves data had no retries, or retried whatever came."""
    for name in ("ingest", "prepare", "train"):
        tasks = [v for v in vars(import_module(f"flows.{name}")).values() if isinstance(v, Task)]
        assert tasks
        assert all(task.retries and task.retry_condition_fn is is_passing for task in tasks)


def test_every_deployed_flow_tells_failures_and_crashes() -> None:
    """Would break if one of the flows failed without a word."""
    deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert len(deployed) == 10
    for entrypoint in (one["entrypoint"] for one in deployed):
        path, name = entrypoint.split(":")
        flow = getattr(import_module(path.removesuffix(".py").replace("/", ".")), name)
        for hooks in (flow.on_failure_hooks, flow.on_crashed_hooks):
            assert tell_failure in hooks, entrypoint
