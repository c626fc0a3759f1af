"""Looks into one folder at once, and looks that are killed at any moment: once each, none lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.seqprep.test_storms import run

COMMON = """
import hashlib, os, random, signal, sys, time
from pathlib import Path
import polars as pl
import torch
from flows.prediction.answers import Predictor
from flows.prediction.inbox import predict_inbox
from seqprep.ingestion import source_chunks
from seqprep.upkeep.verification import verify_dataset
from tests.flows.stages import trained
from tests.flows.training.test_job import pipeline
from tests.forks import child, ends
from tests.sources import write_files
root, rounds = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(1)
source_chunks.CHUNK_FILES = 3
dice = random.Random(0)

def train():
    (root / "bundle").symlink_to(trained(pipeline(root / "model"), root / "store") / "bundle")

assert ends(child(train)) == 0
predictor = Predictor.read((root / "bundle").resolve())

def take():
    predict_inbox(predictor, root / "in", root / "out", settle_s=0)

def drop(number):
    new = {f"{number}-{n}.txt": f"warm words {number} {n}" for n in range(7)}
    write_files(root / "in", {**new, "changing.txt": f"cold round {number}"})

def check(whole):
    rows = pl.read_delta(str(root / "out" / "predictions"))
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
             for path in (root / "in").iterdir()}
    stored = dict(rows.select("source", "source_sha256").rows())
    assert len(rows) == len(stored), "a file twice"
    assert rows["error"].is_null().all()
    stored.pop("changing.txt", None) if not whole else None
    assert stored.items() <= there.items() and (not whole or stored == there)
    assert verify_dataset(root / "out").problems == []
"""
RACE = (
    COMMON
    + """
for number in range(rounds):
    drop(number)
    runs = [child(take) for _ in range(2)]
    write_files(root / "in", {f"{number}-late.txt": "warm and late"})
    assert [ends(run) for run in runs] == [0, 0]
    assert ends(child(take)) == 0
    assert ends(child(lambda: check(True))) == 0
print("done", flush=True)
"""
)
KILLS = (
    COMMON
    + """
longest = 0.0
for number in range(rounds):
    drop(number)
    started = time.monotonic()
    run = child(take)
    if number:
        time.sleep(dice.random() * longest)
        os.kill(run, signal.SIGKILL)
        ends(run)
        assert ends(child(lambda: check(False))) == 0
    else:
        assert ends(run) == 0
        longest = time.monotonic() - started
    if number % 3 == 0:
        assert ends(child(take)) == 0
        assert ends(child(lambda: check(True))) == 0
assert ends(child(take)) == 0
assert ends(child(lambda: check(True))) == 0
print("done", flush=True)
"""
)


@pytest.mark.slow
def test_two_looks_at_once_twenty_times_predict_each_file_once(tmp_path: Path) -> None:
    """A schedule that fires while a person looks would double answers, or lose some."""
    assert run(RACE, tmp_path, 20) == "done"


@pytest.mark.slow
def test_forty_looks_that_are_killed_lose_and_double_nothing(tmp_path: Path) -> None:
    """The one moment between two writes would be met in the end."""
    assert run(KILLS, tmp_path, 40) == "done"
