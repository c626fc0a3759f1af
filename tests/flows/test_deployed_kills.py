"""Kill what serves deployments while runs are in their stages; the next runs go on by themselves.

Each round hits eleven runs, each alive and in the midst of its stage: one of every stage by what
serves them all, then each flow by itself, and a trainer. SEQPREP_KILL_ROUNDS makes more rounds,
SEQPREP_KILL_SEED chooses other moments and the victim that is first, SEQPREP_KILL_LOG names a file
that gets one JSON line a run, SEQPREP_KILL_ROOT a folder that keeps the undisturbed results for the
next call.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from tests.flows.killed import STAGES, Trial, send
from tests.flows.system import System

pytestmark = pytest.mark.slow

INTERVAL_S = 2.0
"""Between two checkpoints."""
SILENCE_S = 180.0
"""After which no run may stand there as Running: two minutes, and the server's own time."""
COPIES = 30
"""Of each document: a stage shall last for seconds."""
SHARED = ("all", "worker and flows", "server", "worker")
SEED = int(os.environ.get("SEQPREP_KILL_SEED", "0"))
ROUNDS = int(os.environ.get("SEQPREP_KILL_ROUNDS", "1"))


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A served system, with undisturbed results of each stage in `stores`."""
    kept = os.environ.get("SEQPREP_KILL_ROOT")
    root = Path(kept) if kept else tmp_path_factory.mktemp("kills")
    root.mkdir(exist_ok=True)
    system = System(root, more={"RUNS": "12"})
    if not (root / "many.yaml").exists():
        _write_source(root)
    with system:
        if not (root / "lengths.json").exists():
            _run_undisturbed(system)
        yield system
        send(signal.SIGCONT, system.belonging())  # where a test failed while runs were stopped


def _write_source(root: Path) -> None:
    for path in sorted((root / "data/text").rglob("*.txt")):
        folder = root / "many" / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(COPIES):
            (folder / f"{path.stem}-{copy}.txt").write_text(f"{path.read_text()} copy {copy}\n")
    body = yaml.safe_load((root / "data/text.yaml").read_text())
    body["source"]["path"] = "many"
    body["train"] |= {"updates": 400, "checkpoint_minutes": INTERVAL_S / 60}
    (root / "many.yaml").write_text(yaml.safe_dump(body))
    deployed = yaml.safe_load((root / "prefect.yaml").read_text())
    for deployment in deployed["deployments"]:
        deployment.pop("triggers", None)  # a stage shall be followed by no other
    (root / "prefect.yaml").write_text(yaml.safe_dump(deployed))


def _run_undisturbed(system: System) -> None:
    """Each stage once, and how many seconds it lasts."""
    lengths = {stage: _length_s(system, stage) for stage in ("ingest", "prepare", "train")}
    store = system.root / "stores" / "model"  # what a better one takes the place of
    shutil.copytree(store.with_name("prepare"), store)
    where = {"file": "many.yaml", "store": str(store.relative_to(system.root))}
    end = system.wait(system.start("train/default", settings=["train.updates=2"], **where))
    assert end.name == "Completed", end.message
    lengths |= {stage: _length_s(system, stage) for stage in ("compare", "predict")}
    (system.root / "lengths.json").write_text(json.dumps(lengths))


def _length_s(system: System, stage: str) -> float:
    trial = Trial(system=system, stage=stage, victim="", name=stage)
    run = trial.start()
    trial.wait(trial.has_begun)
    begun_s = time.monotonic()
    trial.wait(trial.is_over)
    length_s = time.monotonic() - begun_s
    end = system.wait(run, within_s=600)
    assert end.name == "Completed", end.message
    return length_s


@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_next_runs_go_on_by_themselves(system: System, number: int) -> None:
    """Would break if a kill left a lock, a run for ever Running, an orphan, or other data."""
    victim = SHARED[(SEED + number) % len(SHARED)]
    together = [_trial(system, number, victim, stage) for stage in STAGES]
    alone = [_trial(system, number, "flow", stage) for stage in STAGES]
    alone.append(_trial(system, number, "trainer", "train"))
    hits = _hit_together(together)
    system.up()
    again = {one.name: one.start() for one in together}
    hits |= _hit_alone(alone)  # while the runs that were killed stand there as Running
    again |= {one.name: one.start() for one in alone}
    trials = [*together, *alone]
    for one in trials:
        _observe(one, again[one.name], hits[one.name])
    if path := os.environ.get("SEQPREP_KILL_LOG"):
        with Path(path).open("a") as file:
            file.writelines(json.dumps(one.told) + "\n" for one in trials)
    _check_nothing_is_left(system)
    for one in trials:
        _check(one)


def _trial(system: System, number: int, victim: str, stage: str) -> Trial:
    lengths = json.loads((system.root / "lengths.json").read_text())
    name = f"hit-{SEED}-{number}-{victim.replace(' ', '-')}-{stage}"
    chance = random.Random(name)
    return Trial(
        system=system,
        stage=stage,
        victim=victim,
        name=name,
        length_s=lengths[stage],
        chance=chance,
    )


def _hit_together(trials: list[Trial]) -> dict[str, datetime]:
    """When all stand in their stages, kill what serves them all; when that was."""
    with ThreadPoolExecutor(len(trials)) as pool:
        list(pool.map(Trial.stand, trials))
    for trial in trials:
        trial.look()
    send(signal.SIGKILL, trials[0].victims())
    struck = datetime.now(UTC)
    for trial in trials:
        trial.go_on()
    return {trial.name: struck for trial in trials}


def _hit_alone(trials: list[Trial]) -> dict[str, datetime]:
    """Kill what is each one's own, in its stage; when that was."""

    def one(trial: Trial) -> tuple[str, datetime]:
        trial.stand()
        trial.look()
        send(signal.SIGKILL, trial.victims())
        struck = datetime.now(UTC)
        trial.go_on()
        return trial.name, struck

    with ThreadPoolExecutor(len(trials)) as pool:
        return dict(pool.map(one, trials))


def _observe(trial: Trial, again: UUID, hit: datetime) -> None:
    """Wait for the end of both runs and note what there is to be told."""
    assert trial.run is not None
    end = trial.system.wait(again, within_s=600)
    first = trial.system.wait(trial.run, within_s=2 * SILENCE_S)
    trial.told |= {
        "seed": SEED,
        "first run": first.name,
        "next run": end.name,
        "stood for s": round((first.timestamp - hit).total_seconds(), 1),
        "recovered after s": round((end.timestamp - hit).total_seconds(), 1),
        "message": end.message if end.name != "Completed" else "",
    }


def _check_nothing_is_left(system: System) -> None:
    limit_s = time.monotonic() + 90  # the longest update, and a lease
    while (system.belonging(trainers=True) or _taken(system)) and time.monotonic() < limit_s:
        time.sleep(1)
    assert not system.belonging(trainers=True), "a training outlived its run"
    assert not _taken(system), "a slot is held by nobody"


def _taken(system: System) -> list[str]:
    with system.client() as client:
        limits = client.read_global_concurrency_limits(limit=200, offset=0)
    return [limit.name for limit in limits if limit.active_slots]


def _check(trial: Trial) -> None:
    told = trial.told
    assert told["next run"] == "Completed", told
    whole = Trial(system=trial.system, stage=trial.stage, victim="", name=trial.stage)
    assert trial.result() == whole.result(), told
    assert told["stood for s"] <= SILENCE_S or told["first run"] == "Completed", told
    if told["unsaved s"] is not None:
        assert told["unsaved s"] < INTERVAL_S + 10, "more than a checkpoint's interval was lost"
