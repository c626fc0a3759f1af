"""A pipeline file is checked before work starts, and every message says where and what to do."""

from __future__ import annotations

import json
import re
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.utilities.callables import parameter_schema

from flows.pipeline_file import Pipeline, build, json_schema, load, override, to_json
from flows.references import check_tables
from flows.train import train
from seqprep.errors import ConfigError
from seqprep.transforms import TRANSFORMS
from tests.conftest import ROOT

MINIMAL = {"dataset": "a", "source": {"domain": "text", "path": "x"}}


def refused(changes: dict[Any, Any]) -> str:
    """The message that a wrong pipeline gets."""
    body = json.loads(json.dumps(MINIMAL))
    for key, value in changes.items():
        place = body
        *parents, last = key.split("__") if isinstance(key, str) else [key]
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    with pytest.raises(ConfigError) as error:
        build(body)
    return str(error.value)


def test_a_minimal_file_is_enough() -> None:
    """Would break if a key without need lost its default."""
    spec = build(MINIMAL)
    assert (spec.source.task, spec.split.by, spec.train.epochs) == ("classify", "hash", 10)


def test_json_of_a_pipeline_builds_the_same_pipeline() -> None:
    """Would break if a deployment's parameters or a bundle lost a key on the way."""
    spec = build({**MINIMAL, "source": {**MINIMAL["source"], "label": {"from": "file"}}})  # type: ignore[dict-item]
    assert build(json.loads(json.dumps(to_json(spec)))) == spec


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"source__pth": "y"}, ["source.pth", "unknown key", "did you mean path?"]),
        ({"traim": {}}, ["traim", "did you mean train?"]),
        ({"train__model__hiden": 3}, ["train.model.hiden", "did you mean hidden?"]),
        ({"split__by": "hsh"}, ["split.by", "'hash'", "'hsh'"]),
        ({"dataset": "../x"}, ["dataset", "[a-z0-9]", "'../x'"]),
        ({"prepare__recipe": "A b"}, ["prepare.recipe", "'A b'"]),
        ({"train__epochs": -1}, ["train.epochs", ">= 1", "-1"]),
        ({"train__epochs": "many"}, ["train.epochs", "a whole number or null", "'many'"]),
        ({"prepare__buckets": 0}, ["prepare.buckets", ">= 1", "0"]),
        (
            {"split": {"train": 0.8, "validation": 0.1, "test": 0.2}},
            ["split", "must be 1", "0.8 + 0.1 + 0.2 = 1.1"],
        ),
        ({"source__label": {"from": "header"}, "source__channels": ["a"]}, ["channels", "eeg"]),
        ({"source__label": {"from": "file", "pattern": "abc"}}, ["pattern", "group"]),
        ({"source__label": {"from": "file", "pattern": "("}}, ["regular expression"]),
        ({"prepare__steps": [{"trunkate": {"length": 3}}]}, ["trunkate", "truncate"]),
        ({"prepare__steps": [{"truncate": {"length": -3}}]}, ["length", ">= 1", "-3"]),
        ({"prepare__steps": [{"truncate": {"lenght": 3}}]}, ["lenght", "length"]),
        ({"prepare__memory": "a lot"}, ["prepare.memory", "512MB", "'a lot'"]),
        ({"prepare__memory": "32MB"}, ["prepare.memory must be >= 64MB, got 32MB"]),
        ({"prepare__shard_bytes": 0}, ["prepare.shard_bytes must be >= 1B, got 0"]),
        ({"source__task": "translate"}, ["translate", "target"]),
        ({"split": {"by": "time"}}, ["time", "each step"]),
        ({"train__model__name": "encoder_decoder"}, ["encoder_decoder", "lstm"]),
        ({"train__select_by": "rmse"}, ["select_by", "accuracy"]),
        ({"train__model__beam": 4}, ["beam", "ignored", "encoder_decoder"]),
        ({"predict__views": 3}, ["predict.views", "views"]),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(changes: dict[str, Any], parts: list[str]) -> None:
    """Would break if a wrong key or value were accepted, or the message lost its place."""
    message = refused(changes)
    for part in parts:
        assert part in message, message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prepare__steps": ["truncate"]}, "steps[0] must be one technique with its options, e.g."),
        ({"prepare__steps": {"shift": {}}}, "steps must be a list, each one technique with its"),
        ({"prepare__steps": [{"shift": 4}]}, "prepare.steps[0].shift must be options in braces"),
        ({"prepare__steps": [{True: {}}]}, "prepare.steps[0]: a name must be text; got true"),
        ({"prepare": []}, "prepare must be keys with their values (recipe, tokens, steps, target"),
        ({"prepare": None}, "prepare: nothing stands there; write keys with their values (recipe"),
        ({"prepare__buckets": ["a", 3]}, "prepare.buckets[0] must be a whole number; got 'a'"),
        ({"prepare__buckets": 2.5}, "must be a whole number or a list of whole numbers; got 2.5"),
        ({"train__model": "lstm"}, "got 'lstm'; did you mean `model: {name: lstm}`?"),
        ({"train__model__pooling": "median"}, "one or several of 'last', 'mean', 'max', 'attent"),
        ({"train__model__pooling": ["mean", "sum"]}, "train.model.pooling[1] must be one of 'last"),
        ({"train__model__head": 32}, "train.model.head must be a list of whole numbers; got 32"),
        ({"train__model__teacher_forcing": [1]}, "must be a list of 2 numbers; got [1]"),
        ({"train__model__front__conv": "big"}, "conv must be a list, each keys with their values"),
        ({"train__model__bidirectional": "both"}, "bidirectional must be true or false; got 'both"),
        ({"train__optimizer__lr": "fast"}, "train.optimizer.lr must be a number; got 'fast'"),
        ({"train__class_weights": True}, "'none', 'balanced'; got true (YAML reads a bare yes"),
        ({"split": "hash"}, "got 'hash'; did you mean `split: {by: hash}`?"),
        (
            {"split__test": "cv9"},
            "a number or a list of texts or null; got 'cv9'; a list is written",
        ),
        ({"source__label": "folder"}, "got 'folder'; did you mean `label: {from: folder}`?"),
        ({"source__label__values": ["a"]}, "must be names in braces, e.g. {found: name}"),
        ({"source": {"path": "x"}}, "source.domain: this key is required: one of 'dna', 'text',"),
        ({"dataset": date(2024, 1, 2)}, "got 2024-01-02; text that looks like a date needs quotes"),
        ({"source__path": ["x" * 99]}, "source.path must be text or null; got ['xxx"),
        ({"int": 3}, "int: unknown key; did you mean"),
        ({True: 3}, "true: unknown key; choose from dataset, predict"),
    ],
)
def test_a_wrong_value_is_told_in_the_words_of_the_file(
    changes: dict[Any, Any], message: str
) -> None:
    """Would break if a person had to know pydantic to read what may stand at a key."""
    told = refused(changes)
    assert message in told and "\n" not in told, told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train__retrain": {"when": "sometimes"}}, "one of 'always', 'new_rows', 'drift'"),
        ({"train__retrain": "drift"}, "did you mean `retrain: {when: drift}`?"),
        ({"train__retrain": {"share": 0.5}}, "share: 0.5 would be ignored: it belongs"),
        ({"train__retrain": {"when": "new_rows", "share": -1}}, "share must be > 0, got -1"),
        ({"train": {"warm_start": True, "encoder_from": "b"}}, "both say what to start from"),
        (
            {"train__warm_start": True, "split": {"by": "folds", "count": 5}},
            "models of folds never become current",
        ),
    ],
)
def test_ways_of_retraining_that_mean_nothing_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    """Would break if a policy were ignored, and nights were trained, or not, for no reason."""
    assert message in refused(changes)


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    """Would break if YAML kept the last of two values without a word."""
    path = tmp_path / "p.yaml"
    path.write_text("dataset: a\nsource: {domain: text, path: x}\ndataset: b\n")
    with pytest.raises(ConfigError, match=r"line 3: the key 'dataset' stands there twice"):
        load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a mapping that starts with `dataset: NAME`; the file is empty"),
        ("- a\n", "it holds a list: take away the `-` at the left edge"),
        ("hello\n", "it holds only 'hello': a key needs a colon"),
        ("dataset: [\n", "line 2, column 1: "),
        ("dataset: a\nsource:\n\tpath: x\n", "line 3, column 1: a tab stands there; indent with"),
        ("dataset: a\nsource:\n  path: x\n   task: y\n", "line 4, column 8: a colon is not exp"),
        ("dataset: a\nsource:\n  path: x\n task: y\n", "line 4, column 2: the line is indented"),
        ("source: {include: *.txt}\n", "a text that begins with * or & needs quotes"),
        ("source: {path: x\n", "line 2, column 1: a bracket is not closed, or a comma is missing"),
        ("source: {path: 'x}\n", "a quote is not closed"),
        ('split: {pattern: "(\\w+)"}\n', "write patterns in single quotes"),
        ("? [a]\n: 3\n", "line 1: a key must be a word, not a list or a mapping"),
        ("\x00", "not valid YAML: unacceptable character"),
    ],
)
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Would break if an empty or broken file ended in a traceback, or in a parser's words."""
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ") and "unicode string" not in str(error.value)


