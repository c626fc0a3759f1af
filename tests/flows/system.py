"""A server and a worker of Prefect in a folder of their own, as `./run up` starts them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.serve import RETRIES
from flows.serving import processes
from flows.serving.processes import Process
from models.training.lock import PARENT
from tests.conftest import ROOT

PARTS = ("flows", "models", "seqprep", "data", "prefect.yaml", "automations.yaml")


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class System:
    """The project in a folder, with what serves it."""

    root: Path
    port: int = field(default_factory=free_port)
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in PARTS:
            source, target = ROOT / name, self.root / name
            if not target.exists():
                shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)

    def __enter__(self) -> System:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.serve("down")

    @property
    def home(self) -> Path:
        """Prefect's home: its database, its logs, the list of processes."""
        return self.root / ".prefect"

    @property
    def environment(self) -> dict[str, str]:
        """Of a person who works there."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT", "DATABASE"))}
        return {**kept, "PYTHONPATH": str(self.root), "PORT": str(self.port)}

    def serve(self, what: str, *, status: int = 0, **more: str) -> str:
        """`./run up` or `./run down`, and what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "flows.serve", what],
            cwd=self.root,
            env={**self.environment, **self.more, **more},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        return said

    def up(self) -> str:
        """`./run up`."""
        return self.serve("up")

    @contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        """Of the server, as patient as the runs are where its database is busy."""
        with (
            temporary_settings({PREFECT_CLIENT_MAX_RETRIES: RETRIES}),
            SyncPrefectClient(api=f"http://127.0.0.1:{self.port}/api") as client,
        ):
            yield client

    def start(self, deployment: str, **parameters: Any) -> UUID:
        """Have a deployment run now."""
        with self.client() as client:
            found = client.read_deployment_by_name(deployment)
            return client.create_flow_run_from_deployment(found.id, parameters=parameters).id

    def run(self, id_: UUID) -> FlowRun:
        """A run, as the server knows it."""
        with self.client() as client:
            return client.read_flow_run(id_)

    def state(self, id_: UUID) -> State[Any]:
        """Of a run."""
        state = self.run(id_).state
        assert state is not None
        return state

    def wait(self, id_: UUID, *, within_s: float = 240, until: Collection[str] = ()) -> State[Any]:
        """Wait for the end of a run, or for one of the named states."""
        limit_s = time.monotonic() + within_s
        while True:
            state = self.state(id_)
            if state.is_final() or state.name in until:
                return state
            assert time.monotonic() < limit_s, f"still {state.name} after {within_s:.0f} s"
            time.sleep(0.5)

    def process(self, name: str) -> Process:
        """The server, or the worker."""
        served = processes.read(self.home)
        assert served is not None
        return served.processes[name]

    def flow(self, id_: UUID) -> Process | None:
        """The process that executes a run."""
        return processes.of_flow_runs(self.root).get(str(id_))

    def flows(self) -> list[int]:
        """All processes that execute runs."""
        return [process.pid for process in processes.of_flow_runs(self.root).values()]

    def belonging(self, *, trainers: bool = False) -> list[int]:
        """All processes that the system started, however deep, or the trainers among them."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            told = dict(text.split(b"=", 1) for text in variables if b"=" in text)
            here = told.get(b"SEQPREP_ROOT") == str(self.root).encode()
            if here and (PARENT.encode() in told or not trainers):
                found.append(int(folder.name))
        return found

    def log(self) -> str:
        """Of the worker and its runs."""
        return (self.home / "worker.log").read_text(encoding="utf-8", errors="replace")
