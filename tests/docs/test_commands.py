"""Every command of the guide is run, and prints what the guide shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows.cli import app
from flows.pipeline_file import build
from tests.conftest import ROOT
from tests.docs.console import (
    GUIDE,
    Block,
    blocks,
    commands,
    folder_of_a_reader,
    masked,
    matches,
    run,
)

PAGES = sorted(GUIDE.glob("*.md"), key=lambda page: page.stem)
SHELL = ("console", "bash")


def follow(page: Path, folder: Path, *, slow: bool) -> None:
    """Do what a page says, in order; without `slow` what takes a second or two."""
    folder_of_a_reader(folder)
    for block in blocks(page):
        if block.language == "yaml" and block.title:
            (folder / block.title).write_text(block.body, encoding="utf-8")
        elif block.language == "console" and (block.note == "" or (slow and block.note == "slow")):
            check(page, block, folder)


def check(page: Path, block: Block, folder: Path) -> None:
    for command, shown in commands(block.body):
        status, printed = run(command, folder)
        where = f"{page.name}, line {block.line}: {command}\n{printed}"
        assert "Traceback" not in printed, where
        assert status == (2 if re.search("^error: ", shown, re.MULTILINE) else 0), where
        assert matches(shown, printed), f"{where}\n--- shown, masked:\n{masked(shown)}"


def has(page: Path, note: str) -> bool:
    return any(block.language == "console" and block.note == note for block in blocks(page))


@pytest.mark.parametrize("page", [one for one in PAGES if has(one, "")], ids=lambda one: one.stem)
def test_quick_commands_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    """A message or an option that changed would leave the guide behind."""
    follow(page, tmp_path, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if has(p, "slow")], ids=lambda one: one.stem)
def test_every_command_prints_what_is_shown(page: Path, tmp_path: Path) -> None:
    """A newcomer who follows a page would be left alone half-way."""
    follow(page, tmp_path, slow=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.stem)
def test_no_command_stands_untested(page: Path) -> None:
    """A command for a cluster or a server would be copied from a page that nobody tried."""
    for block in blocks(page):
        if block.language in SHELL and block.note.startswith("tested by"):
            file, _, test = block.note.removeprefix("tested by ").partition("::")
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), block.note
        elif block.language == "bash":
            raise AssertionError(f"{page.name}, line {block.line}: neither run nor tested")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda one: one.stem)
def test_every_seqprep_command_is_one(page: Path) -> None:
    """An option that was renamed would stand in a block whose test does not read the page."""
    for block in blocks(page):
        if block.language not in SHELL:
            continue
        for words in seqprep_commands(block.body):
            app.parse_args(words, exit_on_error=False, print_error=False)


def seqprep_commands(body: str) -> Iterator[list[str]]:
    """What follows `seqprep` in the lines of a block that a person types, refused ones left out."""
    for command, shown in commands(body) if "$ " in body else [(body, "")]:
        lines = command.replace("\\\n", " ").splitlines()
        for part in re.split(r"&&|\$\(|\|", "\n".join(lines)):
            for line in part.splitlines():
                words = shlex.split(line.replace(")", " "), comments=True)
                if words[:1] == ["seqprep"] and "error: " not in shown:
                    at = words.index("--endpoint") if "--endpoint" in words else len(words)
                    yield [*words[1:at], *words[at + 2 :]]  # every command takes an endpoint


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda one: one.stem)
def test_every_pipeline_file_is_valid(page: Path) -> None:
    """A key that the loader refuses would stand in an example; parts go upon the text sample."""
    sample = yaml.safe_load((ROOT / "data" / "text.yaml").read_text(encoding="utf-8"))
    for block in blocks(page):
        if block.language == "yaml" and not block.body.startswith("--8<--"):
            found = yaml.safe_load(block.body)
            whole = (
                found
                if "dataset" in found
                else sample | {key: sample[key] | value for key, value in found.items()}
            )
            assert build(whole).dataset
