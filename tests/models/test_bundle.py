"""A bundle holds all that prediction needs, and nothing altered gets past it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import train
from models.bundle import MANIFEST, MEMBERS, Bundle, BundleError, check
from models.device import supports_bf16
from models.job import Job
from models.options.model import Model
from models.options.training import Optimizer, Train
from models.predict import predict_examples
from seqprep.schema import Split, Task
from tests.models.bundles import TASKS, bundle_of, forge
from tests.synthetic import example_table, facts_of_task, write_snapshot


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "bundle"
    bundle_of("classify")[0].write(folder)
    return folder


@pytest.fixture
def bundle(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "bundle"))


@pytest.mark.parametrize("task", TASKS)
def test_saved_and_loaded_elsewhere_predicts_the_same(task: Task, tmp_path: Path) -> None:
    """Prediction on another machine must be that of training, from the folder alone."""
    bundle, rows = bundle_of(task)
    bundle.write(tmp_path / "first")
    shutil.move(tmp_path / "first", tmp_path / "elsewhere")
    loaded = Bundle.read(tmp_path / "elsewhere")
    assert predict_examples(loaded, rows).equals(predict_examples(bundle, rows))
    assert loaded.pipeline == {"dataset": "synthetic"} and loaded.facts == bundle.facts


@pytest.mark.parametrize("task", TASKS)
def test_a_record_alone_is_answered_as_in_a_batch(task: Task) -> None:
    """An answer must not depend on which other records came along."""
    bundle, rows = bundle_of(task)
    whole = predict_examples(bundle, rows)
    assert whole["id"].to_pylist() == rows["id"].to_pylist()
    for place in (0, 5, 11):
        alone = predict_examples(bundle, rows.slice(place, 1)).to_pylist()[0]
        among = whole.to_pylist()[place]
        assert alone["id"] == among["id"]
        for key in ("prediction", "probabilities"):
            if isinstance(alone[key], float) or isinstance(alone[key] and alone[key][0], float):
                np.testing.assert_allclose(alone[key], among[key], atol=1e-4)
            else:
                assert alone[key] == among[key]


@pytest.mark.parametrize("task", ["classify", "label_steps"])
def test_a_trained_bundle_answers_with_the_true_names(task: Task, tmp_path: Path) -> None:
    """Names reversed, sorted or of another row would leave the figures right, and users wrong."""
    names = ("wren", "ant", "moth")  # neither rising nor falling
    codes = [0, 1, 2, 2, 0, 1, 0, 2, 1, 0, 0, 2]
    rows = [[2 + code] * (1 + 5 * n % 12) for n, code in enumerate(codes)]  # batches reorder them
    data: dict[str, Any] = {"tokens": rows, "label": codes}
    if task == "label_steps":
        rows = [
            [2 + (code + step) % 3 for step in range(len(row))]
            for code, row in zip(codes, rows, strict=True)
        ]
        data = {"tokens": rows, "targets": [[token - 2 for token in row] for row in rows]}
    facts = facts_of_task(task, data, labels=names)
    table = example_table(data, facts)
    tables: dict[Split, pa.Table] = {"train": table, "validation": table, "test": table}
    path = write_snapshot(tmp_path / "data", facts, tables)
    options = Train(
        model=Model(hidden=8),
        optimizer=Optimizer(lr=0.1),
        max_rows=4,
        epochs=10,
        threads=1,
        device="cpu",
    )
    train.train(Job(snapshot=str(path), out=str(tmp_path / "out"), train=options))
    new = table.drop_columns(["label" if task == "classify" else "targets"])
    found = predict_examples(Bundle.read(tmp_path / "out/bundle"), new)
    assert found["id"].to_pylist() == table["id"].to_pylist()
    if task == "classify":
        assert found["prediction"].to_pylist() == [names[row[0] - 2] for row in rows]
    else:
        wanted = [[names[token - 2] for token in row] for row in rows]
        assert found["prediction"].to_pylist() == wanted
    flat = [token - 2 for row in rows for token in (row[:1] if task == "classify" else row)]
    likely = np.concatenate(found["probabilities"].to_pylist()).reshape(-1, 3).argmax(1)
    assert likely.tolist() == flat  # probabilities stand in the order of the labels


def test_targets_are_not_needed_to_predict() -> None:
    """New records have no label; nulls in its column must not matter either."""
    bundle, rows = bundle_of("classify")
    wanted = predict_examples(bundle, rows)
    assert predict_examples(bundle, rows.drop_columns(["label"])).equals(wanted)
    nulls = rows.set_column(rows.schema.get_field_index("label"), "label", pa.nulls(12, pa.int32()))
    assert predict_examples(bundle, nulls).equals(wanted)
    assert len(predict_examples(bundle, rows.slice(0, 0))) == 0


def test_windows_and_views_are_pooled_by_the_mean() -> None:
    """One row a record: the mean of its probabilities, and how many examples it is the mean of."""
    bundle, rows = bundle_of("classify")
    single = np.array(predict_examples(bundle, rows)["probabilities"].to_pylist())
    ids = pa.array([f"r#{n // 3}" for n in range(12)])
    pooled = predict_examples(bundle, rows.set_column(0, rows.schema.field("id"), ids))
    assert pooled["windows"].to_pylist() == [3] * 4
    mean = single.reshape(4, 3, 2).mean(1)
    np.testing.assert_allclose(np.array(pooled["probabilities"].to_pylist()), mean, atol=1e-6)


def test_writing_again_replaces_the_bundle_and_leaves_nothing(bundle: Path) -> None:
    """A second training must not leave a mixture, nor its staging folder."""
    bundle_of("regress")[0].write(bundle)
    assert Bundle.read(bundle).facts.task == "regress"
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


class Killed(BaseException):
    """The end of a process, for this test."""


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_rename_leaves_the_old_or_the_new_bundle(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """The hours of a training must not be lost in the moment between two renames."""
    rename, new = os.replace, bundle_of("regress")[0]
    for stop in range(1, 20):
        calls = 0

        def dying(source: Any, target: Any, stop: int = stop) -> None:
            nonlocal calls
            calls += 1
            if calls == stop and not after:
                raise Killed
            rename(source, target)
            if calls == stop:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", dying)
            try:
                new.write(bundle)
            except Killed:
                assert Bundle.read(bundle).facts.task in ("classify", "regress")
                continue
            break
    else:
        raise AssertionError("never written")
    assert stop > len(MEMBERS) + 1 + 2  # a rename for each file, and two for the folders
    assert Bundle.read(bundle).facts.task == "regress"
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def test_the_old_bundle_is_found_until_the_new_one_stands(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash with the old one moved away: it is read from there, and put back at the next try."""
    bundle.rename(bundle.with_name(".bundle.old"))
    assert Bundle.read(bundle).facts.task == "classify"
    (bundle.with_name(".bundle.123.tmp")).mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(safetensors.torch, "save", _full_disk)
        with pytest.raises(OSError, match="no space"):
            bundle_of("regress")[0].write(bundle)
    assert bundle.is_dir()
    bundle_of("regress")[0].write(bundle)
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]


