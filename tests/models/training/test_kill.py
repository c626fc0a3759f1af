"""Killed anywhere and going on: the same losses, weights and order of records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.job import Job, to_json
from models.options.model import Model
from models.options.training import Backpropagation, Train
from tests.models.killed import KILLED, run_killed
from tests.synthetic import task_snapshot

POINTS = 50
MODELS = {
    "classifier": ("classify", Model(hidden=4, embedding=4, dropout=0.3, bidirectional=False)),
    "encoder_decoder": (
        "translate",
        Model(name="encoder_decoder", hidden=4, dropout=0.3, teacher_forcing=(1.0, 0.5)),
    ),
    "next_symbol": ("next", Model(name="next_symbol", hidden=4, dropout=0.3, bidirectional=False)),
}
WAYS = {
    "full": Backpropagation(),
    "segments": Backpropagation(mode="segments", k1=8),
    "exact": Backpropagation(mode="exact", memory="1MB"),
}


def job_file(folder: Path, model: str, way: str) -> Path:
    """A job of few updates that writes a checkpoint after each."""
    task, config = MODELS[model]
    path = task_snapshot(folder / "data", task, rows=20)  # type: ignore[arg-type]
    options = Train(
        model=config,
        backpropagation=WAYS[way],
        max_rows=8,
        epochs=2,
        checkpoint_minutes=1e-9,
        threads=1,
        device="cpu",
    )
    job = Job(snapshot=str(path), out="out", train=options)
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs/job.json").write_text(json.dumps(to_json(job)))
    return folder / "jobs/job.json"


def check_kills(jobs: list[Path], points: int) -> None:
    """Whatever the moment, nothing of it shows in the result."""
    for job, found in zip(jobs, run_killed(jobs, points), strict=True):
        whole = found["whole"]
        assert whole["statuses"] == [0] and whole["moments"] > 50
        assert whole["epochs"] == [1, 2]
        assert len(found["kills"]) == points
        for kills, killed in zip(found["kills"], found["killed"], strict=True):
            assert killed["statuses"][0] == KILLED and killed["statuses"][-1] == 0, (job, kills)
            for key in ("losses", "weights", "rows", "epochs"):
                assert killed[key] == whole[key], (job, kills, key)


def test_a_run_killed_at_some_moments_goes_on_to_the_same_result(tmp_path: Path) -> None:
    """A file half written, renamed too late or not flushed would be gone on from."""
    cases = (("classifier", "segments"), ("encoder_decoder", "full"))
    check_kills([job_file(tmp_path / model, model, way) for model, way in cases], 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "way"),
    [
        ("classifier", "full"),
        ("classifier", "segments"),
        ("classifier", "exact"),
        ("encoder_decoder", "full"),
        ("next_symbol", "segments"),  # of the models that write symbols, the one that carries state
    ],
)
def test_a_run_killed_at_any_moment_goes_on_to_the_same_result(
    tmp_path: Path, model: str, way: str
) -> None:
    """Fifty moments of each: updates, an epoch's edge, while saving and while shipping."""
    check_kills([job_file(tmp_path / model, model, way)], POINTS)
