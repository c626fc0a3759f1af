"""The reference study runs from its pipeline file, both corners of it with the same updates."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.pipeline_file import Pipeline, load
from flows.training.job import write_job
from models.job import read_job
from models.train import train
from seqprep.schema import SPLITS
from seqprep.snapshot import Snapshot
from tests.conftest import ROOT
from tests.flows.stages import ingest_and_prepare

STUDY = ROOT / "data" / "study.yaml"
PLAIN = [
    "train.optimizer.name=sgd",
    "train.optimizer.clip_norm=null",
    "train.backpropagation={mode: full}",
]
"""What makes plain SGD on whole sequences of the file, as it says itself."""
SHORT = ["source.generator.steps=2128", "train.updates=60"]


def report_of(spec: Pipeline, *, store: Path) -> dict[str, Any]:
    """What the training of a whole pipeline reports."""
    job, _ = write_job(spec, asdict(ingest_and_prepare(spec, store)), store=store)
    report: dict[str, Any] = json.loads(train(read_job(job)).read_bytes())
    return report


@pytest.mark.slow
def test_adam_with_clipping_and_the_schedule_beats_plain_sgd_on_whole_series(
    tmp_path: Path,
) -> None:
    """The study's own finding at a fraction of its size; either corner that breaks turns it."""
    corners = {"schedule": SHORT, "plain": [*SHORT, *PLAIN]}
    loss = {}
    for name, settings in corners.items():
        report = report_of(load(STUDY, overrides=settings), store=tmp_path)
        assert report["train"]["updates"] == 60
        loss[name] = report["metrics"]["test"]["loss"]
    assert loss["schedule"] < 0.8 * loss["plain"]


def test_twelve_series_train_one_validates_and_three_test(tmp_path: Path) -> None:
    """A test series that trained, or chose the epoch, would make the study a recitation."""
    spec = load(STUDY, overrides=["source.generator.steps=428"])
    snapshot = Snapshot.read(Path(ingest_and_prepare(spec, tmp_path).snapshot))
    found = {
        split: [
            name
            for shard in snapshot.of(split)
            for name in pq.read_table(snapshot.root / shard.path)["id"].to_pylist()
        ]
        for split in SPLITS
    }
    assert sorted(found["train"]) == [f"train/{number:02d}.series#0" for number in range(12)]
    assert found["validation"] == ["train/12.series#0"]
    assert sorted(found["test"]) == [f"test/{number:02d}.series#0" for number in range(3)]


def test_the_file_is_the_reference_case() -> None:
    """Another rate, noise or patience would be compared with figures that it did not make."""
    spec = load(STUDY)
    series = spec.source.generator
    assert (series.steps, series.noise, series.discount) == (20_000, 0.01, 0.9)
    assert series.differences == 128
    model, optimizer = spec.train.model, spec.train.optimizer
    assert (model.hidden, model.layers, model.noise, model.head) == (64, 2, 0.1, (64,))
    assert (optimizer.name, optimizer.lr, optimizer.clip_norm) == ("adam", 0.01, 1.0)
    assert (optimizer.schedule, optimizer.weight_decay) == ("constant", 0.0)
    way = spec.train.backpropagation
    assert (way.schedule, way.patience) == ((100, 50, 10, 2, 1), 20)
