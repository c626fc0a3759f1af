"""A whole comparison on data whose answer is known: only the end of a record tells its class."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.comparison.asked import Asked
from flows.comparison.conduct import conduct
from flows.pipeline_file import Pipeline, build, load
from flows.references import Json
from seqprep.errors import ConfigError
from seqprep.ingest import ingest
from tests.flows.stages import trained

RECORDS = 200


def told_at_the_end(folder: Path, *, shuffled: bool = False, **options: Any) -> Pipeline:
    """Documents of 80 words; the last four of them tell the class, unless labels are shuffled."""
    rng = np.random.default_rng(0)
    for number in range(RECORDS):
        label = ("warm", "cold")[number % 2]
        words = [*rng.choice(["a", "b", "c", "d"], 76), *[f"{label}ly"] * 2, "a", "b"]
        place = ("warm", "cold")[int(rng.integers(2))] if shuffled else label
        path = folder / "in" / place / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(words))
    body: Json = {
        "dataset": "ends",
        "source": {"domain": "text", "path": str(folder / "in")},
        "split": {"by": "hash", "train": 0.5, "validation": 0.3, "test": 0.2},
        "train": {
            "model": {"hidden": 8, "embedding": 8},
            "optimizer": {"lr": 0.01},
            "max_rows": 16,
            "device": "cpu",
        },
    }
    return build({**body, **options})


ASKED = Asked(  # with time enough for as many updates as there can be
    strategies=("truncate-head", "truncate-tail", "sax"), minutes=60, equal="updates", seeds=2
)


def compared(spec: Pipeline, store: Path, asked: Asked = ASKED) -> Json:
    ingest(spec.source, dataset=spec.dataset, store=store)
    return conduct(spec, asked, base=Path("/"), store=store)


@pytest.mark.slow
def test_the_part_that_tells_is_recommended_and_nothing_is_trained_twice(tmp_path: Path) -> None:
    """Would break if strategies were mixed up, scored on test, or run anew each time."""
    spec, store = told_at_the_end(tmp_path), tmp_path / "store"
    done = compared(spec, store)
    rows = {row["strategy"]: row for row in done["rows"]}
    assert set(rows) == {"full", "truncate-head", "truncate-tail"}
    assert rows["truncate-tail"]["score"] > 0.95
    assert abs(rows["truncate-head"]["score"] - 0.5) < 0.2
    assert done["recommended"] in ("truncate-tail", "full")
    assert list(done["refused"]) == ["sax"]
    assert rows["truncate-tail"]["kept_share"] == pytest.approx(0.25)
    assert rows["truncate-tail"]["seeds"] == 2
    page = Path(done["page"])
    table = pq.read_table(page.with_suffix(".parquet"))["strategy"].to_pylist()
    assert table[: len(rows)] == list(rows) and {"majority", "naive_bayes"} <= set(table)
    assert "naive_bayes" in page.read_text()
    assert page.with_suffix(".html").read_text().count("data:image/png") == 2
    best = rows[done["recommended"]]
    assert again_by_its_file(done, tmp_path / "elsewhere") == best["seed_scores"][0]

    runs = sorted(p.stat().st_mtime_ns for p in (store / "ends/studies/runs").glob("*/bundle"))
    again = compared(spec, store)
    assert runs == sorted(
        p.stat().st_mtime_ns for p in (store / "ends/studies/runs").glob("*/bundle")
    )
    assert again["rows"] == done["rows"]
    assert not (store / "ends" / "registry").exists()  # its trainings are no models of the dataset


def again_by_its_file(done: Json, store: Path) -> float:
    """The validation accuracy of the winner's pipeline file, run by itself."""
    run = trained(load(Path(done["winner"])), store)
    found = json.loads((run / "report.json").read_bytes())["metrics"]["validation"]["accuracy"]
    return float(found)


