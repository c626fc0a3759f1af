"""The command line as a person meets it: real processes, real files, exit status and messages."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.commands.predict_paths import check_out, check_prediction
from seqprep.errors import ConfigError, SeqprepError
from tests.conftest import ROOT

QUICK = ("--set", "train.updates=8")


def seqprep(*arguments: str | Path, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit status."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main()", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def last_json(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One pipeline run on the text sample, through Prefect: its folder and its JSON."""
    folder = tmp_path_factory.mktemp("run")
    done = seqprep("run", ROOT / "data" / "text.yaml", *QUICK, "--json", cwd=folder)
    return folder, last_json(done)


def test_help_imports_nothing_heavy() -> None:
    """Would break if `--help` waited for torch, prefect or polars to be imported."""
    code = (
        "import sys, contextlib, io\n"
        "from flows.cli import app\n"
        "out = io.StringIO()\n"
        "with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit): app(['--help'])\n"
        "assert 'Ingest, prepare and train' in out.getvalue()\n"
        "print([m for m in ('torch', 'prefect', 'polars', 'deltalake') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_run_tells_what_it_made(finished: tuple[Path, dict[str, Any]]) -> None:
    """Would break if the JSON of `run` lost a key that scripts read."""
    folder, done = finished
    assert done["sequences"].keys() >= {"version", "rows", "rejected", "reused"}
    assert done["examples"].keys() >= {"version", "rows", "padding_share", "reused"}
    assert done["metrics"]["test"].keys() >= {"accuracy", "macro_f1", "majority"}
    assert done["seconds"].keys() >= {"ingest", "prepare", "train"}
    assert done["baselines"]["test"].keys() >= {"majority", "length", "naive_bayes"}
    report = Path(done["report"])
    text = report.read_text(encoding="utf-8")
    for name in ("lengths", "padding", "learning_curves", "confusion"):
        image = report.parent / f"{name}.png"
        assert image.read_bytes().startswith(b"\x89PNG")
        assert f"({name}.png)" in text
    assert (folder / "store").is_dir()


def test_a_second_run_reuses_everything_and_says_so(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    """Would break if unchanged work were done again, or what is done were read from Prefect."""
    folder, first = finished
    shutil.rmtree(folder / ".prefect")
    again = seqprep("run", ROOT / "data" / "text.yaml", *QUICK, "--json", cwd=folder)
    second = last_json(again)
    assert second["sequences"]["reused"]
    assert second["examples"]["reused"]
    assert second["train"]["reused"]
    assert second["bundle"] == first["bundle"]
    assert again.stderr.count("reused") == 3


def test_training_if_newer_ends_before_anything_is_started(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    """Would break if a nightly call trained, failed or took its time with nothing new."""
    folder, first = finished
    text = ROOT / "data" / "text.yaml"
    done = seqprep("train", text, *QUICK, "--if-newer", "--json", cwd=folder)
    told = last_json(done)
    assert told["trained"] is False and told["bundle"] == first["bundle"]
    assert told["why"].endswith("of examples version 0 is the newest, nothing to train")
    assert done.stderr.strip() == f"sample_text: {told['why']}"
    ignored = ("train", text, "--set", "train.retrain={when: drift}")
    assert "would be ignored" in seqprep(*ignored, cwd=folder, status=2).stderr


def test_another_split_needs_refit(finished: tuple[Path, dict[str, Any]]) -> None:
    """Would break if one changed key moved training rows into the test unasked."""
    folder, _ = finished
    other = ("prepare", ROOT / "data" / "text.yaml", "--set", "prepare.recipe=other")
    seqprep(*other, cwd=folder)
    moved = (*other, "--set", "split.seed=7", "--json")
    refused = seqprep(*moved, cwd=folder, status=2)
    assert "split.seed was 0 and is 7 now" in refused.stderr and "--refit" in refused.stderr
    assert last_json(seqprep(*moved, "--refit", cwd=folder))["version"] == 1


def test_prune_drops_rows_of_files_that_are_gone(tmp_path: Path) -> None:
    """Would break if the flag that messages name were missing, or pruned unasked."""
    for name in ("neg/a", "neg/b", "pos/a"):
        path = tmp_path / "in" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "f.yaml").write_text("dataset: d\nsource: {domain: text, path: in}\n")
    command = ("ingest", "f.yaml", "--json")
    seqprep(*command, cwd=tmp_path)
    (tmp_path / "in" / "neg" / "b.txt").unlink()
    gone = seqprep(*command, cwd=tmp_path)
    assert last_json(gone)["rows"] == 3
    assert "1 file is gone from the source, first neg/b.txt; the rows stay" in gone.stderr
    pruned = seqprep(*command, "--prune", cwd=tmp_path)
    assert last_json(pruned)["rows"] == 2
    assert "gone from the source, first neg/b.txt; their rows were dropped" in pruned.stderr


@pytest.mark.parametrize("out", ["in/a.parquet", "in/sub/a.parquet", "one.parquet", "p.csv", "p"])
def test_predictions_never_overwrite_what_is_predicted(tmp_path: Path, out: str) -> None:
    """Would break if a slip in `--out` destroyed the person's data."""
    inputs = [tmp_path / "in", tmp_path / "one.parquet"]
    with pytest.raises(ConfigError, match="--out"):
        check_out(tmp_path / out, inputs)
    check_out(tmp_path / "inside.parquet", inputs)


def test_a_bundle_that_was_meant_is_named(tmp_path: Path) -> None:
    """Would break if a dataset or a run in the place of its bundle were only refused."""
    bundle = tmp_path / "store" / "d" / "models" / "r-12" / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").touch()
    inputs, out = [tmp_path / "store"], tmp_path / "p.parquet"
    for path in (bundle.parent, tmp_path / "store" / "d"):
        with pytest.raises(SeqprepError, match=rf"not a model bundle .* did you mean {bundle}\?"):
            check_prediction(path, inputs, out)
    with pytest.raises(SeqprepError, match="gone: no such file or folder to predict"):
        check_prediction(bundle, [tmp_path / "gone"], out)
    check_prediction(bundle, inputs, out)


def test_predict_gives_one_row_a_record_and_an_error_for_a_bad_one(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Would break if a record that cannot be read vanished from the predictions."""
    _, done = finished
    documents = sorted((ROOT / "data" / "text").rglob("*.txt"))[:3]
    (tmp_path / "in").mkdir()
    for document in documents:
        (tmp_path / "in" / document.name).write_bytes(document.read_bytes())
    (tmp_path / "in" / "yy-cut.txt.gz").write_bytes(gzip.compress(b"some words " * 90)[:-9])
    (tmp_path / "in" / "zz-empty.txt").write_text("")
    out = tmp_path / "out.parquet"
    seqprep("predict", done["bundle"], tmp_path / "in", "--out", out, cwd=tmp_path)
    rows = pq.read_table(out).to_pylist()
    errors = {row["source"]: row["error"] for row in rows if row["error"] is not None}
    assert len(rows) == 5
    assert sorted(errors) == ["yy-cut.txt.gz", "zz-empty.txt"]
    assert "empty" in errors["zz-empty.txt"]
    for row in rows[:3]:
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)


def test_show_and_verify_read_a_store(finished: tuple[Path, dict[str, Any]]) -> None:
    """Would break if a store could not be looked at, or verify checked nothing."""
    folder, done = finished
    shown = seqprep("show", cwd=folder).stdout
    for part in ("sequences", "examples, recipe", "labels", "buckets", "models", "before"):
        assert part in shown
    assert last_json(seqprep("verify", "--json", cwd=folder))["files"] > 10
    assert last_json(seqprep("verify", done["bundle"], "--json", cwd=folder))["files"] >= 4


def test_verify_names_an_altered_file(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Would break if a flipped byte in a bundle went unnoticed."""
    import shutil

    _, done = finished
    copy = tmp_path / "bundle"
    shutil.copytree(done["bundle"], copy)
    weights = copy / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    refused = seqprep("verify", copy, cwd=tmp_path, status=2)
    assert "weights.safetensors" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["run", "nothing.yaml"], ["nothing.yaml", "no such pipeline file"]),
        (["run"], ["FILES", "requires an argument"]),
        (["runn"], ["runn"]),
        (["train", ROOT / "data" / "text.yaml"], ["run `seqprep run`"]),
        (["show", "nowhere"], ["nowhere", "no dataset here"]),
        (["predict", "nowhere", "x.txt", "--out", "y.parquet"], ["nowhere"]),
        (["run", ROOT / "data" / "text.yaml", "--set", "train.epoch=1"], ["did you mean epochs?"]),
        (["run", ROOT / "data" / "text.yaml", "--set", "source.path=no"], ["source.path", "/no;"]),
    ],
)
def test_wrong_use_is_one_clear_message_and_status_2(
    arguments: list[str | Path], parts: list[str], tmp_path: Path
) -> None:
    """Would break if a mistake ended in a traceback, silence or another status."""
    refused = seqprep(*arguments, cwd=tmp_path, status=2)
    for part in parts:
        assert part in refused.stderr
