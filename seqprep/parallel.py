"""Work on chunks by several threads, or by a runner; results in the order of the chunks.

NumPy, Arrow and Polars release the interpreter lock in their long loops, so threads pay and nothing
is pickled. Not for pure Python work. A `Runner` is what takes work to other processes or machines;
whoever orchestrates brings it along.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Json = dict[str, Any]

Progress = Callable[[str, int, int], None]
"""Called as (what, done, total)."""

LEAST_WEIGHT = 4 * 2**20
"""Bytes of work that are worth a task of a runner, which costs some 0.2 s beside them."""
TURNS = 4
"""Tasks for each worker, so that none is left alone with a large one at the end."""
MOST_TASKS = 256
"""Of one stage: a scheduler minds each."""


class Runner(Protocol):
    """Runs functions elsewhere: in other processes, perhaps on machines that share the files.

    Attributes:
        workers: how many it runs side by side.
    """

    @property
    def workers(self) -> int:
        """How many it runs side by side."""

    def ordered(
        self, function: Callable[[Item], Json], items: Sequence[Item], *, what: str
    ) -> Iterator[Json]:
        """What the function makes of each item, in the order of the items.

        Args:
            function: of a module that can be imported; it may run twice, or twice at once.
            items: small; what is large lies in files.
            what: is done, for a person to read.
        """


def cut_tasks(weights: Sequence[int], *, workers: int) -> list[range]:
    """Consecutive items as tasks of about the same weight, none of them without an item.

    How work is cut into tasks decides how long it takes, never what comes out.

    Args:
        weights: bytes of each item.
        workers: that run side by side.

    >>> cut_tasks([2**22] * 5, workers=1)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    least = max(LEAST_WEIGHT, -(-sum(weights) // min(TURNS * workers, MOST_TASKS)))
    tasks: list[range] = []
    start = weight = 0
    for place, more in enumerate(weights):
        weight += more
        if weight >= least or place == len(weights) - 1:
            tasks.append(range(start, place + 1))
            start, weight = place + 1, 0
    return tasks


def default_workers() -> int:
    """As many as the machine has cores, at most eight: each takes memory of its own."""
    return min(os.cpu_count() or 1, 8)


def ordered(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """Results in the order of the items; at most `workers` + 1 are held at a time.

    >>> list(ordered(str, [1, 2, 3], workers=2))
    ['1', '2', '3']
    """
    if workers <= 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
