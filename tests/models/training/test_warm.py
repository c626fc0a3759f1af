"""A warm start takes all weights of an earlier model, or says why it takes none."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from models.bundle import Bundle
from models.job import Job, WarmFrom, read_job, to_json
from models.manifest import bundle_digest
from models.options.model import Model
from models.options.training import Optimizer, Train
from models.train import identify, train
from models.training.run import Stopped
from seqprep.snapshot import Snapshot
from tests.synthetic import task_snapshot

FITTED: dict[str, Any] = {"vocabulary": [*"ABCDEF"], "labels": ["no", "yes"], "outputs": []}
OPTIONS = Train(
    model=Model(hidden=8, embedding=4, dropout=0.0),
    max_rows=8,
    epochs=3,
    threads=1,
    device="cpu",
    optimizer=Optimizer(lr=0.02),
)
STILL = replace(OPTIONS, epochs=1, optimizer=Optimizer(lr=1e-12, weight_decay=0.0))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a model that was trained on it."""
    folder = tmp_path_factory.mktemp("source")
    task_snapshot(folder / "data", "classify", rows=60)
    train(job_at(folder, "first"))
    return folder


def job_at(folder: Path, out: str, options: Train = OPTIONS, **fitted: Any) -> Job:
    (folder / out).mkdir(exist_ok=True)
    (folder / out / "fitted.json").write_text(json.dumps(FITTED | fitted))
    (snapshot,) = folder.rglob("snapshot.json")
    return Job(
        snapshot=str(snapshot),
        out=str(folder / out),
        train=options,
        fitted=str(folder / out / "fitted.json"),
    )


def warm(job: Job, bundle: Path, **options: Any) -> Job:
    begun = WarmFrom(run="first", bundle=str(bundle), sha256=bundle_digest(bundle))
    return replace(job, train=replace(job.train, warm_start=True, **options), warm_from=begun)


def weights(job: Job) -> dict[str, torch.Tensor]:
    return Bundle.read(Path(job.out) / "bundle").model.state_dict()


def begun(job: Job) -> dict[str, Any]:
    report = json.loads((Path(job.out) / "report.json").read_bytes())
    found: dict[str, Any] = report["train"]["begun_from"]
    return found


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_all_weights_are_taken_and_the_report_says_whose(source: Path) -> None:
    """A head or a layer that stayed fresh would undo what the others have learnt."""
    job = warm(job_at(source, "still", STILL), source / "first/bundle")
    train(replace(job, train=replace(job.train, model=replace(OPTIONS.model, dropout=0.1))))
    given = Bundle.read(source / "first/bundle").model.state_dict()
    for name, tensor in weights(job).items():
        torch.testing.assert_close(tensor, given[name])
    told = begun(job)
    assert told["taken"] and told["told"] == "begins from the weights of first"
    assert told["sha256"] == bundle_digest(source / "first/bundle")


def test_what_was_learnt_is_there_from_the_first_epoch_on(source: Path) -> None:
    """A warm start that had to learn all again would be none."""
    job = warm(job_at(source, "on"), source / "first/bundle")
    train(job)
    losses = [
        [epoch["validation_loss"] for epoch in json.loads(path.read_bytes())["train"]["history"]]
        for path in (source / "first/report.json", source / "on/report.json")
    ]
    assert losses[1][0] < losses[0][0] and losses[1][0] < 1.1 * losses[0][-1]


def alter(bundle: Path) -> None:
    weights = bundle / "weights.safetensors"
    body = bytearray(weights.read_bytes())
    body[-1] ^= 1
    weights.write_bytes(bytes(body))


def replace_manifest(bundle: Path) -> None:
    manifest = bundle / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")


@pytest.mark.parametrize(
    ("options", "fitted", "harm", "why"),
    [
        ({"model": replace(OPTIONS.model, hidden=9)}, {}, None, "model.hidden: 8, this model 9"),
        ({"model": replace(OPTIONS.model, pooling=("max", "mean"))}, {}, None, "model.pooling"),
        ({}, {"vocabulary": [*"BACDEF"]}, None, r"does not fit: its vocabulary \(6 entries\)"),
        ({}, {"step_codes": [1]}, None, "its step_codes is not that of this dataset"),
        ({}, {}, alter, "weights.safetensors: the bytes are not those that were written"),
        ({}, {}, replace_manifest, "is not the bundle that was chosen any more"),
        ({}, {}, shutil.rmtree, "bundle is gone"),
    ],
)
def test_a_model_that_does_not_fit_is_left_and_told(
    options: Any,
    fitted: Any,
    harm: Callable[[Path], None] | None,
    why: str,
    source: Path,
    tmp_path: Path,
) -> None:
    """A night would fail, or begin from weights that mean something else."""
    shutil.copytree(source / "data", tmp_path / "data")
    bundle = tmp_path / "bundle"
    shutil.copytree(source / "first/bundle", bundle)
    short = replace(OPTIONS, epochs=None, updates=3, **options)
    job = warm(job_at(tmp_path, "warm", short, **fitted), bundle)
    if harm is not None:
        harm(bundle)
    train(job)
    told = begun(job)
    assert not told["taken"] and told["told"].startswith("begins with fresh weights: ")
    assert re.search(why, told["told"]), told["told"]
    events = (tmp_path / "warm/metrics.jsonl").read_text().splitlines()
    assert json.loads(events[0])["remarks"] == [told["told"]]
    cold = job_at(tmp_path, "cold", short, **fitted)
    train(cold)
    assert same(weights(job), weights(cold))


def test_a_killed_run_goes_on_without_the_model_it_began_from(source: Path, tmp_path: Path) -> None:
    """What became current since, or was deleted, would end a training half done."""
    shutil.copytree(source / "data", tmp_path / "data")
    shutil.copytree(source / "first/bundle", tmp_path / "bundle")
    whole = warm(job_at(tmp_path, "whole"), tmp_path / "bundle")
    train(whole)
    halved = warm(job_at(tmp_path, "halved"), tmp_path / "bundle")
    asked = iter(range(100))
    with pytest.raises(Stopped):
        train(halved, stopping=lambda: next(asked) == 5)
    shutil.rmtree(tmp_path / "bundle")
    train(halved)
    assert same(weights(whole), weights(halved))
    assert begun(halved)["taken"] and begun(halved) == begun(whole)
    report = json.loads((tmp_path / "halved/report.json").read_bytes())
    assert report["train"]["resumed"] == 1


def test_runs_are_told_apart_by_what_they_began_from(source: Path, tmp_path: Path) -> None:
    """A run reused, or gone on with, from another model would report another one's scores."""
    job = warm(job_at(source, "identity"), source / "first/bundle")
    snapshot = Snapshot.read(Path(job.snapshot))
    assert job.warm_from is not None
    other = replace(job, warm_from=replace(job.warm_from, sha256="0" * 64))
    found = [identify(one, snapshot)["warm start"] for one in (job, other)]
    assert found == [bundle_digest(source / "first/bundle"), "0" * 64]
    path = tmp_path / "job.json"
    path.write_text(json.dumps(to_json(job)))
    assert read_job(path) == job