@pytest.mark.slow
def test_an_autoencoder_comes_first_and_its_cost_counts(tmp_path: Path) -> None:
    """Would break if codes lost records, came from test labels, or were free of charge."""
    spec, store = told_at_the_end(tmp_path), tmp_path / "store"
    asked = replace(ASKED, strategies=("autoencoder-codes", "encoder-start"), seeds=1)
    done = compared(spec, store, asked)
    assert not done["failed"] and not done["refused"]
    rows = {row["strategy"]: row for row in done["rows"]}
    assert rows["autoencoder-codes"]["parameters"] > rows["full"]["parameters"]
    runs = store / "ends" / "studies"
    first, second = (
        [json.loads(path.read_bytes()) for path in runs.glob(place)]
        for place in ("codes/*/studies/runs/*/report.json", "runs/*/report.json")
    )
    assert len(first) == 3  # two learning rates, and one in full
    learnt = max(report["train"]["seconds"] for report in first)
    assert rows["autoencoder-codes"]["train_seconds"] > learnt
    assert sum(report["model"]["name"] == "autoencoder" for report in second) == 6
    for split, count in {"validation": 9, "test": 3}.items():  # a search scores no test rows
        tables = [
            pq.read_table(path, columns=["id", "truth"]).sort_by("id")
            for path in sorted(runs.glob(f"**/predictions-{split}.parquet"))
            if "truth" in pq.read_schema(path).names
        ]
        assert len(tables) == count and all(table == tables[0] for table in tables)


@pytest.mark.slow
def test_permuted_labels_give_chance_and_nothing_is_recommended(tmp_path: Path) -> None:
    """Would break if a way saw its labels elsewhere than in training, or luck made a winner."""
    spec, store = told_at_the_end(tmp_path, shuffled=True), tmp_path / "store"
    names = ("truncate-tail", "random-piece-each-epoch", "windows", "attention", "hashing")
    done = compared(spec, store, replace(ASKED, strategies=(*names, "encoder-start")))
    finals = [row for row in done["rows"] if row["in_full"]]
    assert len(finals) == 7
    for row in finals:
        assert row["test_low"] <= 0.5 <= row["test_high"], row["strategy"]
        assert abs(row["score"] - 0.5) < 0.15, row["strategy"]
    assert done["recommended"] is None and done["winner"] is None
    assert done["verdict"].startswith("**No way is clearly better than majority**")


@pytest.mark.slow
def test_a_comparison_that_was_killed_goes_on(tmp_path: Path) -> None:
    """Would break if what was trained before a kill were trained again, or lost."""
    spec, store = told_at_the_end(tmp_path), tmp_path / "store"
    ingest(spec.source, dataset=spec.dataset, store=store)
    script = (
        "from pathlib import Path; from flows.comparison.conduct import conduct\n"
        "from tests.flows.comparison.test_conduct import ASKED, told_at_the_end\n"
        f"conduct(told_at_the_end(Path({str(tmp_path)!r})), ASKED, base=Path('/'), "
        f"store=Path({str(store)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    runs = store / "ends" / "studies" / "runs"
    while len(list(runs.glob("*/trial.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.2)
    os.kill(process.pid, 9)
    process.wait()
    known = {p: p.stat().st_mtime_ns for p in runs.glob("*/trial.json")}
    done = conduct(spec, ASKED, base=Path("/"), store=store)
    assert len(done["rows"]) == 3
    assert {p: p.stat().st_mtime_ns for p in known} == known


def test_a_split_without_validation_is_refused(tmp_path: Path) -> None:
    """Would break if the choice were made on test, or on nothing."""
    split = {"by": "hash", "train": 0.8, "validation": 0.0, "test": 0.2}
    with pytest.raises(ConfigError, match="compare chooses on validation rows"):
        compared(told_at_the_end(tmp_path, split=split), tmp_path / "store")


@pytest.mark.parametrize(
    ("option", "value"), [("minutes", 0.0), ("seeds", 0), ("workers", 0), ("minutes", float("nan"))]
)
def test_what_cannot_be_asked_is_refused(option: str, value: Any) -> None:
    """Would break if a comparison of no time or no seed began."""
    with pytest.raises(ConfigError, match=f"--{option} must be"):
        Asked(**{option: value})
