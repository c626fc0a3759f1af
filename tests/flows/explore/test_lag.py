"""`seqprep lag`: the data that it finds or refuses, and the files that it leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from flows.explore import lag_plot
from flows.explore.lag import check_data, lag
from flows.training.job import training_snapshot
from models.bundle import Bundle
from models.job import Job, to_json
from models.options.model import Model
from models.options.training import Train
from models.train import train
from seqprep.errors import ConfigError
from seqprep.snapshot import Snapshot
from tests.synthetic import task_snapshot


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a finished training, its job file beside the bundle."""
    options = Train(model=Model(hidden=8, embedding=8), updates=3, epochs=None)
    job = Job(
        snapshot=str(task_snapshot(tmp_path / "data", "classify")),
        out=str(tmp_path / "run"),
        train=options,
    )
    train(job)
    (tmp_path / "run" / "job.json").write_text(json.dumps(to_json(job)))
    return tmp_path / "run"


def test_numbers_and_plot_lie_beside_the_bundle(run: Path, tmp_path: Path) -> None:
    """A person would look for them in vain, or find numbers that differ from each other."""
    done = lag(str(run / "bundle"), data=None, split="validation", records=10, seed=0, out=None)
    body = json.loads((run / "lag-validation.json").read_bytes())
    assert body["records"] == 10 and body["split"] == "validation" and body["seed"] == 0
    with (run / "lag-validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mean"]) for row in rows] == [one["mean"] for one in body["bins"]]
    assert int(rows[-1]["to_lag"]) == body["longest"] - 1
    assert (run / "lag-validation.png").read_bytes().startswith(b"\x89PNG")
    assert done["plot"] == str(run / "lag-validation.png")
    other = tmp_path / "elsewhere" / "lag.json"
    lag(str(run / "bundle"), data=None, split="test", records=5, seed=1, out=other)
    assert json.loads(other.read_bytes())["split"] == "test"


def test_the_data_of_the_training_is_found_or_asked_for(run: Path, tmp_path: Path) -> None:
    """A bundle alone does not know its data; the remedy must be named."""
    asked = "name the data with --data"
    found = training_snapshot(run / "bundle", remedy=asked)
    assert found == tmp_path / "data" / "snapshot.json"
    (tmp_path / "data" / "snapshot.json").unlink()
    with pytest.raises(ConfigError, match="is gone; name the data with --data"):
        training_snapshot(run / "bundle", remedy=asked)
    (run / "job.json").unlink()
    with pytest.raises(ConfigError, match="name the data with --data"):
        training_snapshot(run / "bundle", remedy=asked)


def test_data_of_another_form_or_an_empty_split_is_refused(run: Path, tmp_path: Path) -> None:
    """Ids of another vocabulary would be looked up without a sound."""
    bundle = Bundle.read(run / "bundle")
    other = Snapshot.read(task_snapshot(tmp_path / "other", "classify", vocab_size=9))
    with pytest.raises(ConfigError, match="vocab_size is 9, but the model was built for 8"):
        check_data(bundle, other, "test")
    whole = Snapshot.read(tmp_path / "data" / "snapshot.json")
    training = Snapshot(root=whole.root, facts=whole.facts, shards=whole.of("train"))
    with pytest.raises(ConfigError, match="no such rows; choose train"):
        check_data(bundle, training, "validation")
    check_data(bundle, training, "train")


def test_a_curve_of_zeros_is_drawn(tmp_path: Path) -> None:
    """A logarithmic axis has no zero; a model that sees nothing must not end in a traceback."""
    for name, values in (("dead", [0.0, 0.0]), ("half", [2.0, 0.0])):
        bins = {"from_lag": [0.0, 1.0], "to_lag": [0.0, 4.0]}
        bins |= dict.fromkeys(("mean", "q25", "median", "q75"), values)
        path = tmp_path / f"{name}.png"
        lag_plot.by_lag(path, bins=bins, reach={0.5: 0, 0.9: 1}, title="output")
        first = path.read_bytes()
        lag_plot.by_lag(path, bins=bins, reach={0.5: 0, 0.9: 1}, title="output")
        assert path.read_bytes() == first
