"""The whole study at a fraction of its size, killed on the way and taken up again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.optimizer_study.asked import Asked
from flows.optimizer_study.conduct import conduct
from flows.optimizer_study.page import IMAGES
from flows.optimizer_study.print import print_study
from flows.pipeline_file import Pipeline, load
from seqprep.ingest import ingest
from tests.conftest import ROOT

ASKED = Asked(
    optimizers=("adam",), clips=("none", "0.1"), schedules=("none", "10-1"), full=40, seeds=2
)


def small_study() -> Pipeline:
    """Series of 500 steps and a small model."""
    settings = ["source.generator.steps=628", "train.model.hidden=8"]
    return load(ROOT / "data/study.yaml", overrides=settings)


def trials(store: Path) -> dict[Path, int]:
    """Trainings that are done, and when."""
    runs = store / "study/studies/runs"
    return {path: path.stat().st_mtime_ns for path in runs.glob("*/trial.json")}


def kill_after_two_trainings(store: Path) -> None:
    script = (
        "from pathlib import Path; from flows.optimizer_study.conduct import conduct\n"
        "from tests.flows.optimizer_study.test_conduct import ASKED, small_study\n"
        f"conduct(small_study(), ASKED, base=Path('/'), store=Path({str(store)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    while len(trials(store)) < 2:
        assert process.poll() is None
        time.sleep(0.2)
    os.kill(process.pid, 9)
    process.wait()


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on_to_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would break if trainings were lost or run twice, variants mixed up, or the page left out."""
    spec, store = small_study(), tmp_path / "store"
    ingest(spec.source, dataset=spec.dataset, store=store)
    kill_after_two_trainings(store)
    known = trials(store)
    done = conduct(spec, ASKED, base=Path("/"), store=store)
    assert {path: trials(store)[path] for path in known} == known
    assert len(trials(store)) == done["plan"]["trainings"] == 8

    rows = {row["variant"]: row for row in done["rows"]}
    clipped, both = rows["adam + clip 0.1"], rows["adam + clip 0.1 + 10-1"]
    assert set(rows) == {"adam", "adam + clip 0.1", "adam + 10-1", "adam + clip 0.1 + 10-1"}
    assert {(row["updates"], row["seeds"]) for row in rows.values()} == {(40, 2)}
    assert (rows["adam"]["clipped_share"], rows["adam"]["segments"]) == (0, ())
    assert clipped["clipped_share"] > 0.5 and both["segments"] == (10,)
    assert both["steps"] < clipped["steps"] == rows["adam"]["steps"]
    assert all(row["low"] <= row["test"] <= row["high"] for row in rows.values())
    assert [pair["of"] for pair in done["pairs"]] == ["early training", "lowest validation"] * 2
    assert [row["name"] for row in done["baselines"]][-1] == "mean"

    page = Path(done["page"])
    assert all(text in page.read_text() for text in done["findings"])
    assert len(done["findings"]) == 4 and "10-1 got to 10" in done["findings"][-1]
    assert Path(done["html"]).read_text().count("data:image/png") == len(IMAGES)
    table = pq.read_table(page.with_name("variants.parquet"))
    assert table["variant"].to_pylist() == list(rows)
    print_study(done)
    printed = capsys.readouterr().out
    assert all(name in printed for name in rows) and done["html"] in printed
    again = conduct(spec, ASKED, base=Path("/"), store=store)
    assert again["rows"] == done["rows"] and again["plan"] == done["plan"]
