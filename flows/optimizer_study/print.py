"""What `seqprep optimizers` prints at its end."""

from __future__ import annotations

from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid
from rich.text import Text

from flows.references import Json


def print_study(done: Json) -> None:
    """The table, the findings and the paths, for a person at a terminal."""
    console = Console(highlight=False)
    head = ["validation\nloss", f"test\n{done['measure']}", "late\njump", "training\ns"]
    grid = Grid(Column("variant", no_wrap=True), *(Column(name, justify="right") for name in head))
    for row in done["rows"]:
        shown = [_number(row[key]) for key in ("validation_loss", "test", "late_jump")]
        grid.add_row(*map(Text, [row["variant"], *shown, f"{row['train_seconds']:,.0f}"]))
    for row in done["baselines"]:
        test = "" if row["test"] is None else _number(row["test"])
        grid.add_row(*map(Text, [f"({row['name']})", "", test, "", ""]))
    console.print(grid)
    for text in done["findings"]:
        console.print(text.replace("**", ""), soft_wrap=True, markup=False)
    for what in ("page", "html"):
        console.print(f"{what}: {done[what]}", soft_wrap=True, markup=False)


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4f}"
