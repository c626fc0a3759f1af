"""Appending: what a folder that grew by one percent costs beside all of it.

Each stage runs three times in processes of its own: over 99 % of the files (full), after a few
short records have come that reach every split and bucket (floor: the constant cost of appending
anything, a new shard in each of them among it), and after the last percent has come (append).
Counted are CPU seconds of the process and its children after a first ingest of one file elsewhere
has brought imports in; the ratio is (append - floor) / full.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, environment, facts_line, peer_environment
from benchmarks.inputs import SEED, documents, write_eeg

AIM = 0.03
SETTLE_S = 2.5
"""Files that changed within two seconds before they are hashed are hashed again the next time."""
DATASET = "append"
WARM_FILES = 20
SMALL_LINES = 200
FEW = 300
"""Short records that reach every split and bucket: 0.2 % of 200 MB."""
RECIPES: dict[str, tuple[dict[str, dict[str, Any]], ...]] = {
    "documents": ({"summarize": {"drop_top": 50, "min_count": 2}}, {"truncate": {"length": 500}}),
    "fasta": ({"truncate": {"length": 2000}},),
    "eeg": ({"windows": {"length": 1024}},),
}


def write_documents(folder: Path, size_mb: float) -> None:
    """One text file a document, in two folders; a serial number makes each its own."""
    for number, (text, label) in enumerate(documents(size_mb * 1e6)):
        path = folder / label / f"{number // 1000:03d}" / f"{number:06d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"n{number} {text}")


def write_fasta_parts(folder: Path, size_mb: float) -> None:
    """A hundred FASTA files of one size, 60 bases a line."""
    rng = np.random.default_rng(SEED)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    for number in range(100):
        lines, made, record = [], 0, 0
        while made < size_mb * 1e4:
            bases = letters[rng.integers(0, 4, size=60 * int(rng.integers(5, 200)))].tobytes()
            body = b"\n".join(bases[at : at + 60] for at in range(0, len(bases), 60))
            lines.append(b">r%d-%d\n%s\n" % (number, record, body))
            made, record = made + len(lines[-1]), record + 1
        path = folder / "ab"[number % 2] / f"{number:03d}.fa"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(lines))


MAKE: dict[str, Callable[[Path, float], None]] = {
    "documents": write_documents,
    "fasta": write_fasta_parts,
    "eeg": write_eeg,
}
DOMAINS = {"documents": "text", "fasta": "dna", "eeg": "eeg"}


def run_ingest(kind: str, inputs: Path, store: Path, processes: int) -> dict[str, Any]:
    """Ingest the folder as it stands."""
    from seqprep.ingest import ingest
    from seqprep.source import Source

    domain: Any = DOMAINS[kind]
    source = Source(domain=domain, path=str(inputs))
    with tempfile.TemporaryDirectory(dir=store) as other:  # imports and threads, not timed
        one = next(path for path in inputs.rglob("*") if path.is_file())
        (Path(other) / "in" / "a").mkdir(parents=True)
        shutil.copy(one, Path(other) / "in" / "a")
        ingest(replace(source, path=f"{other}/in"), dataset=DATASET, store=Path(other))
    start = _cpu_seconds()
    done = ingest(source, dataset=DATASET, store=store, workers=processes)
    return {"cpu": _cpu_seconds() - start, "rows": done.rows, "new_files": done.new_files}


def run_prepare(kind: str, inputs: Path, store: Path, processes: int) -> dict[str, Any]:
    """Prepare the newest sequences."""
    from seqprep.prepare import prepare
    from seqprep.recipe import Prepare, Split

    domain: Any = DOMAINS[kind]
    options: dict[str, Any] = {
        "dataset": DATASET,
        "domain": domain,
        "task": "classify",
        "split": Split(),
        "recipe": Prepare(steps=RECIPES[kind]),
    }
    with tempfile.TemporaryDirectory(dir=store) as other:  # imports and threads, not timed
        _ingest_some(kind, inputs, Path(other))
        prepare(store=Path(other), **options)
    start = _cpu_seconds()
    done = prepare(store=store, workers=processes, **options)
    return {"cpu": _cpu_seconds() - start, "rows": sum(done.rows.values()), "new_files": done.added}


def _ingest_some(kind: str, inputs: Path, other: Path) -> None:
    """Ingest some files elsewhere, so that a split is filled and imports are done."""
    from seqprep.ingest import ingest
    from seqprep.source import Source

    files = sorted(path for path in inputs.rglob("*") if path.is_file())
    by_label: dict[str, list[Path]] = {}
    for path in files:
        by_label.setdefault(path.relative_to(inputs).parts[0], []).append(path)
    for label, paths in by_label.items():
        (other / "in" / label).mkdir(parents=True)
        for number, path in enumerate(paths[:WARM_FILES]):
            shutil.copy(path, other / "in" / label / f"{number}-{path.name}")
    domain: Any = DOMAINS[kind]
    ingest(Source(domain=domain, path=str(other / "in")), dataset=DATASET, store=other)


STAGES = {"ingest": run_ingest, "prepare": run_prepare}
"""What is measured, each after the one before it."""


def _cpu_seconds() -> float:
    """User and system seconds of this process and its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def run_apart(stage: str, kind: str, inputs: Path, store: Path, processes: int) -> dict[str, Any]:
    """Run one stage in a fresh process.

    Raises:
        RuntimeError: with the end of its output, if it failed.
    """
    command = [sys.executable, "-m", "benchmarks.append", "--stage", stage, "--kind", kind]
    command += ["--inputs", str(inputs), "--work", str(store), "--processes", str(processes)]
    environ = peer_environment(store, processes)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{stage} of {kind} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert isinstance(found, dict)
    return found


