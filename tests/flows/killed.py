"""A run of a deployment that is killed in the midst of its stage, for `test_deployed_kills`.

The run is stopped (SIGSTOP) at a random moment after the stage has begun and before it is over, is
looked at while it stands, and only then something is killed: so every trial hits a live run.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq

from models.training.checkpoint import NAME
from seqprep.registry import Registry
from seqprep.snapshot import file_sha256
from seqprep.table import Table
from tests.flows.system import System

DATASET = "sample_text"
LOG = "_delta_log/0*.json"
BEGIN_S = 240.0
"""For a run to get to its stage."""
ATTEMPTS = 5
"""How often a run is started until it is hit alive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage of a pipeline, and how its begin and its end show in the store.

    Args:
        deployment: that runs it. before: the finished stage whose store it begins with.
        begun, over: files in the store, and how many of them there must be.
        parameters: of the deployment.
    """

    deployment: str
    before: str | None
    begun: tuple[str, int]
    over: tuple[str, int]
    parameters: dict[str, Any] = field(default_factory=dict)


STAGES = {
    "ingest": Stage(
        deployment="ingest/default",
        before=None,
        begun=(DATASET, 1),
        over=(f"{DATASET}/sequences/{LOG}", 1),
    ),
    "prepare": Stage(
        deployment="prepare/default",
        before="ingest",
        begun=(f"{DATASET}/.spill*", 1),
        over=(f"{DATASET}/examples-*/{LOG}", 1),
    ),
    "train": Stage(
        deployment="train/default",
        before="prepare",
        begun=(f"{DATASET}/models/*/checkpoint/{NAME}", 1),
        over=(f"{DATASET}/models/*/report.json", 1),
    ),
    # The decision which model is current, which a trained and sealed one awaits.
    "compare": Stage(
        deployment="train/default",
        before="model",
        begun=(f"{DATASET}/models/*/files.json", 2),
        over=(f"{DATASET}/registry/{LOG}", 3),
        parameters={"settings": ["train.updates=40"]},
    ),
    "predict": Stage(
        deployment="predict/default",
        before="model",
        begun=("out/.*.tmp", 1),
        over=("out/predictions.parquet", 1),
    ),
}


@dataclass
class Trial:
    """One run that is hit, and what became of it.

    Args:
        system: that serves it. stage: in which it is hit. victim: what is killed.
        name: of its store. length_s: of the stage, undisturbed. chance: of the moment.
    """

    system: System
    stage: str
    victim: str
    name: str
    length_s: float = 0.0
    chance: random.Random = field(default_factory=random.Random)
    attempts: int = 0
    run: UUID | None = None
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        """The run's store."""
        return self.system.root / "stores" / (self.name + f"-{self.attempts}" * bool(self.attempts))

    def start(self) -> UUID:
        """Have the stage run, and again."""
        what = STAGES[self.stage]
        if what.before and not self.store.exists():
            shutil.copytree(self.store.with_name(what.before), self.store)
        where = {"store": str(self.store.relative_to(self.system.root))}
        if self.stage == "predict":
            paths = {"inputs": ["many"], "out": f"{where['store']}/out/predictions.parquet"}
            return self.system.start(what.deployment, bundle=f"{DATASET}@current", **paths, **where)
        return self.system.start(what.deployment, file="many.yaml", **what.parameters, **where)

    def has_begun(self) -> bool:
        """Whether the stage has."""
        return self._shows(STAGES[self.stage].begun)

    def is_over(self) -> bool:
        """Whether the stage has come to its end."""
        return self._shows(STAGES[self.stage].over)

    def _shows(self, sign: tuple[str, int]) -> bool:
        pattern, count = sign
        return sum(1 for _ in self.store.glob(pattern)) >= count

    def wait(self, happened: Callable[[], bool]) -> None:
        """Wait until something has happened."""
        limit_s = time.monotonic() + BEGIN_S
        while not happened():
            assert time.monotonic() < limit_s, f"{self.stage}: not {happened.__name__}"
            time.sleep(0.01)

    def stand(self) -> None:
        """Start the run until one is alive, stopped in its stage; each time in a fresh store."""
        while True:
            self.run = self.start()
            if self._stopped_alive():
                return
            self.go_on()
            self.system.wait(self.run, within_s=BEGIN_S)
            self.attempts += 1
            assert self.attempts < ATTEMPTS, f"{self.stage} is over before it can be hit"

    def _stopped_alive(self) -> bool:
        self.wait(self.has_begun)
        # Sooner each time: a stage may well be quicker than it was when it was timed.
        moment_s = self.chance.random() * self.length_s / 2**self.attempts
        time.sleep(moment_s)
        unsaved_s = self._unsaved_s() if self.stage == "train" else None
        send(signal.SIGSTOP, self.processes())
        while not all(_state(process) in "TZX" for process in self.processes()):
            time.sleep(0.01)
        self.told = {"begun s before": round(moment_s, 2), "unsaved s": unsaved_s}
        return self.is_alive_in_stage()

    def is_alive_in_stage(self) -> bool:
        """Whether there is something to hit."""
        needed = {"flow", "trainer"} if self.stage == "train" else {"flow"}
        return self.has_begun() and not self.is_over() and needed <= set(self.alive())

    def look(self) -> None:
        """Note what lives; called while the run stands, right before something is killed."""
        assert self.is_alive_in_stage()
        self.told |= {
            "stage": self.stage,
            "victim": self.victim,
            "alive": self.alive(),
            "started again": self.attempts,
        }

    def processes(self) -> list[int]:
        """All processes of the run, however deep."""
        wanted = f"PREFECT__FLOW_RUN_ID={self.run}".encode()
        return [pid for pid in self.system.belonging() if wanted in _environment(pid)]

    def trainers(self) -> list[int]:
        """Those of them that train."""
        return sorted(set(self.processes()) & set(self.system.belonging(trainers=True)))

    def alive(self) -> list[str]:
        """What of the run and of what serves it lives."""
        assert self.run is not None
        lives = {
            "flow": self.system.flow(self.run) is not None,
            "trainer": bool(self.trainers()),
            **{name: self.system.process(name).runs() for name in ("server", "worker")},
        }
        return [name for name, there in lives.items() if there]

    def victims(self) -> list[int]:
        """What is to be killed."""
        assert self.run is not None
        flow = self.system.flow(self.run)
        server, worker = (self.system.process(name).pid for name in ("server", "worker"))
        return {
            "flow": [] if flow is None else [flow.pid],
            "trainer": self.trainers(),
            "server": [server],
            "worker": [worker],
            "worker and flows": [worker, *self.system.flows()],
            "all": self.system.belonging(),
        }[self.victim]

    def go_on(self) -> None:
        """Let what was stopped and is still there go on."""
        send(signal.SIGCONT, self.processes())

    def _unsaved_s(self) -> float | None:
        """Seconds of training that no checkpoint holds."""
        with suppress(FileNotFoundError):
            for checkpoint in self.store.glob(f"{DATASET}/models/*/checkpoint/{NAME}"):
                return round(time.time() - checkpoint.stat().st_mtime, 2)
        return None

    def result(self) -> dict[str, Any]:
        """What must be as without any kill: rows, weights, who is current, predictions."""
        if self.stage == "predict":
            return {"rows": pq.read_table(self.store / "out/predictions.parquet").to_pylist()}
        dataset = self.store / DATASET
        tables = [p for p in dataset.iterdir() if p.name.startswith(("sequences", "examples"))]
        return {
            "files": {p.name: sorted(file.sha256 for file in Table(p).files()) for p in tables},
            "weights": {
                path.parent.parent.name: file_sha256(path)
                for path in dataset.glob("models/*/bundle/*.safetensors")
            },
            "models": [(one.event, one.run) for one in Registry(dataset).events()],
        }


def send(number: signal.Signals, processes: Iterable[int]) -> None:
    """Send a signal; those that have ended need none."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)


def _environment(process: int) -> list[bytes]:
    with suppress(OSError):
        return Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return []


def _state(process: int) -> str:
    """A letter, as the kernel has it; X for a process that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    return "X"
