"""A short training on a part of the public text and DNA foretells better than a table of pairs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from flows.pipeline_file import load
from flows.training.job import write_job
from models.job import read_job
from models.train import train
from tests.conftest import ROOT
from tests.flows.stages import ingest_and_prepare

SHORT = {
    "bbc_next": ("text_bbc_news", "business/*.txt", 600, 0.85),
    "cpat_next": ("dna_cpat_coding_noncoding", "*noncoding*", 500, 0.99),
}
"""Folder, files, updates, and the largest share of the table's perplexity."""


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SHORT))
def test_next_symbols_are_foretold_better_than_by_pairs(
    name: str, datasets: Path, tmp_path: Path
) -> None:
    """A model that sees no further back than one symbol can not beat the table of pairs."""
    folder, include, updates, share = SHORT[name]
    spec = load(
        ROOT / "data" / "real" / f"{name}.yaml",
        overrides=[
            f"source.path={datasets / folder}",
            f"source.include={include!r}",
            f"train.updates={updates}",
        ],
    )
    job, _ = write_job(spec, asdict(ingest_and_prepare(spec, tmp_path)), store=tmp_path)
    report = json.loads(train(read_job(job)).read_bytes())
    found = report["metrics"]["test"]["perplexity"]
    assert found < share * report["baselines"]["test"]["bigram"]["perplexity"]
