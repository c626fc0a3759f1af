"""What `seqprep compare` prints at its end."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from flows.comparison.table import Cheap, Row, cells, cheap_cells
from flows.references import Json


def print_comparison(done: Json) -> None:
    """The table, the recommendation and the paths, for a person at a terminal."""
    console = Console(highlight=False)
    head = ["strategy", "validation", "test", "training, s", "steps kept"]
    grid = Grid(head[0], *(Column(name, justify="right", no_wrap=True) for name in head[1:]))
    for body in done["rows"]:
        row = Row(**body)
        name, score, between, test, test_between, seconds, _, _, kept, *_ = cells(row)
        shown = [f"{score} ({between})", f"{test} ({test_between})" if test else "", seconds, kept]
        grid.add_row(*map(Text, [name if row.in_full else f"({name})", *shown]))
    for body in done["baselines"]:
        name, score, between, test, test_between, *_ = cheap_cells(Cheap(**body))
        shown = [f"{score} ({between})" if between else score]
        shown += [f"{test} ({test_between})" if test_between else test]
        grid.add_row(*map(Text, [name.strip("*"), *shown, "", ""]))
    console.print(grid)
    if not all(body["in_full"] for body in done["rows"]):
        console.print("(strategy): left after the search, scored with one seed", soft_wrap=True)
    console.print(done["verdict"].replace("**", ""), soft_wrap=True, markup=False)
    for what in ("page", "html", "winner"):
        if done[what]:
            console.print(f"{what}: {done[what]}", soft_wrap=True, markup=False)
