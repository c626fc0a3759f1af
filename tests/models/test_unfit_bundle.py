"""Files of a bundle that are whole, but not of one model, are refused before it answers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.bundle import MANIFEST, MEMBERS, Bundle, BundleError, seal
from models.predict import predict_examples
from seqprep import __version__
from seqprep.errors import SeqprepError
from seqprep.schema import Task
from tests.models.bundles import TASKS, bundle_of, described, forge, within

NAN = float("nan")


def write(folder: Path, task: Task) -> Path:
    """A bundle with every part that prediction reads."""
    bundle, _ = bundle_of(task)
    fitted = json.loads(bundle.fitted)
    if bundle.facts.vocab_size is None:
        del fitted["vocabulary"]
    pipeline = {
        "dataset": "synthetic",
        "source": {"task": task, "domain": bundle.facts.domain, "path": "data"},
        "prepare": {
            "tokens": {"unit": "kmer", "k": 1, "stride": 1},
            "target_tokens": {"unit": "character", "k": 1, "stride": 1},
            "steps": [{"truncate": {"length": 9}}],
        },
        "train": {"model": {"hidden": 6, "parts": None}},
        "predict": {"views": 0},
    }
    names = {"labels": bundle.facts.labels, "outputs": bundle.facts.channels}
    replace(bundle, pipeline=pipeline, fitted=json.dumps({**fitted, **names}).encode()).write(
        folder
    )
    return folder


@pytest.mark.parametrize(
    ("task", "moments", "message"),
    [
        ("regress", None, "two lists of 1"),
        ("regress", 5, "two lists of 1"),
        ("regress", [[1.0]], "two lists of 1"),
        ("regress", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], "two lists of 1"),
        ("regress", [["100"], [1.0]], "finite numbers"),
        ("regress", [[True], [1.0]], "finite numbers"),
        ("regress", [[NAN], [1.0]], "no finite number"),
        ("regress", [[10**400], [1.0]], "too large"),
        ("regress", [[1.0], [0]], "must be > 0"),
        ("regress", [[1.0], [-2.0]], "must be > 0"),
        ("regress_steps", None, "two lists of 1"),
        ("reconstruct", None, "two lists of 2"),
        ("reconstruct", [[0.0], [1.0]], "two lists of 2"),
        ("classify", [[0.0], [1.0]], "must be null for task 'classify'"),
        ("translate", [[], []], "must be null for task 'translate'"),
    ],
)
def test_moments_must_scale_what_is_foretold(
    tmp_path: Path, task: Task, moments: Any, message: str
) -> None:
    """Those of another task or of no spread end in a traceback, or in answers that are wrong."""
    described(write(tmp_path / "bundle", task), lambda body: body.update(moments=moments))
    with pytest.raises(BundleError, match=rf"model\.json: .*{message}"):
        Bundle.read(tmp_path / "bundle")


@pytest.mark.parametrize("pipeline", [b"null", b'{"dataset": "synthetic"}'])
@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("next", {"vocabulary": [1, 2, 3, 4]}, "vocabulary must be a list of texts"),
        ("next", {"vocabulary": ["A", "C", None, "T"]}, "vocabulary must be a list of texts"),
        ("next", {"vocabulary": "ACGT"}, "vocabulary must be a list of texts"),
        ("next", {"vocabulary": 5}, "vocabulary must be a list of texts"),
        ("next", {"vocabulary": ["A", "C", "G", "A"]}, "vocabulary names 'A' 2 times"),
        ("next", {"vocabulary": ["A", "C"]}, "vocabulary of 2 tokens.*built for 4"),
        ("classify", {"vocabulary": ["A"] * 6}, "vocabulary names 'A' 6 times"),
        ("classify", {"labels": ["yes", "no"]}, "labels are .*built for .'no', 'yes'"),
        ("classify", {"labels": [0, 1]}, "labels must be a list of texts"),
        ("translate", {"target_vocabulary": [1] * 6}, "target_vocabulary must be a list"),
        ("translate", {"target_vocabulary": ["a"] * 6}, "target_vocabulary names 'a' 6 times"),
        ("translate", {"target_vocabulary": ["a"]}, "target_vocabulary of 1 tokens.*for 6"),
        ("reconstruct", {"outputs": ["right", "left"]}, "outputs are .*built for .'left'"),
        ("reconstruct", {"channels": 5}, "channels must be a list of texts"),
    ],
)
def test_fitted_names_must_be_those_of_the_model(
    tmp_path: Path, task: Task, changes: dict[str, Any], message: str, pipeline: bytes
) -> None:
    """Answers are spelt by them, with a pipeline and without: another's would read as true."""
    folder = write(tmp_path / "bundle", task)
    forge(folder, "pipeline.json", pipeline)
    body = json.loads((folder / "fitted.json").read_bytes())
    forge(folder, "fitted.json", json.dumps({**body, **changes}).encode())
    with pytest.raises(BundleError, match=rf"fitted\.json: .*{message}"):
        Bundle.read(folder)


