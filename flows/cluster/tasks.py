"""Prefect's task that does a piece of ingest or prepare on a Dask worker, and the runner of many.

A task is seconds of work: some chunks. What it is given and what it answers are small; everything
large lies in files of the store.
"""

from __future__ import annotations

import socket
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError as FutureCancelled
from typing import Any

from distributed import KilledWorker
from distributed.client import FutureCancelledError
from prefect import task
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

from flows.cluster.versions import Versions, check_versions, versions
from flows.faults import RETRIED
from flows.progress import say
from seqprep.errors import SeqprepError
from seqprep.parallel import Json

POLL_S = 0.05
"""Seconds between two looks at what has ended."""
LOOK_S = 2.0
"""Seconds between two looks at the workers."""
ALONE_S = 120.0
"""Seconds that a run waits for a worker where none is left."""
_GONE = (CancelledError, FutureCancelled, FutureCancelledError)


class Piece:
    """A function and what it is called with; opaque, so that Prefect does not search it.

    Args:
        function: of a module. item: small. versions: of the packages that it may run with.
    """

    def __init__(
        self, function: Callable[[Any], Json], item: object, *, versions: Versions
    ) -> None:
        self.function, self.item, self.versions = function, item, versions


@task(name="piece of work", task_run_name="{what}", persist_result=False, **RETRIED)
def do_piece(piece: Piece, what: str) -> Json:
    """Do one piece of work, on whichever machine this runs; it may have joined a moment ago."""
    check_versions(f"Dask worker on {socket.gethostname()}", versions(), piece.versions)
    return piece.function(piece.item)


class DaskRunner:
    """`parallel.Runner` on the workers of a Dask scheduler.

    A piece whose worker dies is done again by another one. Where no worker is left the run waits
    for one, then gives up; nothing that it did is visible.

    Args:
        dask: started and connected. scheduler: its address, for messages.
    """

    def __init__(self, dask: DaskTaskRunner, *, scheduler: str) -> None:
        self._dask, self._scheduler = dask, scheduler
        self._looked_s = self._seen_s = time.monotonic()

    @property
    def workers(self) -> int:
        """Threads of all workers."""
        found = self._dask.client.scheduler_info()["workers"].values()
        return max(1, sum(worker["nthreads"] for worker in found))

    def ordered(
        self, function: Callable[[Any], Json], items: Sequence[Any], *, what: str
    ) -> Iterator[Json]:
        """What the function makes of each item, in order; see `parallel.Runner`.

        Raises:
            SeqprepError: if workers die on one piece again and again, or none is left.
        """
        self._seen_s = time.monotonic()
        waiting = {
            place: self._dask.submit(
                do_piece,
                {
                    "piece": Piece(function, item, versions=versions()),
                    "what": f"{what} {place + 1} of {len(items)}",
                },
            )
            for place, item in enumerate(items)
        }
        answers: dict[int, Json] = {}
        try:
            for place in range(len(items)):
                while place not in answers:
                    self._collect(waiting, answers, what=what)
                yield answers.pop(place)
        finally:
            if waiting:
                self._dask.client.cancel([one.wrapped_future for one in waiting.values()])

    def _collect(
        self, waiting: dict[int, PrefectDaskFuture], answers: dict[int, Json], *, what: str
    ) -> None:
        """Take the answers that have come, or wait a little; an answer is kept by one machine."""
        ended = [place for place, one in waiting.items() if one.wrapped_future.done()]
        for place in ended:
            answers[place] = self._answer(waiting.pop(place), what=what)
        if not ended:
            self._look_at_workers(what)
            time.sleep(POLL_S)

    def _answer(self, future: PrefectDaskFuture, *, what: str) -> Json:
        try:
            answer: Json = future.result()
        except KilledWorker as error:
            raise SeqprepError(
                f"{what}: {error.last_worker.address if error.last_worker else 'a Dask worker'} "
                "was the last of several workers that died on the same piece of work, perhaps for "
                "want of memory: give workers more, or fewer threads. Nothing was changed"
            ) from error
        except _GONE as error:
            raise SeqprepError(self._lost(what)) from error
        return answer

    def _look_at_workers(self, what: str) -> None:
        """Give up where no worker has been there for long."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        try:
            count = len(self._dask.client.scheduler_info()["workers"])
        except OSError as error:
            raise SeqprepError(self._lost(what)) from error
        if count:
            self._seen_s = now_s
        elif now_s - self._seen_s > ALONE_S:
            raise SeqprepError(
                f"{what}: the Dask scheduler at {self._scheduler} has had no worker for "
                f"{ALONE_S:.0f} s; start some and run again. Nothing was changed"
            )
        else:
            left_s = ALONE_S - (now_s - self._seen_s)
            say(f"{what}: no Dask worker is left; waiting {left_s:.0f} s more for one")

    def _lost(self, what: str) -> str:
        return (
            f"{what}: the Dask scheduler at {self._scheduler} has gone; run again when it is "
            "there. Nothing was changed"
        )
