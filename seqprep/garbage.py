"""Pause Python's search for unreachable cycles while very many small objects are made.

Use it around a loop that keeps what it makes, such as an entry for each of many files: the
collector then looks at all of them again and again and finds nothing. What has no cycle is given
back as ever. Source: https://docs.python.org/3/library/gc.html#gc.freeze
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_paused: list[bool] = []
"""One entry for each block that runs; the first says whether the collector was on."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """No search while the block runs, in any thread; afterwards it is on if it was before."""
    with _LOCK:
        _paused.append(gc.isenabled() if not _paused else _paused[0])
        gc.disable()
    try:
        yield
    finally:
        with _LOCK:
            if _paused.pop() and not _paused:
                gc.enable()