@pytest.mark.parametrize("content", [b"[]", b"junk", b"null"])
def test_a_fitted_state_is_one_even_without_a_pipeline(tmp_path: Path, content: bytes) -> None:
    """A model of prepared examples spells its answers from the same file."""
    folder = write(tmp_path / "bundle", "translate")
    forge(folder, "pipeline.json", b"null")
    forge(folder, "fitted.json", content)
    with pytest.raises(BundleError, match=r"fitted\.json"):
        Bundle.read(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prepare": 5}, "prepare must be an object, got 5"),
        ({"source": []}, "source must be an object"),
        ({"train": "fast"}, "train must be an object"),
        ({"prepare": {"target_tokens": []}}, r"prepare\.target_tokens must be an object"),
        ({"prepare": {"target_tokens": {"k": "a"}}}, r"target_tokens\.k must be a whole number"),
        ({"prepare": {"tokens": {"stride": 1.5}}}, r"tokens\.stride must be a whole number"),
        ({"prepare": {"tokens": {"unit": 5}}}, r"tokens\.unit must be a text"),
        ({"source": {"task": "classify"}}, "source.task is 'classify'.*trained for 'translate'"),
        ({"source": {"domain": "eeg"}}, "source.domain is 'eeg'.*trained for 'dna'"),
        ({"clean": {}}, rf"unknown clean.*this is {__version__}"),
    ],
)
def test_parts_of_the_pipeline_must_be_what_prediction_reads(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    """They say how records are prepared, and how answers are spelt."""
    folder = write(tmp_path / "bundle", "translate")
    forge(folder, "pipeline.json", json.dumps({"dataset": "synthetic", **changes}).encode())
    with pytest.raises(BundleError, match=rf"pipeline\.json: .*{message}"):
        Bundle.read(folder)


def test_null_options_of_tokens_are_those_left_out(tmp_path: Path) -> None:
    """A pipeline written by hand may say so, and must not end in a traceback."""
    folder = write(tmp_path / "bundle", "translate")
    rows = bundle_of("translate")[1]
    wanted = predict_examples(Bundle.read(folder), rows)
    prepare = {"target_tokens": {"unit": "character", "k": None, "stride": None}, "tokens": None}
    forge(folder, "pipeline.json", json.dumps({"prepare": prepare, "source": None}).encode())
    assert predict_examples(Bundle.read(folder), rows).equals(wanted)


VALUES = (
    *(None, True, 0, -1, 1, 2, 3, 7, 0.5, -2.5, 1e300, 1e-300, 2**31, 2**63, 10**30, 10**400, NAN),
    *("", "A", "lstm", "next", "\ud800", "\0", "x" * 1000),
    *([], {}, [None], [0], [[]], ["A", "A"], {"a": 1}, [[1.0], [1.0]], [1, 2, 3]),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every object or list of a JSON value with a key of it."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in parts:
        yield value, key
        if isinstance(part, dict | list):
            yield from places(part)


def mutated(body: Any, rng: random.Random) -> Any:
    """The value with one or two places changed, taken away, doubled or renamed."""
    for _ in range(rng.randint(1, 2)):
        spots = list(places(body)) if isinstance(body, dict | list) else []
        if not spots:
            return deepcopy(rng.choice(VALUES))
        held, key = rng.choice(spots)
        match rng.randrange(5):
            case 0:
                del held[key]
            case 1 if isinstance(held, list):
                held.insert(key, deepcopy(held[key]))
            case 1:
                held[f"{key}s"] = deepcopy(held[key])
            case _:
                held[key] = deepcopy(rng.choice(VALUES))
    return body


def check_mutations(folder: Path, task: Task, *, seed: int, times: int) -> tuple[int, int]:
    """Load and predict after each mutation of a JSON member; how many did, and were refused."""
    _, rows = bundle_of(task)
    write(folder, task)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    rng = random.Random(f"{task} {seed}")
    answered = refused = 0
    for _ in range(times):
        name = rng.choice([member for member in (*MEMBERS, MANIFEST) if member.endswith(".json")])
        body = mutated(json.loads(whole[name]), rng)
        try:
            with within(10):
                if name == MANIFEST:
                    (folder / name).write_bytes(_sealed(body))
                else:
                    forge(folder, name, json.dumps(body).encode())
                predict_examples(Bundle.read(folder), rows)
            answered += 1
        except SeqprepError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{name}: {json.dumps(body)}") from error
        for member, content in whole.items():
            (folder / member).write_bytes(content)
    return answered, refused


def _sealed(body: Any) -> bytes:
    """A manifest with its digest, where it can have one."""
    try:
        return seal(body)
    except (AttributeError, ValueError):
        return json.dumps(body).encode()


@pytest.mark.parametrize("task", TASKS)
def test_no_mutation_of_the_json_gets_past_the_checks(tmp_path: Path, task: Task) -> None:
    """Whoever forges a bundle is refused by name or answered: never a traceback from within."""
    answered, refused = check_mutations(tmp_path / "bundle", task, seed=0, times=40)
    assert answered > 2 and refused > 15


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_no_mutation_of_many_gets_past_the_checks(tmp_path: Path, task: Task) -> None:
    """The same with seven hundred mutations a task, five thousand in all."""
    answered, refused = check_mutations(tmp_path / "bundle", task, seed=1, times=715)
    assert answered > 35 and refused > 250
