"""What all benchmarks share: fresh processes, turns, medians, ratios, results on disk.

A benchmark is a set of cases that do the same job on the same generated input. Each case runs in a
process of its own, so that no case warms caches or imports for another; cases take turns, so that a
slow minute of the machine hits all of them. Imports are not timed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.stages import STAGE_FACTS, stage_table

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    *("biopython", "datasets", "deltalake", "numpy", "pandas", "polars", "pyarrow"),
    *("tokenizers", "torch", "transformers"),
)
ZSTD_LEVEL = 1
"""Of all Parquet files, ours and the peers'."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What one run of a case is given.

    Args:
        inputs: folder with the generated input. out: an empty folder for what the case writes.
        processes: worker processes that a case may use.
    """

    inputs: Path
    out: Path
    processes: int


Facts = dict[str, Any]
Case = Callable[[Settings], Callable[[], Facts]]
"""Imports what it needs and returns the job; calling the job is what is timed.

A fact may be a function, which is called when the clock has stopped.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """One table of results.

    Args:
        name: of the module. title: for the report.
        make: writes the input of about so many megabytes into a folder.
        cases: by name; the first is ours.
        aims: for a peer, the least ratio that we claim.
        size_mb: of the input by default.
        notes: what the reader must know to trust the table.
        processes: worker processes that a case may use, if the command does not say.
        same: facts that must be equal wherever a case tells them.
        stages: how many times its floor each stage of ours should take at most; None: not compared.
    """

    name: str
    title: str
    make: Callable[[Path, float], None]
    cases: Mapping[str, Case]
    aims: Mapping[str, float]
    size_mb: float
    notes: str
    processes: int = 2
    same: tuple[str, ...] = ()
    stages: float | None = None


def main(benchmark: Benchmark, arguments: Sequence[str] | None = None) -> None:
    """The command line of one benchmark."""
    parser = argparse.ArgumentParser(description=benchmark.title)
    parser.add_argument("--size-mb", type=float, default=benchmark.size_mb)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--processes", type=int, default=benchmark.processes)
    parser.add_argument("--only", nargs="*", choices=list(benchmark.cases), default=None)
    parser.add_argument("--work", type=Path, default=None, help="folder for inputs and outputs")
    parser.add_argument("--keep", action="store_true", help="don't write results/")
    parser.add_argument("--case", choices=list(benchmark.cases), help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.case:
        run_here(benchmark, options.case, options.inputs, options.work, options.processes)
        return
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.work) as work:
        body = run_all(benchmark, Path(work), options)
    text = markdown(benchmark, body)
    print(text)
    if not options.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{benchmark.name}.json").write_text(json.dumps(body, indent=1) + "\n")
        (RESULTS / f"{benchmark.name}.md").write_text(text)


def run_here(benchmark: Benchmark, case: str, inputs: Path, work: Path, processes: int) -> None:
    """Run one case in this process and print what it took as the last line."""
    job = benchmark.cases[case](Settings(inputs=inputs, out=work, processes=processes))
    start, before = time.perf_counter(), sum(os.times()[:4])
    facts = job()
    seconds = time.perf_counter() - start
    cpu_s = round(sum(os.times()[:4]) - before, 2)  # of ended child processes, too
    told = {name: fact() if callable(fact) else fact for name, fact in facts.items()}
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, **told}))


