"""A pipeline cut to a length: what stays of it, and how long its rows are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flows.length_study.cut import cut, rows_an_update, told, uncut
from flows.pipeline_file import Pipeline, load
from tests.conftest import ROOT


def sample(name: str) -> Pipeline:
    return load(ROOT / "data" / f"{name}.yaml")


def steps_of(spec: Pipeline) -> list[dict[str, object]]:
    return [dict(step) for step in spec.prepare.steps]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["text", "dna", "eeg"])
def test_the_files_own_model_and_training_stay(name: str) -> None:
    """Would break if the study said something of another model than the person's."""
    spec = sample(name)
    own = cut(uncut(spec)[0], 64, keep=None)
    assert own.train == spec.train
    assert (own.source, own.split, own.prepare.tokens) == (
        spec.source,
        spec.split,
        spec.prepare.tokens,
    )


def test_the_cut_stands_behind_what_is_stored_and_before_what_is_drawn() -> None:
    """Would break if lengths were not those that the model reads."""
    own = cut(uncut(sample("dna"))[0], 64, keep="head")
    assert steps_of(own) == [
        {"truncate": {"length": 64, "keep": "head"}},
        {"reverse_complement": {"p": 0.5, "when": "train"}},
        {"shift": {"max": 8, "when": "train"}},
    ]


@pytest.mark.parametrize(("steps", "most"), [(64, 8), (16, 4), (3, None)])
def test_a_random_shift_leaves_most_of_a_short_record(steps: int, most: int | None) -> None:
    """Would break if training rows of a short rung lost most of their steps."""
    own = cut(uncut(sample("dna"))[0], steps, keep=None)
    shifts = [step["shift"]["max"] for step in own.prepare.steps if "shift" in step]
    assert shifts == ([] if most is None else [most])


def test_steps_that_set_a_length_are_left_out_and_named() -> None:
    """Would break if every rung beyond the file's own cut were the same data."""
    spec = sample("text")
    steps = (*spec.prepare.steps, {"truncate": {"length": 20, "keep": "head"}})
    spec = replace(spec, prepare=replace(spec.prepare, steps=steps))
    bare, left_out = uncut(spec)
    assert left_out == ["truncate"]
    assert [next(iter(step)) for step in bare.prepare.steps] == ["summarize"]


def test_each_length_has_a_recipe_of_its_own() -> None:
    """Would break if one length's rows replaced another's."""
    bare, _ = uncut(sample("text"))
    names = [
        cut(bare, steps, keep=keep).prepare.recipe for steps in (8, 16) for keep in (None, "head")
    ]
    assert len({*names, bare.prepare.recipe}) == 5


def test_where_every_step_is_answered_records_are_read_in_pieces() -> None:
    """Would break if a cut took answers away, so that lengths were scored on other steps."""
    spec = load(
        ROOT / "data" / "real" / "eye_state.yaml", overrides=[f"source.path={Path('/').resolve()}"]
    )
    own = cut(uncut(spec)[0], 64, keep=None)
    assert steps_of(own) == [{"windows": {"length": 64}}]
    assert told(64, "pieces", longest=500) == "pieces of 64 steps"


def test_an_update_has_fewer_rows_of_very_long_records() -> None:
    """Would break if a batch of long records outgrew the memory."""
    spec = sample("text")
    assert rows_an_update(spec, longest=100) == 32
    assert rows_an_update(spec, longest=2**14) == 16
    assert rows_an_update(spec, longest=2**20) == 8
