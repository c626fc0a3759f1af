"""All fourteen known mistakes beside the right way: `python -m benchmarks.mistakes`.

Each is measured in a process of its own, with one thread, two of them side by side unless
`--processes` says otherwise. What was measured goes to `results/`, and from there into the tables
of `docs/known-mistakes.md`. With `--only` the others stay as they are recorded.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.common import RESULTS, environment, facts_line
from benchmarks.mistakes.apart import json_apart, settle
from benchmarks.mistakes.figures import Figure, markdown
from benchmarks.mistakes.page import PAGE, renew

MISTAKES = {
    1: "padding_without_mask",
    2: "mask_by_value",
    3: "pad_is_unknown",
    4: "rows_sorted",
    5: "reshaped_chunks",
    6: "sequences_upward",
    7: "head_for_tail",
    8: "fitted_on_all",
    9: "torn_groups",
    10: "training_score",
    11: "clipping_by_spread",
    12: "backward_over_padding",
    13: "one_frequency",
    14: "hundred_steps",
}
"""The module of each, by its number on the page."""
JSON, TABLE = RESULTS / "mistakes.json", RESULTS / "mistakes.md"


def measure_here(number: int) -> dict[str, Any]:
    """Measure one mistake in this process."""
    settle()
    module = importlib.import_module(f"benchmarks.mistakes.{MISTAKES[number]}")
    start = sum(os.times()[:4])  # of ended child processes, too
    figures = [figure.to_json() for figure in module.measure()]
    cpu_s = round(sum(os.times()[:4]) - start, 1)
    return {"title": title(module), "cpu_s": cpu_s, "figures": figures}


def title(module: Any) -> str:
    """What the first line of the module's text says after the number."""
    told = str(module.__doc__).splitlines()[0].partition(": ")[2].removesuffix(".")
    return told[:1].upper() + told[1:]


def measure(number: int) -> dict[str, Any]:
    """The same in a fresh process."""
    found: dict[str, Any] = json_apart("mistakes", "--case", str(number))
    told = f"{number}: {found['cpu_s']} CPU seconds, {len(found['figures'])} figures"
    print(told, file=sys.stderr, flush=True)
    return found


def recorded() -> dict[str, Any]:
    """What stands in `results/`, by number."""
    found: dict[str, Any] = json.loads(JSON.read_bytes())["mistakes"] if JSON.exists() else {}
    return found


def figures_of(found: dict[str, Any]) -> list[Figure]:
    """The figures of one mistake as they were recorded."""
    return [Figure(**figure) for figure in found["figures"]]


def table(body: dict[str, Any]) -> str:
    """All of them as one table."""
    lines = [
        "## Known mistakes",
        "",
        "The wrong way and the right way on the same task, with weights drawn alike, the same "
        "batches and as many updates; `docs/known-mistakes.md` says what they are. Scores have a "
        "95 % interval by bootstrap over records and seeds; one thread, denormals flushed.",
        "",
        facts_line(body["environment"]),
        "",
    ]
    for number, found in body["mistakes"].items():
        rows = markdown(figures_of(found)).splitlines()
        lines += [f"| mistake {rows[0]}", f"|---{rows[1]}"] if number == "1" else []
        lines += [f"| {number}. {found['title']} {row}" for row in rows[2:]]
    return "\n".join(lines) + "\n"


def tables_of(body: dict[str, Any]) -> dict[int, str]:
    """The tables of the page: that of each mistake, and under 0 the first figure of each."""
    mistakes = body["mistakes"].items()
    tables = {int(number): markdown(figures_of(found)) for number, found in mistakes}
    lines = ["| mistake | measured | wrong | right |", "|---|---|---|---|"]
    for number, found in mistakes:
        first = tables[int(number)].splitlines()[2].rpartition(" | ")[0]
        lines.append(f"| {number}. {found['title']} {first} |")
    return {0: "\n".join(lines) + "\n", **tables}


def body_of(new: dict[str, Any]) -> dict[str, Any]:
    """What is recorded, with what was measured now in the place of what was there."""
    every = sorted({**recorded(), **new}.items(), key=lambda one: int(one[0]))
    return {"environment": environment(), "mistakes": dict(every)}


def record(body: dict[str, Any]) -> None:
    """Write results and the tables of the page."""
    RESULTS.mkdir(exist_ok=True)
    JSON.write_text(json.dumps(body, indent=1) + "\n")
    TABLE.write_text(table(body))
    renew(PAGE, tables_of(body))


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="The known mistakes beside the right way.")
    parser.add_argument("--only", nargs="*", type=int, choices=list(MISTAKES), default=None)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="don't write results/ and the page")
    parser.add_argument("--case", type=int, choices=list(MISTAKES), help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args(arguments)  # sizes are those of the tasks
    if options.case:
        print(json.dumps(measure_here(options.case)))
        return
    numbers = options.only or list(MISTAKES)
    new: dict[str, Any] = {}
    with ThreadPoolExecutor(options.processes) as pool:
        for number, found in zip(numbers, pool.map(measure, numbers), strict=True):
            if found["figures"]:  # without the public data some have none: the recorded ones stay
                new[str(number)] = found
            if not options.keep:
                record(body_of(new))
    print(table(body_of(new)))


if __name__ == "__main__":
    main()
