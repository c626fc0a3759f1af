"""What Prefect costs: the whole pipeline as a flow beside the same functions called directly.

From raw documents to a scored model and its report, on two sizes of data, so that the constant cost
and the share can be told apart. Directly: the functions of the three tasks, one after the other.
First: the flow in a fresh process and a fresh folder, into which the empty database is copied that
`./run` keeps; the import of Prefect and of the flows is timed with it. Cold: the same where another
flow ran before, as in every later run of a project. Warm: the flow in a process whose server runs
already. Cases take turns; each runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, environment, facts_line, peer_environment, read_once
from benchmarks.inputs import write_json_lines

AIM_S, AIM_SHARE = 15.0, 0.05
"""What orchestration may cost: so many seconds, and such a share of the work."""
SIZES = {1: 60, 20: 600}
"""Updates of the training by megabytes of documents."""
PIPELINE = """\
dataset: overhead
source:
  domain: text
  path: documents.jsonl
  text_column: text
  label: {{from: column, column: label}}
prepare:
  steps: [{{truncate: {{length: 300}}}}]
train:
  model: {{name: lstm, embedding: 32, hidden: 64}}
  batch_tokens: 4096
  updates: {updates}
  threads: 1
"""
Seconds = dict[str, float]


def make(folder: Path, size_mb: float, updates: int) -> None:
    """Documents and a pipeline file."""
    write_json_lines(folder, size_mb)
    (folder / "pipeline.yaml").write_text(PIPELINE.format(updates=updates))
    read_once(folder)


def directly(file: str, store: str) -> Callable[[], Seconds]:
    """The functions of the tasks, without a flow."""
    from flows.ingest import ingest_files
    from flows.pipeline_file import to_json
    from flows.prepare import prepare_rows
    from flows.references import resolve
    from flows.train import train_model

    def job() -> Seconds:
        spec, base = resolve(file, None, None)
        body, folder = to_json(spec), str(base)
        sequences = ingest_files.fn(body, base=folder, store=store)
        examples = prepare_rows.fn(body, base=folder, store=store)
        model = train_model.fn(body, store=store, prepared=examples)
        stages = {"ingest": sequences, "prepare": examples, "train": model}
        return {name: float(done["seconds"]) for name, done in stages.items()}

    return job


def first(file: str, store: str) -> Callable[[], Seconds]:
    """The flow, and all that comes before it."""
    import models.predict  # noqa: F401
    import seqprep.ingest
    import seqprep.prepare  # noqa: F401

    def job() -> Seconds:
        from flows.pipeline import pipeline

        return dict(pipeline(file=file, store=store)["seconds"])

    return job


def cold(file: str, store: str) -> Callable[[], Seconds]:
    """The same, where another process ran a flow before."""
    command = "from prefect import flow\n@flow\ndef nothing(): pass\nnothing()"
    subprocess.run([sys.executable, "-c", command], check=True, stdout=subprocess.DEVNULL)
    return first(file, store)


def warm(file: str, store: str) -> Callable[[], Seconds]:
    """The flow, where another one ran before."""
    from prefect import flow

    from flows.pipeline import pipeline

    @flow
    def nothing() -> None:
        """Start the server."""

    nothing()
    return lambda: dict(pipeline(file=file, store=store)["seconds"])


CASES = {"directly": directly, "first": first, "cold": cold, "warm": warm}
WAYS = tuple(CASES)[1:]


def run_here(case: str, inputs: Path, work: Path) -> None:
    """Run one case in this process; print what it took, in all and in its stages."""
    from flows import empty_database
    from flows.environment import quiet

    quiet(home=work / "prefect")
    empty_database.place(work / "prefect")
    job = CASES[case](str(inputs / "pipeline.yaml"), str(work / "store"))
    start = time.perf_counter()
    stages = job()
    print(json.dumps({"seconds": time.perf_counter() - start, "stages": sum(stages.values())}))


def run_apart(case: str, inputs: Path, work: Path) -> Seconds:
    """Run one case in a fresh process.

    Raises:
        RuntimeError: with the end of its output, if it failed.
    """
    command = [sys.executable, "-m", "benchmarks.overhead", "--case", case]
    command += ["--inputs", str(inputs), "--work", str(work)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    environ = {**peer_environment(work, processes=2), **kept}
    before_s = _ended_cpu_s()
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{case} failed:\n{done.stderr[-3000:]}")
    found = dict(json.loads(done.stdout.strip().splitlines()[-1]))
    return {**found, "cpu_s": _ended_cpu_s() - before_s}


def _ended_cpu_s() -> float:
    """Processor seconds of child processes that have ended, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(size_mb: float, updates: int, *, repeats: int, work: Path) -> dict[str, Any]:
    """All cases on one size of data, in turns: medians, and what each costs beside the tasks."""
    inputs = work / "inputs"
    inputs.mkdir(parents=True)
    make(inputs, size_mb, updates)
    runs: dict[str, list[Seconds]] = {case: [] for case in CASES}
    for turn in range(repeats):
        for case, found in runs.items():
            folder = work / f"{case}-{turn}"
            folder.mkdir()
            found.append(run_apart(case, inputs, folder))
            print(f"{size_mb:g} MB, {case}: {found[-1]}", file=sys.stderr, flush=True)
    medians, cpu_s = (
        {case: statistics.median(run[key] for run in found) for case, found in runs.items()}
        for key in ("seconds", "cpu_s")
    )
    outside = {
        case: statistics.median(run["seconds"] - run["stages"] for run in found)
        for case, found in runs.items()
    }
    return {
        "size_mb": size_mb,
        "updates": updates,
        "seconds": medians,
        "cpu_s": cpu_s,
        "outside": outside,
        "allowed": AIM_S + AIM_SHARE * medians["directly"],
        "cost": {case: outside[case] - outside["directly"] for case in WAYS},
    }


