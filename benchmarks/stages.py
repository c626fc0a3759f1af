"""The stages of ours, ingest and prepare, each beside its own floor.

`StageClock` times the stages inside a run of ours, so that they add up to it; `floors.py` times the
floors; here they meet in a table.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

STAGES = ("ingest", "prepare")
STAGE_FACTS = frozenset(f"{stage}{unit}" for stage in STAGES for unit in ("_s", "_cpu_s"))
"""Names of what `StageClock` tells."""
STAGE_NOTE = (
    "The second table has each stage of ours, timed inside the whole job, beside its own floor: of "
    "ingest the input's bytes read and the table of sequences written again; of prepare that table "
    "read by pyarrow and the examples written again. Floors run in one thread and a stage in as "
    "many as it may, so their processor seconds are compared, too."
)

Result = TypeVar("Result")


class StageClock:
    """Seconds of the clock and of all processors that each stage takes.

    >>> clock = StageClock()
    >>> clock.time("ingest", lambda: 3), sorted(clock.facts)
    (3, ['ingest_cpu_s', 'ingest_s'])
    """

    def __init__(self) -> None:
        self.facts: dict[str, float] = {}

    def time(self, stage: str, work: Callable[[], Result]) -> Result:
        """Do the work of a stage; child processes count if they end with it."""
        start, before = time.perf_counter(), sum(os.times()[:4])
        result = work()
        self.facts[f"{stage}_s"] = time.perf_counter() - start
        self.facts[f"{stage}_cpu_s"] = sum(os.times()[:4]) - before
        return result


def distances(cases: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """For each stage seconds of ours and of its floor; those that were not run are left out.

    >>> ours = {"ingest_s": 3.0, "ingest_cpu_s": 5.0}
    >>> distances({"ours": ours, "floor_ingest": {"seconds": 2.0, "cpu_s": 2.0}})["ingest"]
    {'ours_s': 3.0, 'floor_s': 2.0, 'ours_cpu_s': 5.0, 'floor_cpu_s': 2.0}
    """
    ours = cases.get("ours", {})
    return {
        stage: {
            "ours_s": ours[f"{stage}_s"],
            "floor_s": cases[f"floor_{stage}"]["seconds"],
            "ours_cpu_s": ours[f"{stage}_cpu_s"],
            "floor_cpu_s": cases[f"floor_{stage}"]["cpu_s"],
        }
        for stage in STAGES
        if f"{stage}_s" in ours and f"floor_{stage}" in cases
    }


def stage_table(cases: Mapping[str, Mapping[str, Any]], *, most: float) -> list[str]:
    """Lines of the table of stages.

    Args:
        cases: of the benchmark, summed up.
        most: times its floor that a stage should take at most.
    """
    lines = [
        "",
        "| stage | ours, s | floor, s | times the floor | aim | ours, CPU s | floor, CPU s "
        "| times, CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for stage, one in distances(cases).items():
        times = one["ours_s"] / one["floor_s"]
        cpu_times = one["ours_cpu_s"] / max(one["floor_cpu_s"], 0.01)
        lines.append(
            f"| {stage} | {one['ours_s']:.2f} | {one['floor_s']:.2f} | {times:.2f} "
            f"| at most {most:g} ({'met' if times <= most else 'missed'}) "
            f"| {one['ours_cpu_s']:.2f} | {one['floor_cpu_s']:.2f} | {cpu_times:.2f} |"
        )
    return lines
