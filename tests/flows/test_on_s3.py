"""The flows on a store on an S3-compatible server, and on machines that share nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from prefect.logging import disable_run_logger

from flows.ingest import ingest_files
from flows.pipeline_file import Pipeline, to_json
from flows.predict import predict_files
from flows.prepare import prepare_rows
from flows.registry.bundles import find_bundle
from flows.registry.current import models
from flows.show import describe
from flows.train import train_model
from models.manifest import check
from seqprep.errors import SeqprepError
from seqprep.remote.mirror import mirror_of
from seqprep.remote.runs import LAST, push_run
from seqprep.stores import located, store_folder
from seqprep.table import ConflictError
from tests.conftest import ROOT
from tests.flows.training.test_job import pipeline
from tests.object_store import ObjectServer

Machine = Callable[[str], Path]


def run_flows(spec: Pipeline, store: str) -> dict[str, Any]:
    """The three stages, as the flow `pipeline` runs them; what the training said."""
    body = to_json(spec)
    with disable_run_logger():
        ingest_files.fn(body, base="/", store=store)
        examples = prepare_rows.fn(body, base="/", store=store)
        return train_model.fn(body, store=store, prepared=examples)


def test_a_model_that_one_machine_trained_serves_on_another(
    server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """Each machine would train for itself, fetch data again, or meet a path of the other."""
    store, spec = f"s3://{server.bucket()}/p", pipeline(tmp_path)
    made = run_flows(spec, store)
    run = Path(made["bundle"]).parent
    assert json.loads((run / "job.json").read_bytes())["out"] == "."
    first = machine("first")

    machine("second")
    with server.counted() as requests:
        again = run_flows(spec, store)
    assert again["reused"] and again["metrics"] == made["metrics"]
    assert {path.rpartition("/")[2] for method, path, _ in requests if method == "PUT"} <= {
        "manifest.json"  # the claim, refused
    }
    assert not [path for method, path, _ in requests if "examples-default/split" in path]
    bundle = find_bundle("tiny@current", store=Path(store))
    check(bundle)
    assert first not in bundle.parents
    out = tmp_path / "out.parquet"
    with disable_run_logger():
        predict_files.fn(str(bundle), [str(tmp_path / "in")], out=str(out))
    assert pq.read_table(out).num_rows == 40
    folder = located(Path(f"{store}/tiny"))
    assert models(folder)["current"] == run.name and models(folder)["models"][0]["there"]
    assert describe(folder)["datasets"][0]["models"][0]["metrics"] == made["metrics"]
    assert located(Path(f"{store}/tiny/models/{run.name}/bundle")) == bundle


@pytest.mark.slow
def test_a_second_training_fetches_no_data(
    server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A cluster would read the whole store at each training."""
    store, spec = f"s3://{server.bucket()}/p", pipeline(tmp_path)
    with disable_run_logger():
        ingest_files.fn(to_json(spec), base="/", store=store)
        prepare_rows.fn(to_json(spec), base="/", store=store)
    machine("second")
    fetched = []
    for updates in (2, 3):
        body = to_json(spec)
        body["train"]["updates"] = updates
        with server.counted() as requests, disable_run_logger():
            assert not train_model.fn(body, store=store)["reused"]
        fetched.append(
            [path for method, path, _ in requests if method == "GET" and "/split=" in path]
        )
    assert len(fetched[0]) == len(set(fetched[0])) >= 3
    # Of the second only what the comparison with the first one reads, and that is not examples.
    assert fetched[1] == []


