"""Which failures a task retries: passing ones, never bad data (a retry would only repeat it)."""

from __future__ import annotations

from typing import Any

from seqprep.errors import SeqprepError
from seqprep.table import ConflictError

RETRIES = 2
RETRY_DELAY_S = 2.0


def is_passing(task: Any, run: Any, state: Any) -> bool:
    """Whether a failed task may succeed when it runs again.

    Args:
        task: the task.
        run: its run.
        state: its failed state; the exception is its result.

    Returns:
        True when another run committed in the meantime or the machine was short of something; False
        for wrong input, wrong use and a full disk.
    """
    error = state.result(raise_on_failure=False)
    if isinstance(error, ConflictError):
        return True
    if isinstance(error, SeqprepError):
        return False
    return isinstance(error, ConnectionError | TimeoutError | BlockingIOError)
