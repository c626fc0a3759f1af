"""The tables of `docs/known-mistakes.md`, renewed from what was measured.

Each stands between `<!-- measured N -->` and `<!-- end -->`; the words around it are people's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/known-mistakes.md"
_TABLE = re.compile(r"(<!-- measured (\d+) -->\n\n)(.*?)(\n<!-- end -->)", re.DOTALL)


def renew(page: Path, tables: Mapping[int, str]) -> None:
    """Put the tables where the page has room for them.

    Args:
        page: Markdown.
        tables: by the mistake's number; those not given stay.
    """

    def put(place: re.Match[str]) -> str:
        table = tables.get(int(place[2]), place[3])
        return f"{place[1]}{table}{place[4]}"

    page.write_text(_TABLE.sub(put, page.read_text(encoding="utf-8")), encoding="utf-8")


def tables_in(page: Path) -> dict[int, str]:
    """The table of each mistake as the page has it."""
    text = page.read_text(encoding="utf-8")
    return {int(number): table for _, number, table, _ in _TABLE.findall(text)}
