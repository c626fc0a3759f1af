"""Copy and reverse, learnt by a whole pipeline and scored on sequences that were never seen."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from flows.pipeline_file import build
from flows.training.job import write_job
from models.job import read_job
from models.train import train
from tests.flows.stages import ingest_and_prepare

LETTERS = "abcdefgh"


def write_table(path: Path, *, rows: int) -> None:
    """Random words of 3 to 8 letters, each once, with itself and with itself from the end."""
    rng = np.random.default_rng(0)
    words: dict[str, None] = {}
    while len(words) < rows:
        words["".join(rng.choice(list(LETTERS), rng.integers(3, 9)))] = None
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["word", "copy", "reverse"])
        writer.writerows([word, word, word[::-1]] for word in words)


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["copy", "reverse"])
def test_sequences_never_seen_are_copied_and_reversed(answer: str, tmp_path: Path) -> None:
    """Attention that found its place by heart would answer only what it trained on."""
    write_table(tmp_path / "words.csv", rows=3000)
    letters = {"unit": "character"}
    source = {
        "domain": "text",
        "path": str(tmp_path / "words.csv"),
        "text_column": "word",
        "task": "translate",
        "target": {"from": "column", "column": answer},
    }
    model = {"name": "encoder_decoder", "hidden": 48, "dropout": 0.0, "max_target": 2.0}
    spec = build(
        {
            "dataset": answer,
            "source": source,
            "prepare": {"tokens": letters, "target_tokens": letters, "buckets": 2},
            "train": {
                "model": model,
                "optimizer": {"lr": 0.005},
                "max_rows": 32,
                "epochs": 20,
                "threads": 1,
            },
        }
    )
    job, _ = write_job(spec, asdict(ingest_and_prepare(spec, tmp_path)), store=tmp_path)
    report = json.loads(train(read_job(job)).read_bytes())
    test = report["metrics"]["test"]
    assert test["records"] > 200
    assert test["token_accuracy"] > 0.99
    assert test["exact_match"] > 0.95
