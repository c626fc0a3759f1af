"""The page of known mistakes: whole, with the figures that were measured and tests that exist."""

from __future__ import annotations

import ast
import importlib
import json
import re
from typing import Any

import pytest

from benchmarks.mistakes.__main__ import JSON, MISTAKES, TABLE, table, tables_of, title
from benchmarks.mistakes.page import PAGE, renew, tables_in
from tests.conftest import ROOT

TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\d+)\. (.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(JSON.read_bytes())
    return found


@pytest.mark.parametrize("number", MISTAKES)
def test_the_page_tells_all_of_each_mistake(number: int) -> None:
    """A reader would lack the wrong code, the right way, its cost, or what keeps it away."""
    section = SECTIONS[str(number)]
    code = section.partition("```python\n")[2].partition("```")[0]
    assert 1 <= len(code.strip().splitlines()) <= 4
    assert "**Right:**" in section and "`" in section.partition("**Right:**")[2]
    assert f"<!-- measured {number} -->" in section
    assert re.search(r"\*\*Caught by\*\*\s+`tests/", section)


def test_all_fourteen_are_there_and_measured() -> None:
    """A mistake of the list would be passed over."""
    numbers = [str(number) for number in range(1, 15)]
    assert list(SECTIONS) == numbers == list(recorded()["mistakes"])
    for found in recorded()["mistakes"].values():
        assert found["figures"]


def test_the_page_shows_what_was_recorded() -> None:
    """A benchmark that is run again would leave old figures on the page."""
    assert tables_in(PAGE) == tables_of(recorded())
    assert TABLE.read_text(encoding="utf-8") == table(recorded())


def test_recorded_titles_are_those_of_the_code() -> None:
    """Figures would stand under the name of another mistake."""
    for number, found in recorded()["mistakes"].items():
        module = importlib.import_module(f"benchmarks.mistakes.{MISTAKES[int(number)]}")
        assert found["title"] == title(module)
        assert str(module.__doc__).startswith(f"Mistake {number}: ")


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_every_named_test_exists(path: str, name: str) -> None:
    """A test that is renamed would leave a name that nobody can run."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_only_the_tables_are_renewed(tmp_path: Any) -> None:
    """Words that people wrote would be lost."""
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- measured 3 -->\n\nold\n\n<!-- end -->\nb\n")
    renew(page, {3: "new\n", 4: "other\n"})
    assert page.read_text() == "a\n<!-- measured 3 -->\n\nnew\n\n<!-- end -->\nb\n"
