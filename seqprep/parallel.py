"""Work on chunks by several threads, results in the order of the chunks.

NumPy, Arrow and Polars release the interpreter lock in their long loops, so threads pay and nothing
is pickled. Not for pure Python work.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Progress = Callable[[str, int, int], None]
"""Called as (what, done, total)."""


def default_workers() -> int:
    """As many as the machine has cores, at most eight."""
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
