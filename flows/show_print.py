"""What the `show`, `models` and `run` commands print for a person: datasets, versions, results."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid

from flows.references import Json
from flows.reporting.reports import best_baseline, main_score
from flows.show import when
from seqprep.schema import length_unit

BARS = " ▁▂▃▄▅▆▇█"


def sparkline(counts: list[int], *, width: int = 32) -> str:
    """A histogram as one line of at most `width` blocks.

    >>> sparkline([0, 1, 8]), sparkline([1, 0, 4, 4], width=2)
    (' ▁█', '▁█')
    """
    step = max(1, -(-len(counts) // width))
    counts = [sum(counts[start : start + step]) for start in range(0, len(counts), step)]
    top = max(counts, default=0) or 1
    return "".join(BARS[0 if c == 0 else max(1, round(8 * c / top))] for c in counts)


def print_description(described: Json) -> None:
    """Print what `describe` found, for a person."""
    console = Console(highlight=False)
    for item in described["datasets"]:
        console.rule(f"[bold]{item['dataset']}", align="left")
        _print_sequences(console, item["sequences"])
        _print_rejections(console, item["rejections"])
        if item["withdrawn"]:
            console.print(f"  withdrawn   {_pairs(item['withdrawn'])}", markup=False)
        domain = item["sequences"][-1]["params"]["domain"]
        for recipe, versions in item["recipes"].items():
            _print_recipe(console, recipe, versions, unit=length_unit(domain))
        if item["recipes_of_studies"]:
            told = ", ".join(item["recipes_of_studies"])
            console.print(f"  of studies  {told}", markup=False, soft_wrap=True)
        if item["models"]:
            _print_models(console, item["models"], current=item["current"])
        for name, seen in item["trained_on_withdrawn"].items():
            told = f"  {name} was trained on withdrawn records: {_pairs(seen)}"
            console.print(told, markup=False, soft_wrap=True)


def _print_sequences(console: Console, versions: list[Json]) -> None:
    grid = Grid("version", "time", "rows", "rejected", "files", "fingerprint", title="sequences")
    grid.title_justify = "left"
    for item in versions:
        counts = item["counts"]
        grid.add_row(
            str(item["version"]),
            item["time"],
            *(f"{counts.get(key, 0):,}" for key in ("rows", "rejected", "files")),
            item["gone"] or item["fingerprint"][:12],
        )
    console.print(grid)
    newest = versions[-1]
    console.print(f"  made from   {_source_line(newest['params'])}", markup=False)
    for title, key in (("labels", "labels"), ("rejected", "rejections"), ("odd, kept", "oddities")):
        if newest["counts"].get(key):
            console.print(f"  {title:11} {_pairs(newest['counts'][key])}", markup=False)


def _print_rejections(console: Console, rejections: Json) -> None:
    for item in rejections["first"]:
        line = "" if item["line"] is None else f":{item['line']}"
        told = f"{item['source']}{line}: {item['reason']}: {item['detail']}"
        console.print(f"    {told}", markup=False, soft_wrap=True)
    if rejections["first"]:
        console.print(f"    all of them: {rejections['path']}", markup=False, soft_wrap=True)


def _source_line(params: Json) -> str:
    source = params.get("source", params)
    keys = ("domain", "task", "include", "label", "group", "target")
    shown = {key: source[key] for key in keys if source.get(key)}
    for key, value in shown.items():
        if isinstance(value, dict):
            shown[key] = {name: one for name, one in value.items() if one is not None}
    return json.dumps(shown, ensure_ascii=False)


def _pairs(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _print_recipe(console: Console, recipe: str, versions: list[Json], *, unit: str) -> None:
    grid = Grid("version", "time", "train", "validation", "test", "padding", "fingerprint")
    grid.title, grid.title_justify = f"examples, recipe {recipe}", "left"
    for item in versions:
        counts = item["counts"]
        grid.add_row(
            str(item["version"]),
            item["time"],
            *(f"{counts['rows'].get(split, 0):,}" for split in ("train", "validation", "test")),
            f"{counts['padding_share']:.1%}",
            item["gone"] or item["fingerprint"][:12],
        )
    console.print(grid)
    newest = versions[-1]
    counts = newest["counts"]
    recipe_json = newest["params"].get("recipe", {})
    steps = json.dumps(recipe_json.get("steps", []), ensure_ascii=False)
    console.print(f"  steps       {steps}", markup=False)
    console.print(f"  buckets     {', '.join(str(b) for b in counts['buckets'])} steps")
    for reason, by_split in counts["left_out"].items():
        if by_split:
            console.print(f"  left out    {reason.replace('_', ' ')}: {_pairs(by_split)}")
    for title, key, of in (("before", "lengths_before", unit), ("after", "lengths_after", "steps")):
        data = counts[key]
        edges = f"{data['edges'][0]:,} .. {data['edges'][-1] - 1:,} {of}"
        line = f"  {title:11} {edges} |{sparkline(data['counts'])}|"
        console.print(line, markup=False)


def _print_models(console: Console, models: list[Json], *, current: str | None) -> None:
    grid = Grid(_folders(), "", "test", "majority", "best baseline", "seconds", title="models")
    grid.title_justify = "left"
    for item in models:
        test = item["metrics"].get("test", {})
        baseline = best_baseline(item)
        grid.add_row(
            item["name"],
            "current" * (item["name"] == current),
            shown_score(test),
            _number(test.get("majority")),
            "" if baseline is None else f"{baseline[0]} {baseline[1]:.3f}",
            f"{item['seconds']:,.0f}",
        )
    console.print(grid)


def _folders() -> Column:
    """A column of names that a person copies: never cut."""
    return Column("model", no_wrap=True, overflow="fold")


def print_models(listed: Json) -> None:
    """Print a dataset's registered models and what happened to them, for a person."""
    console = Console(highlight=False)
    console.rule(f"[bold]{listed['dataset']}", align="left")
    grid = Grid(_folders(), "", "trained on", "validation", "test")
    for item in listed["models"]:
        told = "current" * (item["run"] == listed["current"])
        grid.add_row(
            item["run"],
            told if item["there"] else f"{told} gone".strip(),
            f"{when(item['trained_ms'])}, version {item['examples_version']}",
            shown_score(item["validation"]),
            shown_score(item["test"]),
        )
    console.print(grid)
    for event in listed["events"]:
        if event["event"] != "trained":
            why = f": {event['why']}" if event["why"] else ""
            told = f"  {when(event['at_ms'])} {event['event'].replace('_', ' ')} {event['run']}"
            console.print(f"{told} (by {event['by']}{why})", markup=False, soft_wrap=True)


