"""A Dask cluster of this machine's processes, for as long as a flow runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from distributed import LocalCluster


@contextmanager
def temporary(workers: int | None = None) -> Iterator[str]:
    """Start a scheduler and workers that listen on loopback only; end them afterwards.

    Args:
        workers: processes; default one for each core.

    Yields:
        The scheduler's address.
    """
    logging.getLogger("distributed").setLevel(logging.ERROR)
    count = workers or len(os.sched_getaffinity(0))
    with LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",  # its default port may be taken
        silence_logs=logging.ERROR,
    ) as cluster:
        yield cluster.scheduler_address
