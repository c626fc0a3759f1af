"""What `seqprep compare` prints at its end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from flows.comparison.table import Cheap, Row, cells, cheap_cells
from flows.references import Json

HEAD = ("strategy", "validation", "test", "training, s", "steps kept")
FEWEST = 2
"""Columns that are always printed: a narrow terminal leaves out those on the right."""
AROUND = 3
"""Characters around what stands in a cell."""


def print_comparison(done: Json) -> None:
    """The table, the recommendation and the paths, for a person at a terminal."""
    console = Console(highlight=False)
    lines = [_line(Row(**body)) for body in done["rows"]]
    lines += [_cheap_line(Cheap(**body)) for body in done["baselines"]]
    console.print(_grid(lines, width=console.width))
    if not all(body["in_full"] for body in done["rows"]):
        console.print("(strategy): dropped after the search, scored with one seed", soft_wrap=True)
    console.print(done["verdict"].replace("**", ""), soft_wrap=True, markup=False)
    for what in ("page", "html", "winner"):
        if done[what]:
            console.print(f"{what}: {done[what]}", soft_wrap=True, markup=False)


def _line(row: Row) -> list[str]:
    name, score, between, test, test_between, seconds, _, _, kept, *_ = cells(row)
    shown = [f"{score} ({between})", f"{test} ({test_between})" if test else "", seconds, kept]
    return [name if row.in_full else f"({name})", *shown]


def _cheap_line(row: Cheap) -> list[str]:
    name, score, between, test, test_between, *_ = cheap_cells(row)
    shown = [f"{score} ({between})" if between else score]
    shown += [f"{test} ({test_between})" if test_between else test]
    return [name.strip("*"), *shown, "", ""]


def _grid(lines: Sequence[Sequence[str]], *, width: int) -> Grid:
    columns = zip(HEAD, *lines, strict=True)
    widths = [max(map(len, column)) + AROUND for column in columns]
    count = len(HEAD)
    while count > FEWEST and sum(widths[:count]) + 1 > width:
        count -= 1
    grid = Grid(*(Column(name, justify="right", no_wrap=True) for name in HEAD[:count]))
    grid.columns[0].justify = "left"
    for line in lines:
        grid.add_row(*map(Text, line[:count]))
    return grid
