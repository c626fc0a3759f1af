"""Bundles of earlier versions load, or say why not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from models.architectures import build
from models.bundle import MANIFEST, Bundle, BundleError, seal
from models.manifest import dump
from models.options.model import Model
from models.predict import predict_examples
from models.shape import Shape
from tests.synthetic import example_table, facts_of_task, rows_of_task

WRITTEN = {
    "parts": None,
    "merge": None,
    "second_backwards": None,
    "chunk": None,
    "upper_hidden": None,
    "code_every": None,
}
"""Options that were null before the models that read them were there."""
ABSENT = ("overlap", "lower_pooling", "continuation", "temperature")


def write_bundle(folder: Path) -> Bundle:
    data = rows_of_task("classify", 4, seed=0)
    facts = facts_of_task("classify", data)
    config = Model(hidden=6, embedding=4)
    torch.manual_seed(0)
    bundle = Bundle(
        model=build(config, Shape.of(facts)).eval(),
        config=config,
        facts=facts,
        pipeline={"dataset": "synthetic", "train": {"model": {"hidden": 6, **WRITTEN}}},
    )
    bundle.write(folder)
    return bundle


def rewrite(folder: Path, **changes: Any) -> None:
    """Change the model's options as another version would have written them."""
    body = json.loads((folder / "model.json").read_bytes())
    kept = {key: value for key, value in body["model"].items() if key not in ABSENT}
    data = dump(body | {"model": kept | changes})
    (folder / "model.json").write_bytes(data)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["files"]["model.json"] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
    }
    (folder / MANIFEST).write_bytes(seal(manifest))


def test_options_that_were_once_null_are_read_as_if_left_out(tmp_path: Path) -> None:
    """A shipped model must not be lost because others can be built now."""
    bundle = write_bundle(tmp_path / "bundle")
    rewrite(tmp_path / "bundle", **WRITTEN)
    loaded = Bundle.read(tmp_path / "bundle")
    data = rows_of_task("classify", 4, seed=1)
    rows = example_table(data, facts_of_task("classify", data))
    assert loaded.config == bundle.config
    assert predict_examples(loaded, rows).equals(predict_examples(bundle, rows))
    assert loaded.pipeline is not None
    assert loaded.pipeline["train"]["model"] == {"hidden": 6, "code_every": None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": None}, "model.hidden must be int, got None"),
        ({"chunk": 0}, "model.chunk must be >= 1, got 0"),
        ({"memory_cells": 3}, "unknown key 'model.memory_cells'"),
    ],
)
def test_what_no_version_wrote_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """Reading null as a default everywhere would turn a damaged bundle into another model."""
    write_bundle(tmp_path / "bundle")
    rewrite(tmp_path / "bundle", **changes)
    with pytest.raises(BundleError, match=message):
        Bundle.read(tmp_path / "bundle")
