"""Where ingest and prepare do their work: in this process, or on a Dask cluster.

A cluster needs the extra `dask`; nothing of it is imported before a person asks for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from seqprep.errors import ConfigError
from seqprep.parallel import Runner

RunnerName = Literal["local", "dask"]
_ADDRESS = re.compile(r"(tcp|tls)://\[?[\w.:-]+\]?:\d+")


def check_runner(runner: RunnerName, address: str | None) -> None:
    """Refuse what cannot work, before anything is started.

    Args:
        runner: where the work is done.
        address: of a scheduler; None: a cluster of this machine's processes.

    Raises:
        ConfigError: saying what to change or install.
    """
    if runner == "local" and address is not None:
        raise ConfigError(f"--address {address} names a Dask scheduler: add --runner dask")
    if runner == "local":
        return
    if find_spec("prefect_dask") is None:
        raise ConfigError(
            "--runner dask needs prefect-dask, which is not installed: pip install 'seqprep[dask]'"
        )
    if address is not None and _ADDRESS.fullmatch(address) is None:
        raise ConfigError(
            f"--address must be that of a Dask scheduler, such as tcp://10.0.0.5:8786, "
            f"got {address!r}"
        )


@contextmanager
def scheduler_of(runner: RunnerName, address: str | None) -> Iterator[str | None]:
    """The scheduler of all stages of a flow; None where the work stays in this process.

    Args:
        runner: where the work is done.
        address: of a scheduler; None: one is started, with a worker for each core, and ended.

    Raises:
        ConfigError: as `check_runner`.
    """
    check_runner(runner, address)
    if runner == "local" or address is not None:
        yield address
        return
    from flows.cluster.temporary import temporary

    with temporary() as started:
        yield started


@contextmanager
def runner_at(scheduler: str | None, *, store: Path, sees: Path | None) -> Iterator[Runner | None]:
    """A runner of tasks on a cluster, which is checked first; None without a scheduler.

    Args:
        scheduler: address.
        store: folder of the datasets, that all workers must see.
        sees: what they must see beside it; None where there is nothing.

    Raises:
        ConfigError: if the scheduler does not answer, or a worker cannot do the work.
    """
    if scheduler is None:
        yield None
        return
    from flows.cluster.connect import connected

    with connected(scheduler, store=store, sees=sees) as runner:
        yield runner