def shown_score(metrics: Json) -> str:
    """Name and value of the one figure to show first."""
    key = main_score(metrics)
    return "" if key is None else f"{key.replace('_', ' ')} {metrics[key]:.3f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def run_table(done: list[Json]) -> None:
    """One table of finished runs: what came in, what came out, how long, and where it lies."""
    console = Console(highlight=False)
    grid = Grid("", *(item["dataset"] for item in done))
    columns = [_run_facts(item) for item in done]
    for name in columns[0]:
        if any(column[name] for column in columns):
            grid.add_row(name, *(column[name] for column in columns))
    console.print(grid)
    here = Path.cwd()
    for item in done:
        for what in ("bundle", "report"):
            path = Path(item[what])
            shown = path.relative_to(here) if path.is_relative_to(here) else path
            console.print(f"{item['dataset']} {what}: {shown}", soft_wrap=True, markup=False)


def stage_table(done: Json) -> None:
    """One narrow table of what a single stage made: figures only, in the order they come."""
    grid = Grid("", done["dataset"])
    for key, value in done.items():
        if isinstance(value, float):
            grid.add_row(key.replace("_", " "), f"{value:,.3f}")
        elif isinstance(value, bool | int | str) and key != "dataset":
            grid.add_row(key.replace("_", " "), f"{value:,}" if type(value) is int else str(value))
        elif isinstance(value, dict) and all(isinstance(v, int) for v in value.values()) and value:
            grid.add_row(key.replace("_", " "), _pairs(value))
    if "metrics" in done:
        grid.add_row("test score", shown_score(done["metrics"].get("test", {})))
    Console(highlight=False).print(grid)


def _run_facts(item: Json) -> dict[str, str]:
    test, seconds = item["metrics"]["test"], item["seconds"]
    baseline = best_baseline(item)
    stages = {"sequences": "sequences", "examples": "examples", "train": "model"}
    folds = item["metrics"].get("mean_of_folds")
    reused = [shown for key, shown in stages.items() if item[key]["reused"]]
    return {
        "sequences": f"{item['sequences']['rows']:,}",
        "examples": f"{item['examples']['rows']:,}",
        "padding, as trained": f"{item['train']['padding_share']:.1%}",
        "test score": shown_score(test)
        + (f", pooled over {folds['folds']} folds" if folds else ""),
        "mean of folds": shown_score(folds) if folds else "",
        "macro-F1": _number(test.get("macro_f1")),
        "majority": _number(test.get("majority")),
        "best cheap baseline": "" if baseline is None else f"{baseline[0]} {baseline[1]:.3f}",
        "seconds: ingest": f"{seconds['ingest']:.1f}",
        "seconds: prepare": f"{seconds['prepare']:.1f}",
        "seconds: train": f"{seconds['train']:.1f}",
        "reused": ", ".join(reused) if reused else "nothing",
    }
