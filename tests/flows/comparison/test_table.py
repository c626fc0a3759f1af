"""The lines of the table: baselines of whole records, and figures that are nought."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from flows.comparison.table import baselines_of, cheap_cells
from flows.comparison.written import of_whole_records, placed
from flows.pipeline_file import build
from tests.flows.comparison.test_verdict import standing


def test_a_baseline_that_gets_no_test_record_right_has_its_interval(tmp_path: Path) -> None:
    """Would break if a comparison ended in an error after its last training."""
    figures = {
        "validation": {"length": {"accuracy": 0.25, "records": 8}},
        "test": {"length": {"accuracy": 0.0, "records": 4}},
    }
    (tmp_path / "report.json").write_text(json.dumps({"baselines": figures}))
    (row,) = baselines_of(tmp_path, "classify")
    assert row.test_interval is not None and row.test_interval[0] == 0.0 < row.test_interval[1]
    assert cheap_cells(row)[3:5] == ["0.000", "0.000 to 0.490"]


def test_baselines_are_of_whole_records_whoever_wins() -> None:
    """Would break if naive Bayes read what the winner left of the records."""
    standings = [standing("windows", 0.8, place=0), standing("full", 0.6, place=1)]
    assert of_whole_records(standings).entry.name == "full"
    assert of_whole_records(standings[:1]).entry.name == "windows"


def test_baselines_are_those_of_a_training_that_has_some() -> None:
    """Would break if whole records had no time in full: a search scores no baselines."""
    full = replace(standing("full", 0.6, place=0), is_final=False)
    assert of_whole_records([full, standing("windows", 0.8, place=1)]).entry.name == "windows"
    rows = {"windows": "cut", "exact": "whole", "full": "whole"}
    standings = [standing("windows", 0.8, place=1), standing("exact", 0.7, place=2), full]
    standings = [
        replace(one, entry=replace(one.entry, prepared={"snapshot": rows[one.entry.name]}))
        for one in standings
    ]
    assert of_whole_records(standings).entry.name == "exact"


def test_paths_of_the_recommended_file_hang_on_no_folder(tmp_path: Path) -> None:
    """Would break if the file only ran where the person's own lies, or bands of a step ended it."""
    steps = [{"band_power": {"bands": {"alpha": [8, 13]}, "window_s": 1.0, "stride_s": 1.0}}]
    source = {"domain": "eeg", "path": "in", "rate_hz": 100.0}
    spec = build({"dataset": "d", "source": source, "prepare": {"steps": steps}})
    assert placed(spec, tmp_path).source.path == str(tmp_path / "in")
    assert placed(spec, tmp_path).prepare.steps == spec.prepare.steps
    source = {"domain": "text", "path": "in"}
    steps = [{"idf": {"reference": "other.parquet", "tau": 1.0}}]
    spec = build({"dataset": "d", "source": source, "prepare": {"steps": steps}})
    (step,) = placed(spec, tmp_path).prepare.steps
    assert step == {"idf": {"reference": str(tmp_path / "other.parquet"), "tau": 1.0}}
