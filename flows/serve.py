"""`./run up` and `./run down`: Prefect's server and one process worker on loopback.

`up` starts what does not run yet, in the background, deploys prefect.yaml and automations.yaml and
prints where the page is. It mends what was killed, and may be run again and again, as by a
supervisor. `down` ends what `up` started, flow runs included, and nothing else. Everything stays in
`.prefect/` of the current folder.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from flows import empty_database
from flows.environment import TERMINAL, quiet
from flows.reporting.counted import counted
from flows.serving import processes, server
from flows.serving.processes import Served
from flows.serving.server import Database
from seqprep.errors import SeqprepError

POOL = "seqprep"
HEARTBEAT_S = 30
"""Seconds between two signs of life of a run; see automations.yaml."""
RETRIES = 7
"""Of a request to the server, about four minutes: runs outlive a restart of the server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Up:
    """What `up` found and did.

    Args:
        address: of the page.
        started: names of the processes that were started.
        deployed: whether prefect.yaml was deployed.
        settled: runs without a process that were marked Crashed.
    """

    address: str
    started: tuple[str, ...]
    deployed: bool
    settled: int


def up(root: Path, *, port: int | None, database: Database, runs: int) -> Up:
    """Start server and worker where they do not run, and deploy.

    Args:
        root: the project's folder.
        port: of the server, on loopback; None: as before, else 4200.
        database: that the server stores in.
        runs: that a worker which is started executes at once.

    Raises:
        SeqprepError: if the port is taken, the server does not come up, or what runs was started
            otherwise. What this call started is ended again.
    """
    home = root / ".prefect"
    quiet(home=home)
    os.environ.pop(TERMINAL, None)
    with _alone(home):
        before = processes.read(home)
        alive = {} if before is None else before.running()
        port = _port_of(before if alive else None, port)
        if before is not None:
            _check_database(before, database)
        served = Served(port=port, database=database.name, processes=dict(alive))
        try:
            return _start(root, served, database, runs=runs)
        except BaseException:
            new = [one for name, one in _last(home).items() if name not in alive]
            processes.end(new)
            replace(served, processes=alive).write(home) if alive else processes.forget(home)
            raise


def _start(root: Path, served: Served, database: Database, *, runs: int) -> Up:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.progress import say
    from flows.serving.deploying import deploy
    from flows.serving.leftovers import forget_leases, free_slots, settle

    home, port, found = root / ".prefect", served.port, served.processes
    environment = _environment(root, port)
    started, nothing_lives = [], False
    if "server" not in found:
        server.check_free(port)
        nothing_lives = not processes.of_flow_runs(root)
        if nothing_lives:
            forget_leases(home)
        say("starting the server, which takes a while ...")
        if database.url is None:
            empty_database.place(Path(os.environ["PREFECT_HOME"]))
        arguments = ["server", "start", "--host", server.HOST, "--port", str(port)]
        variables = server.variables(environment, database=database)
        found["server"] = processes.start(arguments, log=home / "server.log", environment=variables)
        served.write(home)
        started.append("server")
    server.wait(found["server"], port=port, log=home / "server.log")
    with SyncPrefectClient(api=f"{server.address(port)}/api") as client:
        settled = settle(client, pool=POOL, root=root, is_served="worker" in found)
        if nothing_lives:
            free_slots(client)
        deployed = deploy(client, root=root, pool=POOL, environment=environment)
    if "worker" not in found or not found["worker"].runs():  # it may have ended meanwhile
        # The type is told: a worker that asks the server for it ends where that does not answer.
        arguments = ["worker", "start", "--pool", POOL, "--type", "process", "--limit", str(runs)]
        log = home / "worker.log"
        found["worker"] = processes.start(arguments, log=log, environment=environment)
        served.write(home)
        started.append("worker")
    return Up(
        address=server.address(port), started=tuple(started), deployed=deployed, settled=settled
    )


