"""A training as a task of Prefect, so that the page of a run shows which go on, ended or failed.

Outside of a flow, as in a notebook, it is a plain call.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.states import Failed

from flows.references import Json


class Call:
    """A function, what it is called with, and what came of it; opaque to Prefect.

    Args:
        function: answers with `error` and the reason where it failed. item: small.
    """

    def __init__(self, function: Callable[[Json], Json], item: Json) -> None:
        self.function, self.item = function, item
        self.answer: Json | None = None
        self.error: BaseException | None = None


@task(name="training", task_run_name="{what}", persist_result=False, cache_policy=NO_CACHE)
def do_training(piece: Call, what: str) -> State[Any] | None:
    """Do it; what it answers is kept with the piece."""
    try:
        piece.answer = piece.function(piece.item)
    except BaseException as error:
        piece.error = error
        raise
    if "error" in piece.answer:
        return Failed(message=f"{what}: {piece.answer['error']}")
    return None


def as_task(function: Callable[[Json], Json], item: Json, *, what: str) -> Callable[[], Json]:
    """A call that may be made in another thread; inside of a flow it is one of its tasks.

    Args:
        function: answers with `error` and the reason where it failed.
        item: that it is called with.
        what: it is, for a person.
    """
    if FlowRunContext.get() is None:
        return partial(function, item)
    piece, context = Call(function, item), copy_context()

    def run() -> Json:
        context.run(do_training, piece, what, return_state=True)
        if piece.error is not None:
            raise piece.error
        assert piece.answer is not None
        return piece.answer

    return run
