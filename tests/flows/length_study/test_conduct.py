"""Whole length studies on data whose answer is known: a symbol so many steps before the end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.length_study.asked import AskedLengths
from flows.length_study.conduct import conduct
from flows.pipeline_file import Pipeline, build
from flows.references import Json
from seqprep.errors import ConfigError
from seqprep.ingest import ingest

STEPS = 64
RUNGS = (4, 8, 16, 32, 64)
ASKED = AskedLengths(rungs=RUNGS, minutes=10, seeds=2)


def told_at_lag(folder: Path, lag: int, *, records: int = 600) -> Pipeline:
    """Documents of 64 words; the class is the colour that has `lag` words behind it.

    Another colour, of either kind, stands somewhere before it, so that a model must tell which of
    them is the last.
    """
    rng = np.random.default_rng(lag)
    for number in range(records):
        label = ("red", "blue")[number % 2]
        words = rng.choice(["a", "b", "c", "d"], STEPS).astype("<U4")
        words[STEPS - 1 - lag] = label
        words[rng.integers(0, STEPS - 1 - lag)] = rng.choice(["red", "blue"])
        path = folder / "in" / label / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(" ".join(words))
    body: Json = {
        "dataset": f"lag{lag}",
        "source": {"domain": "text", "path": str(folder / "in")},
        "split": {"by": "hash", "train": 0.6, "validation": 0.25, "test": 0.15},
        "train": {
            "model": {"hidden": 16, "embedding": 8, "bidirectional": False, "pooling": ["last"]},
            "optimizer": {"lr": 0.02},
            "max_rows": 32,
            "device": "cpu",
        },
    }
    return build(body)


def studied(spec: Pipeline, store: Path, asked: AskedLengths = ASKED) -> Json:
    ingest(spec.source, dataset=spec.dataset, store=store)
    return conduct(spec, asked, base=Path("/"), store=store)


@pytest.mark.slow
@pytest.mark.parametrize("lag", [5, 20])
def test_the_study_finds_a_known_lag_within_one_rung(tmp_path: Path, lag: int) -> None:
    """Would break if the wrong end were cut, lengths were mixed up, or test rows decided."""
    spec, store = told_at_lag(tmp_path, lag), tmp_path / "store"
    done = studied(spec, store)
    known = next(place for place, rung in enumerate(RUNGS) if rung > lag)
    assert abs(RUNGS.index(done["named"]) - known) <= 1, done["verdict"]
    rows = {row["steps"]: row for row in done["rows"]}
    assert list(rows) == list(RUNGS)
    assert all(rows[rung]["score"] < 0.65 for rung in RUNGS[:known])
    assert rows[RUNGS[known]]["score"] > 0.95
    assert [row["row_steps"] for row in done["rows"]] == pytest.approx(RUNGS, rel=0.01)
    updates = [row["updates"] for row in done["rows"]]
    assert max(updates) <= 1.1 * min(updates)
    assert done["exponent"]["points"] == len(RUNGS)
    page = Path(done["page"])
    assert pq.read_table(page.with_suffix(".parquet"))["steps"].to_pylist() == list(RUNGS)
    assert done["verdict"] in page.read_text()
    assert page.with_suffix(".html").read_text().count("data:image/png") == 3
    assert not (store / spec.dataset / "registry").exists()  # no models of the dataset


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on_and_trains_nothing_twice(tmp_path: Path) -> None:
    """Would break if what was trained before a kill were trained again, or lost."""
    spec, store = told_at_lag(tmp_path, 5), tmp_path / "store"
    ingest(spec.source, dataset=spec.dataset, store=store)
    script = (
        "from pathlib import Path; from flows.length_study.conduct import conduct\n"
        "from tests.flows.length_study.test_conduct import SHORT, told_at_lag\n"
        f"conduct(told_at_lag(Path({str(tmp_path)!r}), 5), SHORT, base=Path('/'), "
        f"store=Path({str(store)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    runs = store / spec.dataset / "studies" / "runs"
    while len(list(runs.glob("*/trial.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.2)
    os.kill(process.pid, 9)
    process.wait()
    known = {path: path.stat().st_mtime_ns for path in runs.glob("*/trial.json")}
    done = conduct(spec, SHORT, base=Path("/"), store=store)
    assert len(done["rows"]) == len(SHORT.rungs)
    assert {path: path.stat().st_mtime_ns for path in known} == known


SHORT = AskedLengths(rungs=(4, 8), minutes=2, seeds=2)


def test_a_length_that_cuts_nothing_is_refused(tmp_path: Path) -> None:
    """Would break if whole records were trained twice, under two names."""
    why = r"--rungs: 65 steps are more than the longest record has \(64\).*name 64 for whole"
    spec = told_at_lag(tmp_path, 5, records=40)
    with pytest.raises(ConfigError, match=why):
        studied(spec, tmp_path / "store", AskedLengths(rungs=(8, 65)))
