"""Kill what serves deployments at random moments; the next runs go on by themselves.

Several runs at a time stand in different stages when a part is killed. SEQPREP_KILLS=50 makes so
many trials, SEQPREP_KILL_SEED chooses others, SEQPREP_KILL_LOG names a file that gets one JSON line
a trial.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest
import yaml

from models.training.checkpoint import NAME
from seqprep.snapshot import file_sha256
from seqprep.table import Table
from tests.flows.system import System

pytestmark = pytest.mark.slow

INTERVAL_S = 2.0
"""Between two checkpoints."""
SILENCE_S = 180.0
"""After which no run may stand there as Running: two minutes, and the server's own time."""
WIDTH = 4
"""Runs at a time."""
FEW = ["train.updates=12"]
STAGES: dict[str, tuple[str, dict[str, Any], str | None, float]] = {
    "ingest": ("ingest/default", {}, None, 1.0),
    "prepare": ("prepare/default", {}, "ingest", 1.0),
    "train": ("train/default", {}, "prepare", 8.0),
    "compare": ("train/default", {"settings": FEW}, "model", 1.5),
    "predict": ("predict/default", {}, "model", 1.0),
}
"""Deployment, parameters, the finished stage that it begins with, and the seconds after its begin
within which it is hit."""
VICTIMS = ("all", "worker", "flow", "server", "trainer")
SEED = int(os.environ.get("SEQPREP_KILL_SEED", "0"))
COUNT = int(os.environ.get("SEQPREP_KILLS", str(WIDTH)))


