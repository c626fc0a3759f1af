"""A short training run on each public dataset beats always answering the most frequent class."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from flows.pipeline_file import Pipeline, load
from flows.training.job import write_job
from models.job import read_job
from models.train import train
from tests.conftest import ROOT
from tests.flows.stages import ingest_and_prepare

SHORT = {
    "movie_reviews": (
        "text_movie_reviews",
        ["prepare.steps=[{summarize: {drop_top: 50, min_count: 8}}, {truncate: {length: 300}}]"],
        300,
    ),
    "cpat": (
        "dna_cpat_coding_noncoding",
        ["prepare.steps=[{truncate: {length: 900, keep: head}}]", "predict.views=0"],
        60,
    ),
    "bonn": ("eeg_bonn", [], 60),
    "bonn_spectrum": ("eeg_bonn", [], 60),
    "muse": ("eeg_muse_mental_state", [], 60),
}


def run(spec: Pipeline, store: Path) -> dict[str, float]:
    """Test scores of a whole pipeline by plain functions."""
    job, _ = write_job(spec, asdict(ingest_and_prepare(spec, store)), store=store)
    report = json.loads(train(read_job(job)).read_bytes())
    scores: dict[str, float] = report["metrics"]["test"]
    return scores


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(SHORT))
def test_a_short_run_beats_the_majority(name: str, datasets: Path, tmp_path: Path) -> None:
    """Would break if labels, splits or steps lost their connection on the way to the model."""
    folder, settings, updates = SHORT[name]
    spec = load(
        ROOT / "data" / "real" / f"{name}.yaml",
        overrides=[
            f"source.path={datasets / folder}",
            "train.epochs=null",
            f"train.updates={updates}",
            "train.threads=1",
            *settings,
        ],
    )
    scores = run(spec, tmp_path)
    error = (scores["majority"] * (1 - scores["majority"]) / scores["records"]) ** 0.5
    assert scores["accuracy"] > scores["majority"] + 2 * error
