"""The lines of the table: baselines of whole records, figures that are nought, steps kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from flows.comparison.course import Standing
from flows.comparison.pretraining import Pretraining
from flows.comparison.strategy import PretrainingKind
from flows.comparison.table import baselines_of, cheap_cells, rows_of
from flows.comparison.written import of_whole_records, placed
from flows.pipeline_file import build
from models.options.model import Conv, Front
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


def kept(one: Standing) -> float:
    """The share of the steps, of rows whose recipe leaves a half."""
    entry = replace(one.entry, prepared={"kept_share": 0.5})
    return rows_of([replace(one, entry=entry)])[0].kept_share


def after(kind: PretrainingKind) -> Standing:
    """A way that begins with an autoencoder of a code for each 25 steps."""
    one = standing("way", 0.5, place=0)
    first = Pretraining(kind=kind, options={"code_every": 25})
    return replace(one, entry=replace(one.entry, pretraining=first))


def test_steps_kept_are_those_that_the_recurrent_layer_reads() -> None:
    """Would break if codes of 25 steps each passed for reading every one of these."""
    plain = standing("way", 0.5, place=0)
    assert kept(plain) == kept(after("encoder")) == 0.5
    assert kept(after("codes")) == pytest.approx(0.5 / 25)
    model = replace(plain.spec.train.model, front=Front(conv=(Conv(stride=4),)))
    train = replace(plain.spec.train, model=model)
    assert kept(replace(plain, spec=replace(plain.spec, train=train))) == pytest.approx(0.5 / 4)
