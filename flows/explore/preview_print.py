"""What `seqprep preview` prints for a person."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from flows.explore.frequencies import shown_token
from flows.pipeline_yaml import in_one_line
from flows.references import Json
from flows.reporting.counted import counted

QUANTILES = {"0": "shortest", "0.25": "a quarter under", "0.5": "median", "0.95": "95 % under"}


def print_preview(done: Json) -> None:
    """What was read, the steps, tokens, lengths, and records side by side."""
    console = Console(highlight=False)
    console.print(
        f"{done['dataset']}, recipe {done['recipe']}: read {done['read']}", soft_wrap=True
    )
    rows = ", ".join(f"{split} {count:,}" for split, count in done["rows"].items())
    left = ", ".join(
        f"{reason.replace('_', ' ')} {count:,}"
        for reason, count in done["left_out"].items()
        if count
    )
    console.print(f"rows: {rows}" + (f"; records left out: {left}" if left else ""))
    for split, labels in done["labels"].items():
        console.print(
            f"  {split}: " + ", ".join(f"{name} {count:,}" for name, count in labels.items()),
            markup=False,
            soft_wrap=True,
        )
    if done["steps"]:
        console.print(_steps(done["steps"]))
    for step in done["steps"]:
        if step["window"] and step["window"]["short_rows"]:
            console.print(_short_rows(step), soft_wrap=True)
    for cut in done["cuts"]:
        _print_cut(console, cut)
    console.print(_lengths(done["lengths"]))
    rate = ", ".join(f"{split} {share:.2%}" for split, share in done["oov_rate"].items())
    if rate:
        console.print(f"vocabulary {done['vocabulary']:,} tokens; OOV: {rate}")
    console.print(f"records left without a step: {done['emptied']:,}")
    for record in done["side_by_side"]:
        _print_record(console, record)
    console.print(f"plot: {done['plot']}", soft_wrap=True, markup=False)


def _steps(steps: list[Json]) -> Grid:
    grid = Grid("step", "options", "rows", "steps before", "after", "removed")
    for step in steps:
        before, after = step["rows"]
        rows = f"{before:,}" if before == after else f"{before:,} to {after:,}"
        cells = [step["name"] + (" (each epoch)" if step["drawn"] else "")]
        cells += [in_one_line(step["options"])[1:-1], rows]
        cells += [f"{number:,}" for number in step["steps"]]
        grid.add_row(*map(Text, [*cells, f"{step['removed_share']:.1%}"]))
    return grid


def _short_rows(step: Json) -> str:
    """How many rows fill no window: a window of little more than padding is easily overlooked."""
    window, rows = step["window"], step["rows"][0]
    return (
        f"{step['name']}: {window['short_rows']:,} of {rows:,} rows are shorter than a window of "
        f"{window['steps']:,} steps; each makes one window of what it has"
    )


def _print_cut(console: Console, cut: Json) -> None:
    told = f"{cut['step']}: {counted(cut['distinct'], 'different token')} cut"
    told += f", {cut['unknown']:,} become OOV" if cut["unknown"] else ""
    console.print(told)
    for end in ("most", "least"):
        if cut[end]:
            words = ", ".join(f"{shown_token(token)} {count:,}" for token, count in cut[end])
            console.print(f"  {end} frequent: {words}", markup=False, soft_wrap=True)


def _lengths(lengths: Json) -> Grid:
    grid = Grid("lengths in steps", *QUANTILES.values(), "longest")
    for when in ("before", "after"):
        found = lengths[when]
        grid.add_row(when, *(f"{found[key]:,.0f}" for key in (*QUANTILES, "1")))
    return grid


def _print_record(console: Console, record: Json) -> None:
    rows = f", {record['rows_after']} rows" if record["rows_after"] > 1 else ""
    label = "" if record["label"] is None else f", {record['label']}"
    view = f", view {record['view']}" if record["view"] else ""
    view += ", as drawn in the first epoch" if record["drawn"] else ""
    console.print(
        Text(
            f"{record['id']} ({record['split']}{label}{view}): {record['steps_before']:,} to "
            f"{counted(record['steps_after'], 'step')}{rows}",
            style="bold",
        )
    )
    grid = Grid.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_column(ratio=1, overflow="fold")
    grid.add_row(Text(record["before"]), Text(record["after"]))
    console.print(grid)
