"""Which failures a task retries: passing ones, never bad data (a retry would only repeat it)."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE

from seqprep.errors import SeqprepError, UnreachableError
from seqprep.table import ConflictError


def is_passing(task: Any, run: Any, state: Any) -> bool:
    """Whether a failed task may succeed when it runs again.

    Args:
        task: the task.
        run: its run.
        state: its failed state; the exception is its result.

    Returns:
        True when another run committed in the meantime, the machine was short of something or a
        server did not answer; False for wrong input, wrong use and a full disk.
    """
    error = state.result(raise_on_failure=False)
    if isinstance(error, ConflictError | UnreachableError):
        return True
    if isinstance(error, SeqprepError):
        return False
    return isinstance(error, ConnectionError | TimeoutError | BlockingIOError)


RETRIED: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "retries": 2,
    "retry_delay_seconds": 2.0,
    "retry_condition_fn": is_passing,
}
"""Options of a task that is tried again; earlier work is found by fingerprint, not by a cache."""