def run_all(benchmark: Benchmark, work: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Generate the input, let the cases take turns, and sum up."""
    inputs = work / "inputs"
    inputs.mkdir()
    benchmark.make(inputs, options.size_mb)
    read_once(inputs)
    names = [name for name in benchmark.cases if not options.only or name in options.only]
    runs: dict[str, list[Facts]] = {name: [] for name in names}
    for turn in range(options.repeats):
        for name in names:
            out = work / f"{name}-{turn}"
            out.mkdir()
            runs[name].append(run_apart(benchmark.name, name, inputs, out, options.processes))
            shutil.rmtree(out)
            print(f"{name}: {runs[name][-1]['seconds']:.2f} s", file=sys.stderr, flush=True)
    check_same(benchmark, runs)
    return {
        "benchmark": benchmark.name,
        "size_mb": options.size_mb,
        "repeats": options.repeats,
        "processes": options.processes,
        "environment": environment(),
        "cases": {name: summary(found) for name, found in runs.items()},
    }


def check_same(benchmark: Benchmark, runs: Mapping[str, Sequence[Facts]]) -> None:
    """Refuse figures of cases that did not do the same job.

    Raises:
        RuntimeError: naming what each case found.
    """
    for fact in benchmark.same:
        found = {name: {run[fact] for run in of} for name, of in runs.items() if fact in of[0]}
        if len(set().union(*found.values())) > 1:
            raise RuntimeError(f"{benchmark.name}: cases differ in {fact}: {found}")


def read_once(folder: Path) -> None:
    """Bring the input into the page cache, so that no case pays for the first read."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                while file.read(2**22):
                    pass


def run_apart(benchmark: str, case: str, inputs: Path, out: Path, processes: int) -> Facts:
    """Run one case in a fresh process.

    Raises:
        RuntimeError: with the end of its output, if it failed.
    """
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--case", case]
    command += ["--inputs", str(inputs), "--work", str(out), "--processes", str(processes)]
    done = subprocess.run(
        command, env=peer_environment(out, processes), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{benchmark} {case} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found


def peer_environment(out: Path, processes: int) -> dict[str, str]:
    """The same threads for everybody, caches in the run's own folder, and no network."""
    threads = str(processes)
    return {
        **os.environ,
        "POLARS_MAX_THREADS": threads,
        "RAYON_NUM_THREADS": threads,
        "OMP_NUM_THREADS": "1",
        "ARROW_NUM_THREADS": threads,
        "TOKENIZERS_PARALLELISM": "true",
        "HF_HOME": str(out / "hf"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "PYTHONWARNINGS": "ignore",
    }


def summary(runs: Sequence[Facts]) -> Facts:
    """Medians of all seconds, their range, and the other facts of the last run."""
    seconds = [run["seconds"] for run in runs]
    timed = ["seconds", *(name for name in runs[-1] if name.endswith("_s"))]
    return {
        **runs[-1],
        **{name: statistics.median(run[name] for run in runs) for name in timed},
        "fastest": min(seconds),
        "slowest": max(seconds),
    }


def cost(case: Facts) -> float:
    """Seconds for a unit of work; the whole job is one unit where a case names none."""
    return float(case["seconds"]) / float(case.get("units", 1))


def environment() -> dict[str, Any]:
    """What the figures depend on; nothing that names the machine."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": versions,
    }


def cpu_model() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def markdown(benchmark: Benchmark, body: Mapping[str, Any]) -> str:
    """The table of one benchmark."""
    cases = body["cases"]
    ours = cases.get(next(iter(benchmark.cases)))
    hidden = HIDDEN if benchmark.stages is None else HIDDEN | STAGE_FACTS
    shown = sorted({key for case in cases.values() for key in case} - hidden)
    head = ["case", "seconds", "range", "times ours", "aim", *shown]
    lines = [
        f"## {benchmark.title}",
        "",
        benchmark.notes,
        "",
        f"Input {body['size_mb']:g} MB, {body['processes']} processes, median of "
        f"{body['repeats']}; {facts_line(body['environment'])}",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for name, case in cases.items():
        ratio = cost(case) / cost(ours) if ours else float("nan")
        aim = benchmark.aims.get(name)
        row = [
            name,
            f"{case['seconds']:.2f}",
            f"{case['fastest']:.2f} to {case['slowest']:.2f}",
            f"{ratio:.2f}",
            "" if aim is None else f"{aim:g} ({'met' if ratio >= aim else 'missed'})",
            *(show(case.get(key)) for key in shown),
        ]
        lines.append("| " + " | ".join(row) + " |")
    if benchmark.stages is not None:
        lines += stage_table(cases, most=benchmark.stages)
    return "\n".join(lines) + "\n"


HIDDEN = {"seconds", "fastest", "slowest", "units"}


def facts_line(facts: Mapping[str, Any]) -> str:
    """Date, machine and versions in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"{facts['date']}; {facts['cpu']}, {facts['cores']} cores, {facts['system']}, "
        f"Python {facts['python']}; {versions}."
    )


def show(value: Any) -> str:
    """A figure as a reader wants it."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def folder_mb(path: Path) -> float:
    """Megabytes of all Parquet files under a folder."""
    return sum(file.stat().st_size for file in path.rglob("*.parquet")) / 1e6