@dataclass
class Trial:
    """One run that is hit, and what became of it."""

    system: System
    stage: str
    victim: str
    store: str
    delay_s: float
    run: UUID | None = None
    polls: int = 0
    started: bool = False
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The run's store."""
        return self.system.root / "stores" / self.store

    @property
    def dataset(self) -> Path:
        """The folder of the one dataset."""
        return self.folder / "sample_text"

    def start(self) -> UUID:
        """Have the stage run, and again."""
        deployment, parameters, before, _ = STAGES[self.stage]
        if before and not self.folder.exists():
            shutil.copytree(self.folder.with_name(before), self.folder)
        where = {"store": str(self.folder.relative_to(self.system.root))}
        if self.stage == "predict":
            paths = {"inputs": ["many"], "out": f"{where['store']}/out/predictions.parquet"}
            return self.system.start(deployment, bundle="sample_text@current", **paths, **where)
        return self.system.start(deployment, file="many.yaml", **parameters, **where)

    def has_begun(self) -> bool:
        """Whether the stage has."""
        if self.stage == "predict":
            return any((self.folder / "out").glob(".*.tmp"))
        if self.stage == "ingest":
            return self.dataset.exists()
        if self.stage == "prepare":
            return any(self.dataset.glob("examples-*"))
        if self.stage == "train":
            return any(self.dataset.glob(f"models/*/checkpoint/{NAME}"))
        return len(list(self.dataset.glob("models/*/report.json"))) == 2  # with the present one

    def has_started(self) -> bool:
        """Whether the run has a process, or had one."""
        assert self.run is not None
        self.started = (
            self.started
            or self.has_begun()
            or self.system.flow(self.run) is not None
            or self.system.state(self.run).is_final()
        )
        return self.started

    def has_ended(self) -> bool:
        """Whether the run has; asked for seldom."""
        assert self.run is not None
        self.polls += 1
        return self.polls % 40 == 0 and self.system.state(self.run).is_final()

    def result(self) -> dict[str, Any]:
        """What must be as without any kill: rows, weights, predictions."""
        if self.stage == "predict":
            return {"rows": pq.read_table(self.folder / "out/predictions.parquet").to_pylist()}
        tables = [p for p in self.dataset.iterdir() if p.name.startswith(("seq", "examples"))]
        return {
            "files": {p.name: sorted(file.sha256 for file in Table(p).files()) for p in tables},
            "weights": {
                path.parent.parent.name: file_sha256(path)
                for path in self.dataset.glob("models/*/bundle/*.safetensors")
            },
        }

    def unsaved_s(self) -> float | None:
        """Seconds of training that no checkpoint holds."""
        files = list(self.dataset.glob(f"models/*/checkpoint/{NAME}"))
        begun = [path for path in files if not (path.parent.parent / "report.json").exists()]
        return time.time() - begun[0].stat().st_mtime if begun else None

    def look(self) -> None:
        """Note where the run stands."""
        assert self.run is not None
        self.told |= {
            "stage": self.stage,
            "victim": self.victim,
            "hit": self.system.flow(self.run) is not None,
            "begun": self.has_begun(),
            "unsaved s": self.unsaved_s() if self.stage == "train" else None,
        }

    def hit(self) -> None:
        """Kill what is this trial's own, or what serves them all."""
        flow = self.system.flow(self.run) if self.run else None
        own = [flow.pid] if flow else []
        pids = {
            "flow": own,
            "trainer": [pid for pid in self.system.belonging(trainers=True) if self._trains(pid)],
            "server": [self.system.process("server").pid],
            "worker": [self.system.process("worker").pid, *self.system.flows()],
            "all": self.system.belonging(),
        }[self.victim]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _trains(self, pid: int) -> bool:
        with suppress(OSError):
            return f"/{self.store}/" in Path(f"/proc/{pid}/cmdline").read_text()
        return False


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A served system, with undisturbed results of each stage in `stores`."""
    system = System(tmp_path_factory.mktemp("kills"), more={"RUNS": "8"})
    for path in sorted((system.root / "data/text").rglob("*.txt")):
        for copy in range(3):
            target = system.root / "many" / path.parent.name / f"{path.stem}-{copy}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(f"{path.read_text()} copy {copy}\n")
    body = yaml.safe_load((system.root / "data/text.yaml").read_text())
    body["source"]["path"] = "many"
    body["train"] |= {"updates": 300, "checkpoint_minutes": INTERVAL_S / 60}
    (system.root / "many.yaml").write_text(yaml.safe_dump(body))
    with system:
        for stage in ("ingest", "prepare", "train", "compare", "predict"):
            if stage == "compare":  # with a model that it is compared with
                _whole(system, "train", "model", settings=["train.seed=1", *FEW])
            _whole(system, stage, stage)
        yield system


def _whole(system: System, stage: str, store: str, **more: Any) -> None:
    trial = Trial(system=system, stage=stage, victim="", store=store, delay_s=0)
    if more:
        shutil.copytree(trial.folder.with_name("prepare"), trial.folder)
        where = str(trial.folder.relative_to(system.root))
        run = system.start("train/default", file="many.yaml", store=where, **more)
    else:
        run = trial.start()
    end = system.wait(run, within_s=600)
    assert end.name == "Completed", end.message


@pytest.mark.parametrize("batch", range(-(-COUNT // WIDTH)))
def test_the_next_runs_go_on_by_themselves(system: System, batch: int) -> None:
    """Would break if a kill left a lock, a run for ever Running, an orphan, or other data."""
    chance = random.Random(f"{SEED} {batch}")
    victim = VICTIMS[(batch + SEED) % len(VICTIMS)]
    stages = ["train"] * WIDTH if victim == "trainer" else chance.sample([*STAGES, *STAGES], WIDTH)
    trials = [
        Trial(
            system=system,
            stage=stage,
            victim=victim,
            store=f"hit-{SEED}-{batch}-{number}",
            delay_s=chance.random() * STAGES[stage][3],
        )
        for number, stage in enumerate(stages)
    ]
    struck = _disturb(system, trials, chance.choice(trials))
    if victim in ("worker", "server", "all"):
        system.up()
    again = [trial.start() for trial in trials]
    for trial, run in zip(trials, again, strict=True):
        _observe(trial, run, struck)
    limit_s = time.monotonic() + 90  # the longest update, and a lease
    while (system.belonging(trainers=True) or _taken(system)) and time.monotonic() < limit_s:
        time.sleep(1)
    assert not system.belonging(trainers=True), "a training outlived its run"
    assert not _taken(system), "a slot is held by nobody"
    if path := os.environ.get("SEQPREP_KILL_LOG"):
        with Path(path).open("a") as file:
            file.writelines(json.dumps(trial.told) + "\n" for trial in trials)
    for trial in trials:
        _check(trial)


def _disturb(system: System, trials: list[Trial], leader: Trial) -> dict[str, datetime]:
    """Start the runs and hit each in its stage, or all at once when the leader is in its stage."""
    shared = leader.victim in ("worker", "server", "all")
    times: dict[str, datetime] = {}
    looking = threading.Lock()

    def one(trial: Trial) -> None:
        while not trial.has_begun() and not trial.has_ended():
            time.sleep(0.05)
        while shared and not all(other.has_started() for other in trials):
            time.sleep(0.5)
        time.sleep(trial.delay_s)
        struck = trials if shared else [trial]
        with looking:
            for other in struck:
                other.look()
            trial.hit()
            times.update({other.store: datetime.now(UTC) for other in struck})

    for trial in trials:
        trial.run = trial.start()
    with ThreadPoolExecutor(len(trials)) as pool:
        list(pool.map(one, [leader] if shared else trials))
    return times


def _observe(trial: Trial, again: UUID, struck: dict[str, datetime]) -> None:
    """Wait for the end of both runs and note what there is to be told."""
    assert trial.run is not None
    system, hit = trial.system, struck[trial.store]
    end = system.wait(again, within_s=600)
    first = system.wait(trial.run, within_s=SILENCE_S)
    trial.told |= {
        "first run": first.name,
        "next run": end.name,
        "stood for s": round((first.timestamp - hit).total_seconds(), 1),
        "recovered after s": round((end.timestamp - hit).total_seconds(), 1),
        "message": end.message if end.name != "Completed" else "",
    }


def _taken(system: System) -> list[str]:
    with system.client() as client:
        limits = client.read_global_concurrency_limits(limit=200, offset=0)
    return [limit.name for limit in limits if limit.active_slots]


def _check(trial: Trial) -> None:
    told = trial.told
    assert told["next run"] == "Completed", told
    whole = Trial(system=trial.system, stage=trial.stage, victim="", store=trial.stage, delay_s=0)
    assert trial.result() == whole.result(), told
    assert told["stood for s"] <= SILENCE_S or told["first run"] == "Completed", told
    if told["unsaved s"] is not None:
        assert told["unsaved s"] < INTERVAL_S + 10, "more than a checkpoint's interval was lost"
