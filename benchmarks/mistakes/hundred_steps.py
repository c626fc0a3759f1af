"""Mistake 14: segments of 100 steps where 100 segments are meant."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.mistakes.apart import cost_apart, settle
from benchmarks.mistakes.figures import Figure, plain
from benchmarks.mistakes.real import ROOT
from flows.pipeline_file import base, load
from models.job import Job
from models.train import train
from seqprep.ingest import ingest
from seqprep.prepare import prepare

WAYS = {"wrong": "{mode: segments, k1: 100}", "right": "{mode: segments, schedule: [100]}"}
LENGTHS = (2_000, 20_000)


def cost(way: str, steps: int) -> dict[str, float]:
    """One epoch over two series of the reference task: updates, seconds, megabytes."""
    settle()
    file = ROOT / "data/study.yaml"
    settings = (
        "source.generator.series=3",
        "source.generator.test_series=1",
        f"source.generator.steps={steps}",
        "split.pattern=(train/02|test)",
        'split.validation=["train/02"]',
        f"train.backpropagation={WAYS[way]}",
        "train.updates=null",
        "train.epochs=1",
    )
    spec = load(file, overrides=settings)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        store = Path(folder)
        ingest(spec.source, dataset="study", store=store, base=base(file))
        done = prepare(
            dataset="study",
            store=store,
            domain=spec.source.domain,
            task=spec.source.task,
            split=spec.split,
            recipe=spec.prepare,
        )
        job = Job(snapshot=str(done.snapshot), out=str(store / "out"), train=spec.train)
        start = time.process_time()
        report = json.loads(train(job).read_bytes())
        seconds = time.process_time() - start
    told = report["train"]
    return {
        "updates": told["updates"],
        "seconds": seconds,
        "mb": told["memory_bytes"] / 2**20,
    }


def measure() -> list[Figure]:
    """What one epoch is, for short series and for long ones."""
    found = []
    for steps in LENGTHS:
        wrong, right = (cost_apart("hundred_steps", way, str(steps)) for way in WAYS)
        task = f"an epoch of two series of {steps:,} steps"
        found.append(plain(f"updates in {task}", wrong["updates"], right["updates"]))
        found.append(plain(f"MB of memory, {task}", wrong["mb"], right["mb"]))
        found.append(
            plain(f"CPU seconds, {task}, scoring included", wrong["seconds"], right["seconds"])
        )
    return found


if __name__ == "__main__":
    print(json.dumps(cost(sys.argv[1], int(sys.argv[2]))))