def measure(kind: str, work: Path, size_mb: float, processes: int) -> list[dict[str, Any]]:
    """All stages over 99 %, after a few records, and after the last percent."""
    inputs, store, later = work / "inputs", work / "store", work / "later"
    for folder in (inputs, store, later):
        folder.mkdir(parents=True)
    MAKE[kind](inputs, size_mb)
    files = sorted(path for path in inputs.rglob("*") if path.is_file())
    held = list(islice(files, 50, None, 100))
    for path in held:
        (later / path.relative_to(inputs)).parent.mkdir(parents=True, exist_ok=True)
        path.rename(later / path.relative_to(inputs))
    time.sleep(SETTLE_S)
    rounds: list[dict[str, dict[str, Any]]] = []
    for turn in ("full", "floor", "append"):
        if turn == "floor":
            write_few(kind, inputs, later / held[0].relative_to(inputs))
        if turn == "append":
            for path in held:
                (later / path.relative_to(inputs)).rename(path)
        rounds.append({stage: run_apart(stage, kind, inputs, store, processes) for stage in STAGES})
        print(f"{kind} {turn}: {rounds[-1]}", file=sys.stderr, flush=True)
    return [_case(kind, stage, [one[stage] for one in rounds], len(files)) for stage in STAGES]


def write_few(kind: str, inputs: Path, held: Path) -> None:
    """Put a few short records of many lengths beside the others; nothing of them comes twice."""
    folder = inputs / "a"
    if kind == "eeg":  # windows have one length, so that one recording reaches its bucket
        lines = held.read_bytes().splitlines(keepends=True)[:SMALL_LINES]
        (folder / f"few-{held.name}").write_bytes(b"".join(lines))
        return
    if kind == "documents":
        for number, (text, _) in enumerate(islice(documents(1e9), FEW)):
            words = text.split()[: 2 * number + 2]
            # in a folder that has a label already, or preparation would leave them out
            (folder / "000" / f"few{number}.txt").write_text(f"few{number} {' '.join(words)}")
        return
    rng = np.random.default_rng(SEED + 1)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    records = [letters[rng.integers(0, 4, size=8 * number + 60)].tobytes() for number in range(FEW)]
    text = b"".join(b">few%d\n%s\n" % (number, bases) for number, bases in enumerate(records))
    (folder / "few.fa").write_bytes(text)


def _case(kind: str, stage: str, runs: list[dict[str, Any]], files: int) -> dict[str, Any]:
    full, floor, append = (run["cpu"] for run in runs)
    return {
        "input": kind,
        "stage": stage,
        "files": files,
        "full": full,
        "floor": floor,
        "append": append,
        "ratio": (append - floor) / full,
    }


def medians(repeats: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """For each case the median of its figures over the repeats."""
    figures = ("full", "floor", "append", "ratio")
    return [
        {**runs[0], **{name: statistics.median(run[name] for run in runs) for name in figures}}
        for runs in zip(*repeats, strict=True)
    ]


def markdown(body: dict[str, Any]) -> str:
    """The table of results."""
    lines = [
        "## Appending one percent",
        "",
        "CPU seconds over 99 % of the files, after a few short records that reach every split and "
        "bucket (the constant cost), and after 1 % more has come; the ratio is (append - floor) / "
        f"full, aim {AIM:.0%}.",
        "",
        f"Input {body['size_mb']:g} MB each, {body['processes']} processes, median of "
        f"{body['repeats']}; {facts_line(body['environment'])}",
        "",
        "| input | files | stage | full | floor | append | ratio | aim |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case in body["cases"]:
        met = "met" if case["ratio"] <= AIM else "missed"
        figures = " | ".join(f"{case[name]:.2f}" for name in ("full", "floor", "append"))
        lines.append(
            f"| {case['input']} | {case['files']:,} | {case['stage']} | {figures} "
            f"| {case['ratio']:.1%} | {met} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command line; 1 if an aim was missed."""
    parser = argparse.ArgumentParser(description="What one percent of new data costs.")
    parser.add_argument("--size-mb", type=float, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--kind", choices=list(MAKE), default=None)
    parser.add_argument("--work", type=Path, default=None, help="folder for inputs and outputs")
    parser.add_argument("--keep", action="store_true", help="don't write results/")
    parser.add_argument("--stage", choices=list(STAGES), help=argparse.SUPPRESS)
    parser.add_argument("--inputs", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        done = STAGES[options.stage](options.kind, options.inputs, options.work, options.processes)
        print(json.dumps(done))
        return 0
    cases = []
    for kind in [options.kind] if options.kind else MAKE:
        repeats = []
        for _ in range(options.repeats):
            with tempfile.TemporaryDirectory(prefix="bench-", dir=options.work) as folder:
                repeats.append(measure(kind, Path(folder), options.size_mb, options.processes))
        cases += medians(repeats)
    body = {
        "benchmark": "append",
        "size_mb": options.size_mb,
        "processes": options.processes,
        "repeats": options.repeats,
        "environment": environment(),
        "cases": cases,
    }
    text = markdown(body)
    print(text)
    if not options.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "append.json").write_text(json.dumps(body, indent=1) + "\n")
        (RESULTS / "append.md").write_text(text)
    return int(any(case["ratio"] > AIM for case in cases))


if __name__ == "__main__":
    sys.exit(main())