@pytest.mark.slow
def test_two_machines_that_train_the_same_never_mix_their_files(
    server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A bundle of two trainings would be damaged for everybody."""
    store, spec = f"s3://{server.bucket()}/p", pipeline(tmp_path)
    run = Path(run_flows(spec, store)["bundle"]).parent
    mirror = mirror_of(run)
    assert mirror is not None
    theirs = {path: one.etag for path, one in mirror.listed(run).items()}
    # As if this machine had trained it, too, with other bytes, before it saw the other's.
    manifest = run / "bundle" / "manifest.json"
    published = manifest.read_bytes()
    manifest.write_bytes(published.replace(b'"format"', b' "format"'))
    push_run(run, ["report.json"])
    assert manifest.read_bytes() == published and check(run / "bundle")
    assert {path: one.etag for path, one in mirror.listed(run).items()} == theirs
    # And as if the other one were still sending its files.
    mirror.bucket.delete([mirror.name(run / LAST)])
    manifest.write_bytes(published.replace(b'"format"', b' "format"'))
    with pytest.raises(ConflictError, match="run again"):
        push_run(run, ["report.json"])


@pytest.mark.slow
def test_a_bundle_that_was_damaged_on_the_server_is_trained_again(
    server: ObjectServer, machine: Machine, tmp_path: Path
) -> None:
    """A damaged model would stay for good, because its work counts as done."""
    bucket, spec = server.bucket(), pipeline(tmp_path)
    made = run_flows(spec, f"s3://{bucket}/p")
    name = next(one for one in server.names(bucket) if one.endswith("weights.safetensors"))
    server.client.put_object(Bucket=bucket, Key=name, Body=b"damaged")
    machine("second")
    with pytest.raises(SeqprepError, match=r"weights\.safetensors"):
        check(find_bundle("tiny@current", store=Path(f"s3://{bucket}/p")))
    again = run_flows(spec, f"s3://{bucket}/p")
    assert not again["reused"] and again["metrics"] == made["metrics"]
    machine("third")
    check(find_bundle("tiny@current", store=Path(f"s3://{bucket}/p")))


def seqprep(*arguments: str | Path, cwd: Path, status: int = 0) -> str:
    """Run the command in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "test-secret" not in done.stdout + done.stderr
    return done.stderr + done.stdout  # JSON stays on the last line


@pytest.mark.slow
def test_commands_take_an_address_as_a_store(
    server: ObjectServer, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person could do on one machine what nobody else sees."""
    store = f"s3://{server.bucket()}/team/"
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    at = ("--store", store, "--endpoint", server.url)
    file = ROOT / "data" / "text.yaml"
    told = seqprep("run", file, *at, "--set", "train.updates=8", "--json", cwd=tmp_path)
    run = Path(json.loads(told.strip().splitlines()[-1])["bundle"]).parent.name
    machine("second")
    assert run in seqprep("models", "sample_text", *at, cwd=tmp_path)
    assert run in seqprep("show", *at, cwd=tmp_path)
    source = ROOT / "data" / "text" / "sailing"
    seqprep("predict", "sample_text@current", source, "--out", "p.parquet", *at, cwd=tmp_path)
    assert pq.read_table(tmp_path / "p.parquet").num_rows == len(list(source.iterdir()))
    told = seqprep("train", file, *at, "--set", "train.updates=9", "--json", cwd=tmp_path)
    other = Path(json.loads(told.strip().splitlines()[-1])["bundle"]).parent.name
    told = seqprep("models", "sample_text", *at, "--json", cwd=tmp_path)
    current = json.loads(told.strip().splitlines()[-1])["current"]
    wanted = other if current == run else run
    seqprep("promote", "sample_text", wanted, *at, cwd=tmp_path)
    machine("first")
    told = seqprep("rollback", "sample_text", *at, "--json", cwd=tmp_path)
    assert json.loads(told.strip().splitlines()[-1])["current"] == current
    told = seqprep("prepare", file, *at, cwd=tmp_path)
    assert "reused" in told
    assert "files are what was committed" in seqprep("verify", *at, cwd=tmp_path)
    assert "nothing was changed" in seqprep("gc", *at, cwd=tmp_path)
    assert not list(tmp_path.glob("s3*")) and not (tmp_path / "store").exists()
    assert "there is no bucket" in seqprep(
        "show", "--store", "s3://nobody-s-bucket", "--endpoint", server.url, cwd=tmp_path, status=2
    )
    assert store_folder(store).name.startswith("team-")