def _full_disk(*_: Any) -> bytes:
    raise OSError("no space")


def test_a_bundle_without_a_pipeline_answers_prepared_examples_only(bundle: Path) -> None:
    """Raw files need the preparation; without it the error must say so, not end in a traceback."""
    forge(bundle, "pipeline.json", b"null")
    loaded = Bundle.read(bundle)
    assert len(predict_examples(loaded, bundle_of("classify")[1])) == 12
    with pytest.raises(BundleError, match="prepared examples only"):
        loaded.needed_pipeline()


def test_files_are_those_that_were_written_and_weights_are_made_only_on_demand(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking into the pipeline of a large model must not cost its size in memory."""
    loaded = Bundle.read(bundle)
    assert {name: loaded.files[name] for name in loaded.files} == {
        path.name: path.read_bytes() for path in bundle.iterdir()
    }
    monkeypatch.setattr(safetensors.torch, "save", _full_disk)
    assert len(loaded.files) == 6 and loaded.files["fitted.json"] == loaded.fitted


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found(written: Path, data: st.DataObject) -> None:
    """Whatever changes in whatever file, it is found before the model answers."""
    name = data.draw(st.sampled_from([*MEMBERS, MANIFEST]))
    path = written / name
    content = path.read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    flip = data.draw(st.integers(1, 255))
    try:
        path.write_bytes(content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :])
        with pytest.raises(BundleError, match="bundle"):
            Bundle.read(written)
    finally:
        path.write_bytes(content)


def test_what_is_not_a_bundle_says_so(tmp_path: Path) -> None:
    """The commonest mistake is the wrong folder."""
    with pytest.raises(BundleError, match="not a bundle"):
        check(tmp_path)


def test_a_bf16_bundle_predicts_where_there_is_no_bf16(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the CPU lacks bf16 the answers come in float32, about equal, and it is said."""
    bundle, rows = bundle_of("classify")
    replace(bundle, precision="bf16").write(tmp_path / "bundle")
    found = predict_examples(Bundle.read(tmp_path / "bundle"), rows)["probabilities"]
    wanted = predict_examples(bundle, rows)["probabilities"]
    np.testing.assert_allclose(np.array(found.to_pylist()), np.array(wanted.to_pylist()), atol=0.02)
    assert supports_bf16(torch.device("cpu")) or "float32" in caplog.text
