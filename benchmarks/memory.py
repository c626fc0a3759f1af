"""Memory and time against size: inputs ingested and prepared under a limit.

A gigabyte of FASTA and one of JSON lines must stay under 1.5 GB; one record of 250 million bases,
and up to ten gigabytes of each domain (`--sizes-gb 1,3,10`), under 2 GB, in time that grows as the
size does. Each stage runs in a process of its own; the resident memory of it and its children is
sampled every 20 ms and added up (pages that they share are counted in each). An input is deleted
before it is prepared, and a store before the next input is made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, environment, facts_line, folder_mb, peer_environment
from benchmarks.memory_inputs import KINDS, ONE_RECORD, RECORD_MB, SHORT

LIMIT_MB = 1500.0
LARGE_LIMIT_MB = 2000.0
"""For one record, and for sizes that grow."""
SHORT_SHARE = 0.03
"""Of a size: short records are many in little."""
ALL = {**KINDS, **SHORT, **ONE_RECORD}


def work(kind: str, inputs: Path, store: Path, stage: str, processes: int) -> dict[str, Any]:
    """Ingest or prepare one input; what it says of itself."""
    from seqprep.ingest import ingest
    from seqprep.prepare import prepare
    from seqprep.recipe import Prepare, Split, Tokens
    from seqprep.source import Field, Source

    case = ALL[kind]
    if stage == "ingest":
        source = Source(path=str(inputs), label=Field(**case.label), **case.source)
        rows = ingest(source, dataset="memory", store=store, workers=processes).rows
    else:
        options = dict(case.prepare)
        if "tokens" in options:
            options["tokens"] = Tokens(**options["tokens"])
        done = prepare(
            dataset="memory",
            store=store,
            domain=case.source["domain"],
            task="classify",
            split=Split(),
            recipe=Prepare(**options),
            workers=processes,
        )
        rows = sum(done.rows.values())
    return {"rows": rows, "parquet_mb": folder_mb(store), "files": files_digest(store)}


def files_digest(store: Path) -> str:
    """Of the names of all Parquet files, which hold the digests of their bytes."""
    names = sorted(path.name for path in store.rglob("*.parquet"))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]


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


def run_kind(kind: str, size_mb: float, limit_mb: float, options: Any) -> list[dict[str, Any]]:
    """Both stages of one input of one size."""
    cases = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.work) as folder:
        inputs, store = Path(folder) / "inputs", Path(folder) / "store"
        inputs.mkdir()
        store.mkdir()
        ALL[kind].make(inputs, size_mb)
        for stage in ("ingest", "prepare"):
            if stage == "prepare":
                shutil.rmtree(inputs)
            case = measure(kind, inputs, store, stage, options.processes)
            cases.append({**case, "size_mb": size_mb, "limit_mb": limit_mb})
            print(cases[-1], file=sys.stderr, flush=True)
    return cases


def exponents(cases: list[dict[str, Any]]) -> dict[str, float]:
    """For each input the power of its size with which the seconds of both stages grow.

    The slope of a straight line through the logarithms, by least squares; nothing for one size.
    """
    found = {}
    for kind in dict.fromkeys(case["input"] for case in cases):
        seconds: dict[float, float] = {}
        for case in cases:
            if case["input"] == kind:
                seconds[case["size_mb"]] = seconds.get(case["size_mb"], 0) + case["seconds"]
        if len(seconds) > 1:
            points = [(math.log(size), math.log(value)) for size, value in seconds.items()]
            mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
            spread = sum((x - mean_x) ** 2 for x, _ in points)
            found[kind] = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    return found


def bytes_a_record(cases: list[dict[str, Any]]) -> dict[str, float]:
    """For each input the bytes by which the peak of preparing it grows with each record.

    Between the smallest and the largest size; nothing for one size.
    """
    found = {}
    for kind in dict.fromkeys(case["input"] for case in cases):
        sizes = [case for case in cases if case["input"] == kind and case["stage"] == "prepare"]
        first, last = (pick(sizes, key=lambda case: case["rows"]) for pick in (min, max))
        if last["rows"] > first["rows"]:
            more = (last["peak_mb"] - first["peak_mb"]) * 1e6
            found[kind] = more / (last["rows"] - first["rows"])
    return found


def same_layouts(cases: list[dict[str, Any]]) -> bool:
    """Whether one record gave the same files on one line, wrapped and compressed."""
    layouts = {f"one record, {layout}" for layout in ("line", "wrapped", "gz")}
    found = {
        case["files"] for case in cases if case["input"] in layouts and case["stage"] != "ingest"
    }
    return len(found) <= 1


def markdown(body: dict[str, Any]) -> str:
    """The table of results."""
    lines = [
        f"## {body['title']}",
        "",
        "Highest resident memory of all processes together.",
        "",
        f"{body['processes']} processes; {facts_line(body['environment'])}",
        "",
        "| input | size MB | stage | peak MB | limit | largest process | seconds | MB/s | rows |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case in body["cases"]:
        within = "within" if case["peak_mb"] <= case["limit_mb"] else "over"
        lines.append(
            f"| {case['input']} | {case['size_mb']:g} | {case['stage']} | {case['peak_mb']:,.0f} "
            f"| {within} {case['limit_mb']:,.0f} | {case['largest_process_mb']:,.0f} "
            f"| {case['seconds']:.1f} | {case['size_mb'] / case['seconds']:.0f} "
            f"| {case['rows']:,} |"
        )
    for kind, power in body["exponents"].items():
        lines += ["", f"Seconds of {kind}, both stages, grow as size to the power of {power:.2f}."]
        if kind in SHORT:
            grown = body["bytes_a_record"][kind]
            lines[-1] += f" The peak of preparing grows by {grown:.0f} bytes a record."
    if not body["same_layouts"]:
        lines += ["", "The layouts of one record gave different files."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command line; 1 if a limit was passed or layouts gave different rows."""
    parser = argparse.ArgumentParser(description="Memory and time of ingest and prepare.")
    parser.add_argument("--size-mb", type=float, default=1000)
    parser.add_argument("--record-mb", type=float, default=RECORD_MB, help="million bases of one")
    parser.add_argument(
        "--sizes-gb",
        type=lambda text: [float(size) for size in text.split(",")],
        help="each domain in these sizes instead, e.g. 1,3,10; the disk must hold four times that",
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kind", choices=[*ALL, "one_record"], default=None)
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
    for kind, size_mb, limit_mb in planned(options):
        cases += run_kind(kind, size_mb, limit_mb, options)
    name = "growth" if options.sizes_gb else "memory"
    body = {
        "benchmark": name,
        "title": "Time and memory against size" if options.sizes_gb else "Memory",
        "processes": options.processes,
        "environment": environment(),
        "cases": cases,
        "exponents": exponents(cases),
        "bytes_a_record": bytes_a_record(cases),
        "same_layouts": same_layouts(cases),
    }
    text = markdown(body)
    print(text)
    if not options.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(body, indent=1) + "\n")
        (RESULTS / f"{name}.md").write_text(text)
    over = any(case["peak_mb"] > case["limit_mb"] for case in cases)
    return int(over or not body["same_layouts"])


def planned(options: Any) -> list[tuple[str, float, float]]:
    """Kind, megabytes and limit of each input."""
    if options.sizes_gb:
        kinds = [options.kind] if options.kind else [*KINDS, *SHORT]
        return [
            (kind, 1000 * gb * (SHORT_SHARE if kind in SHORT else 1), LARGE_LIMIT_MB)
            for kind in kinds
            for gb in options.sizes_gb
        ]
    if options.kind is None:
        kinds = ["fasta", "text", *ONE_RECORD]
    else:
        kinds = list(ONE_RECORD) if options.kind == "one_record" else [options.kind]
    return [
        (kind, options.record_mb, LARGE_LIMIT_MB)
        if kind in ONE_RECORD
        else (kind, options.size_mb, LIMIT_MB)
        for kind in kinds
    ]


if __name__ == "__main__":
    sys.exit(main())
