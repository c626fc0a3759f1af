"""What `show` says of a store, without starting anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli import app
from flows.comparison.applied import recipe_name
from flows.show import describe
from flows.show_print import print_description
from seqprep.errors import SeqprepError
from seqprep.ingest import ingest
from seqprep.prepare import Prepared, prepare
from seqprep.recipe import Prepare, Split, Tokens
from seqprep.source import Source
from tests.sources import write_files


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Twenty documents of 1 to 20 letters, one of them twice, and an empty one."""
    files: dict[str, bytes | str] = {f"{'ab'[n % 2]}/{n}.txt": "x" * n for n in range(1, 21)}
    write_files(tmp_path / "in", {**files, "a/empty.txt": "", "b/twice.txt": "x" * 19})
    source = Source(domain="text", path=str(tmp_path / "in"))
    ingest(source, dataset="d", store=tmp_path / "store")
    prepare_as("default", tmp_path / "store")
    return tmp_path / "store"


def prepare_as(recipe: str, store: Path) -> Prepared:
    """Characters, as a recipe of that name."""
    return prepare(
        dataset="d",
        store=store,
        domain="text",
        task="classify",
        split=Split(train=0.5, validation=0.25, test=0.25),
        recipe=Prepare(recipe=recipe, tokens=Tokens(unit="character")),
    )


def test_rejected_records_are_shown_with_file_and_reason(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person could not look up which record is missing, and why."""
    described = describe(store)
    rejections = described["datasets"][0]["rejections"]
    assert [item["source"] for item in rejections["first"]] == ["a/empty.txt"]
    assert Path(rejections["path"]).is_file()
    print_description(described)
    shown = capsys.readouterr().out
    assert "a/empty.txt" in shown
    assert rejections["path"] in shown.replace("\n", "")


def test_lengths_end_at_the_longest_record(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A length that no record has would be shown, in no unit."""
    print_description(describe(store))
    shown = capsys.readouterr().out
    assert "before      1 .. 20 characters" in shown
    assert "after       1 .. 20 steps" in shown
    assert "left out    duplicate" in shown or "left out    conflicting label" in shown


def test_recipes_of_studies_stand_apart(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A person would look for the own recipe among twenty that `compare` made."""
    tried = recipe_name("truncate-tail")
    snapshot = prepare_as(tried, store).snapshot
    prepare_as("comparable", store)
    print_description(describe(store))
    shown = capsys.readouterr().out
    assert shown.count("examples, recipe ") == 2 and "examples, recipe comparable" in shown
    assert "  of studies  compare-truncate-tail\n" in shown
    job = store / "d" / "models" / f"{tried}-1" / "job.json"  # the recommended file was run
    job.parent.mkdir(parents=True)
    job.write_text(json.dumps({"snapshot": snapshot}))
    print_description(describe(store))
    shown = capsys.readouterr().out
    assert f"examples, recipe {tried}" in shown and "of studies" not in shown


@pytest.mark.parametrize("command", ["show", "verify", "gc"])
def test_a_dataset_is_found_by_path_or_inside_a_store(store: Path, command: str) -> None:
    """`--store`, which the other commands take, would be an unknown option."""
    for arguments in ([str(store / "d")], ["d", "--store", str(store)], ["--store", str(store)]):
        app([command, *arguments], exit_on_error=False, result_action="return_value")
    with pytest.raises(SeqprepError, match=rf"no dataset here; in {store} there are d; "):
        app([command, "e", "--store", str(store)], exit_on_error=False)
