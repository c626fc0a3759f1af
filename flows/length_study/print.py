"""What `seqprep lengths` prints at its end."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from flows.comparison.scores import TOLD
from flows.length_study.table import Row, cells
from flows.references import Json


def print_lengths(done: Json) -> None:
    """The table, the named length, the exponent and the paths, for a person at a terminal."""
    console = Console(highlight=False)
    head = ["length", "validation", "test", "update, s", "MB"]
    columns = [Column(name, justify="right", no_wrap=True) for name in head]
    columns[0].justify = "left"
    grid = Grid(*columns)
    for body in done["rows"]:
        row = Row(**body)
        name, score, between, test, _, _, _, _, update_s, _, _, memory = cells(row)
        name += " <-" if row.steps == done["named"] else ""
        update_s = update_s.partition(" ")[0]
        grid.add_row(*map(Text, [name, f"{score} ({between})", test, update_s, memory]))
    console.print(f"{done['dataset']}: {TOLD[done['measure']]} at each length")
    console.print(grid)
    chance, baseline = done["rows"][-1]["chance"], done["rows"][-1]["baseline"]
    beside = [f"chance {chance:.3f}"] if chance is not None else []
    if baseline is not None:
        beside.append(f"{done['baseline'].replace('_', ' ')} {baseline:.3f}")
    if beside:
        console.print(f"beside, on {done['rows'][-1]['told']}: {', '.join(beside)}")
    console.print(done["verdict"].replace("**", ""), soft_wrap=True, markup=False)
    console.print(f"Time: {done['time']}.", soft_wrap=True, markup=False)
    for what in ("page", "html"):
        console.print(f"{what}: {done[what]}", soft_wrap=True, markup=False)