def test_no_pickle_no_tags(tmp_path: Path) -> None:
    """Would break if YAML could run code."""
    path = tmp_path / "p.yaml"
    path.write_text("dataset: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(path)


def test_set_changes_a_key_and_makes_paths_relative_to_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break if --set lost nested keys, or resolved paths against the pipeline file."""
    monkeypatch.chdir(tmp_path)
    body: dict[str, Any] = {"source": {"path": "x"}}
    override(body, "source.path=here")
    override(body, "train.optimizer.lr=0.1")
    assert body["source"]["path"] == str(tmp_path / "here")
    assert body["train"] == {"optimizer": {"lr": 0.1}}


@pytest.mark.parametrize("text", ["a", "=3", "dataset.x=1"])
def test_a_wrong_set_is_refused(text: str) -> None:
    """Would break if a typing mistake in --set were dropped."""
    with pytest.raises(ConfigError, match="--set"):
        override({"dataset": "a"}, text)


def test_split_by_column_keeps_the_column() -> None:
    """Would break if prepare could not see the column that the split needs."""
    table = {"domain": "text", "path": "x", "text_column": "body"}
    split = {"by": "column", "column": "year", "test": [2005]}
    spec = build({**MINIMAL, "source": table, "split": split})
    assert "year" in spec.source.keep


def all_keys(cls: type = Pipeline) -> set[str]:
    """Every key of every dataclass below `cls`, as a person writes it."""
    import flows.pipeline_file as module

    classes = [c for c in module._CLASSES if is_dataclass(c)]
    return {f.name.rstrip("_") for c in classes for f in fields(c)} if cls is Pipeline else set()


def test_the_reference_file_names_every_key() -> None:
    """Would break if a key were added without a word in data/reference.yaml."""
    text = (ROOT / "data" / "reference.yaml").read_text(encoding="utf-8")
    missing = {key for key in all_keys() if f"{key}:" not in text}
    assert not missing


def test_the_reference_file_names_every_technique() -> None:
    """Would break if a technique were not explained."""
    text = (ROOT / "data" / "reference.yaml").read_text(encoding="utf-8")
    assert not [name for name in TRANSFORMS if f" {name}:" not in text]


def test_the_reference_file_is_valid() -> None:
    """Would break if the annotated example could not be run."""
    spec = load(ROOT / "data" / "reference.yaml")
    assert build(to_json(spec)) == spec


def test_tables_that_are_missing_are_named_before_work_starts(tmp_path: Path) -> None:
    """Would break if a run read gigabytes before it found a path mistyped."""
    idf = {"idf": {"reference": "gone.parquet", "tau": 1}}
    with pytest.raises(ConfigError, match=r"idf.reference: .*gone.parquet does not exist"):
        check_tables(build({**MINIMAL, "prepare": {"steps": [idf]}}), base=tmp_path)
    split = {"by": "table", "table": "gone.csv", "key": "id", "column": "set", "test": ["a"]}
    with pytest.raises(ConfigError, match=r"split.table: .*gone.csv does not exist"):
        check_tables(build({**MINIMAL, "split": split}), base=tmp_path)


def test_every_pipeline_file_of_the_project_is_valid() -> None:
    """Would break if a shipped pipeline file went stale."""
    files = sorted((ROOT / "data").rglob("*.yaml"))
    assert len(files) >= 5
    for file in files:
        assert load(file).dataset


def test_the_schema_accepts_the_reference_and_refuses_an_unknown_key() -> None:
    """Would break if `seqprep schema` described another file than the loader reads."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json_schema())
    body = yaml.safe_load((ROOT / "data" / "reference.yaml").read_text(encoding="utf-8"))
    assert list(validator.iter_errors(body)) == []
    assert list(validator.iter_errors({**body, "nonsense": 1}))
    assert list(validator.iter_errors({**body, "prepare": {"steps": [{"nonsense": {}}]}}))


def test_every_key_of_the_run_form_says_what_it_means() -> None:
    """Would break if the form of a deployment showed a field without a word about it."""
    schema = parameter_schema(train).model_dump()
    assert all(one.get("description") for one in schema["properties"].values())
    for name, part in schema["definitions"].items():
        assert part["description"], name
        silent = [key for key, one in part["properties"].items() if not one.get("description")]
        assert not silent, f"{name}: {silent} stand nowhere under Args"
