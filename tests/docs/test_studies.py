"""The studies' commands, each as the guide shows it: which way is best may differ by machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.console import GUIDE, commands, folder_of_a_reader, run
from tests.docs.console import blocks as blocks_of

NOTE = "tested by tests/docs/test_studies.py::test_a_study_prints_the_table_that_is_shown"
STUDIES = [
    (command, shown)
    for block in blocks_of(GUIDE / "studies.md")
    if block.note == NOTE
    for command, shown in commands(block.body)
]


def rows_of(text: str) -> set[str]:
    """The first cell of each row of a table."""
    return {line.split("│")[1].strip(" <-()") for line in text.splitlines() if line[:1] == "│"}


def head_of(text: str) -> list[str]:
    """The words of a table's head."""
    return [word for line in text.splitlines() if line[:1] == "┃" for word in line.split()]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "shown"), STUDIES, ids=lambda text: text.split()[1])
def test_a_study_prints_the_table_that_is_shown(command: str, shown: str, tmp_path: Path) -> None:
    """A reader would look for rows or columns that are not there."""
    status, printed = run(command, folder_of_a_reader(tmp_path))
    assert status == 0, printed
    assert rows_of(shown) and rows_of(printed) == rows_of(shown), printed
    assert head_of(shown) and head_of(printed) == head_of(shown), printed
    paths = [line for line in printed.splitlines() if line.startswith(("page: ", "html: "))]
    assert len(paths) == 2, printed


def test_each_study_is_shown() -> None:
    """A study that no reader has seen the output of."""
    assert {command.split()[1] for command, _ in STUDIES} == {"compare", "lengths", "optimizers"}