def down(root: Path) -> int:
    """End what `up` started, and its flow runs; return how many processes of `up` there were.

    Trainings write a checkpoint first.
    """
    home = root / ".prefect"
    if not home.is_dir():
        return 0
    with _alone(home):
        running = _last(home)
        runs = processes.of_flow_runs(root).values()
        # At once: the worker takes no new runs, and ends when those it has have ended.
        processes.end([*runs, *(one for name, one in running.items() if name == "worker")])
        processes.end(one for name, one in running.items() if name == "server")
        processes.forget(home)
    return len(running)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One `up` or `down` at a time; the kernel lets go of the lock however it ends."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SeqprepError(
                "another `./run up` or `./run down` is under way here; wait for its end"
            ) from None
        yield


def _last(home: Path) -> dict[str, processes.Process]:
    found = processes.read(home)
    return {} if found is None else found.running()


def _port_of(before: Served | None, port: int | None) -> int:
    if before is None:
        return port or 4200
    if port is not None and port != before.port:
        raise SeqprepError(
            f"PORT is {port}, but what runs here belongs to port {before.port}; "
            "`./run down` stops it"
        )
    return before.port


def _check_database(before: Served, database: Database) -> None:
    if before.database != database.name:
        raise SeqprepError(
            f"the server here stores in {before.database}, DATABASE_URL says {database.name}; set "
            "it as it was, or `./run down` first"
        )


def _environment(root: Path, port: int) -> dict[str, str]:
    """Of the worker, its runs and prefect's commands; the database's address is none of it."""
    kept = {key: value for key, value in os.environ.items() if not _names_database(key)}
    return {
        **kept,
        "PREFECT_API_URL": f"{server.address(port)}/api",
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
        "PREFECT_CLIENT_MAX_RETRIES": str(RETRIES),
        "SEQPREP_ROOT": str(root),
    }


def _names_database(key: str) -> bool:
    return key == "DATABASE_URL" or key.endswith("_DATABASE_CONNECTION_URL")


def _runs(text: str) -> int:
    """How many runs a worker executes at once."""
    if not text:
        return max(2, os.cpu_count() or 1)
    if not text.isdigit() or int(text) < 1:
        raise SeqprepError(f"RUNS must be a number of runs, at least 1, got {text!r}")
    return int(text)


def _port(text: str) -> int | None:
    if not text:
        return None
    if not text.isdigit() or not 1024 <= int(text) < 65536:
        raise SeqprepError(f"PORT must be a number from 1024 to 65535, got {text!r}")
    return int(text)


def _tell(done: Up, console: Console) -> None:
    if done.started:
        console.print(f"started: {' and '.join(done.started)}")
    else:
        console.print("server and worker already run")
    if done.deployed:
        console.print("deployed prefect.yaml and automations.yaml")
    if done.settled:
        console.print(f"{counted(done.settled, 'run')} without a process marked Crashed")
    console.print(f"page:  {done.address}")
    console.print(f"try:   export PREFECT_API_URL={done.address}/api")
    console.print(
        "       .venv/bin/prefect deployment run 'pipeline/default' "
        "--param file=data/text.yaml --watch"
    )
    console.print("logs:  .prefect/server.log, .prefect/worker.log")
    console.print("stop:  ./run down")


def main(environment: Mapping[str, str] = os.environ) -> None:
    """Read the one argument, `up` or `down`, and do it."""
    console = Console(highlight=False, soft_wrap=True)
    root = Path.cwd()
    try:
        if sys.argv[1:] == ["up"]:
            port = _port(environment.get("PORT", ""))
            database = server.database(environment.get("DATABASE_URL", ""))
            runs = _runs(environment.get("RUNS", ""))
            _tell(up(root, port=port, database=database, runs=runs), console)
        elif sys.argv[1:] == ["down"]:
            console.print(f"stopped {down(root)} processes")
        else:
            raise SeqprepError("usage: ./run up | down")
    except SeqprepError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