def is_met(case: dict[str, Any]) -> bool:
    """Whether all ways cost at most what they may."""
    return all(cost <= case["allowed"] for cost in case["cost"].values())


def markdown(body: dict[str, Any]) -> str:
    """The table of results."""
    lines = [
        "## What Prefect costs",
        "",
        "Seconds from raw documents to a scored model and its report, called directly and as a "
        "flow: the first of a project, a later one, and one whose server runs already. "
        "`outside`: of the seconds of each way, all but the work of the three tasks "
        "(imports, server, flow, artifacts): what Prefect costs, without the noise of the "
        "training, whose first run also finds nothing in the disk's cache. `CPU`: processor "
        "seconds of the process and its children, which say more where a machine is busy. Aim: "
        f"{AIM_S:g} s and {AIM_SHARE:.0%} more than directly.",
        "",
        f"Median of {body['repeats']}; {facts_line(body['environment'])}",
        "",
        "| documents | updates | way | seconds | outside | CPU s | allowed outside |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in body["cases"]:
        for way in CASES:
            allowed = ""
            if way in WAYS:
                met = "met" if case["cost"][way] <= case["allowed"] else "missed"
                allowed = f"{case['allowed']:.1f} ({met})"
            lines.append(
                f"| {case['size_mb']:g} MB | {case['updates']:,} | {way} "
                f"| {case['seconds'][way]:.1f} | {case['outside'][way]:.1f} "
                f"| {case['cpu_s'][way]:.1f} | {allowed} |"
            )
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command line; 1 if an aim was missed."""
    parser = argparse.ArgumentParser(description="What Prefect costs.")
    parser.add_argument("--sizes-mb", type=int, nargs="*", choices=list(SIZES), default=SIZES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, default=None, help="folder for inputs and outputs")
    parser.add_argument("--keep", action="store_true", help="don't write results/")
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        run_here(options.case, options.inputs, options.work)
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.work) as folder:
        cases = [
            measure(
                size_mb, SIZES[size_mb], repeats=options.repeats, work=Path(folder) / str(size_mb)
            )
            for size_mb in options.sizes_mb
        ]
    body = {
        "benchmark": "overhead",
        "repeats": options.repeats,
        "environment": environment(),
        "cases": cases,
    }
    text = markdown(body)
    print(text)
    if not options.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "overhead.json").write_text(json.dumps(body, indent=1) + "\n")
        (RESULTS / "overhead.md").write_text(text)
    return int(not all(is_met(case) for case in cases))


if __name__ == "__main__":
    sys.exit(main())
