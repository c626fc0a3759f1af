"""Memory: a gigabyte of FASTA and one of JSON lines, ingested and prepared under a limit.

Each stage runs in a process of its own; the resident memory of it and its children is sampled every
20 ms and added up (pages that they share are counted in each). The highest sum must stay under
1.5 GB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, environment, facts_line, folder_mb, peer_environment
from benchmarks.inputs import documents, write_fasta

LIMIT_MB = 1500.0
TEXT_BLOCK = 5_000
"""Documents that are made once; a number in each repeat makes it no duplicate."""


def write_text(folder: Path, size_mb: float) -> None:
    """`documents.jsonl` of so many megabytes."""
    block = list(islice(documents(1e9), TEXT_BLOCK))
    made = 0
    with (folder / "documents.jsonl").open("w") as file:
        for number, (text, label) in enumerate(cycle(block)):
            made += file.write(json.dumps({"text": f"n{number} {text}", "label": label}) + "\n")
            if made >= size_mb * 1e6:
                return


MAKE = {"fasta": write_fasta, "text": write_text}


def work(kind: str, inputs: Path, store: Path, stage: str, processes: int) -> dict[str, Any]:
    """Ingest or prepare one input; what it says of itself."""
    from seqprep.ingest import ingest
    from seqprep.prepare import prepare
    from seqprep.recipe import Prepare, Split
    from seqprep.source import Field, Source

    if kind == "fasta":
        source = Source(domain="dna", path=str(inputs), include="*.fa", label=Field(from_="file"))
        recipe = Prepare()
    else:
        source = Source(
            domain="text",
            path=str(inputs),
            include="*.jsonl",
            text_column="text",
            label=Field(from_="column", column="label"),
        )
        recipe = Prepare(steps=({"summarize": {"drop_top": 50, "min_count": 2}},))
    if stage == "ingest":
        rows = ingest(source, dataset="memory", store=store, workers=processes).rows
    else:
        done = prepare(
            dataset="memory",
            store=store,
            domain=source.domain,
            task="classify",
            split=Split(),
            recipe=recipe,
            workers=processes,
        )
        rows = sum(done.rows.values())
    return {"rows": rows, "parquet_mb": folder_mb(store)}


def measure(kind: str, inputs: Path, store: Path, stage: str, processes: int) -> dict[str, Any]:
    """Run one stage apart and sample the memory of all its processes.

    Raises:
        RuntimeError: with the end of its output, if it failed.
    """
    import psutil

    command = [sys.executable, "-m", "benchmarks.memory", "--stage", stage, "--kind", kind]
    command += ["--inputs", str(inputs), "--work", str(store), "--processes", str(processes)]
    start, peak, alone = time.perf_counter(), 0, 0
    errors = store / "errors.txt"
    with errors.open("w") as told:
        child = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            env=peer_environment(store, processes),
        )
        tree = psutil.Process(child.pid)
        while child.poll() is None:
            sizes = resident(tree)
            peak, alone = max(peak, sum(sizes)), max(alone, *sizes)
            time.sleep(0.02)
    if child.returncode != 0:
        raise RuntimeError(f"{kind} {stage} failed:\n{errors.read_text()[-3000:]}")
    assert child.stdout is not None
    found = json.loads(child.stdout.read().strip().splitlines()[-1])
    seconds = time.perf_counter() - start
    return {
        "input": kind,
        "stage": stage,
        "peak_mb": peak / 1e6,
        "largest_process_mb": alone / 1e6,
        "seconds": seconds,
        **found,
    }


def resident(tree: Any) -> list[int]:
    """Resident bytes of a process and of all its children."""
    import psutil

    sizes = [0]
    try:
        for process in (tree, *tree.children(recursive=True)):
            try:
                sizes.append(process.memory_info().rss)
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return sizes


def markdown(body: dict[str, Any]) -> str:
    """The table of results."""
    lines = [
        "## Memory",
        "",
        f"Highest resident memory of all processes together; limit {LIMIT_MB:,.0f} MB.",
        "",
        f"Input {body['size_mb']:g} MB each, {body['processes']} processes; "
        f"{facts_line(body['environment'])}",
        "",
        "| input | stage | peak MB | within the limit | largest process MB | seconds | rows |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in body["cases"]:
        within = "yes" if case["peak_mb"] <= LIMIT_MB else "no"
        lines.append(
            f"| {case['input']} | {case['stage']} | {case['peak_mb']:,.0f} | {within} "
            f"| {case['largest_process_mb']:,.0f} | {case['seconds']:.1f} | {case['rows']:,} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command line; 1 if the limit was passed."""
    parser = argparse.ArgumentParser(description="Memory of ingest and prepare.")
    parser.add_argument("--size-mb", type=float, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kind", choices=list(MAKE), default=None)
    parser.add_argument("--work", type=Path, default=None, help="folder for inputs and outputs")
    parser.add_argument("--keep", action="store_true", help="don't write results/")
    parser.add_argument("--stage", choices=["ingest", "prepare"], help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        done = work(options.kind, options.inputs, options.work, options.stage, options.processes)
        print(json.dumps(done))
        return 0
    cases = []
    for kind in [options.kind] if options.kind else MAKE:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=options.work) as folder:
            inputs, store = Path(folder) / "inputs", Path(folder) / "store"
            inputs.mkdir()
            store.mkdir()
            MAKE[kind](inputs, options.size_mb)
            for stage in ("ingest", "prepare"):
                cases.append(measure(kind, inputs, store, stage, options.processes))
                print(cases[-1], file=sys.stderr, flush=True)
    body = {
        "benchmark": "memory",
        "size_mb": options.size_mb,
        "processes": options.processes,
        "environment": environment(),
        "cases": cases,
    }
    text = markdown(body)
    print(text)
    if not options.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "memory.json").write_text(json.dumps(body, indent=1) + "\n")
        (RESULTS / "memory.md").write_text(text)
    return int(any(case["peak_mb"] > LIMIT_MB for case in cases))


if __name__ == "__main__":
    sys.exit(main())
