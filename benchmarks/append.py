"""Appending: what a folder that grew by one percent costs beside all of it, and why.

Stages run in processes of their own, over a store of 99 % of the files: when all is new (full),
after a few short records have come (few), and after the last percent has come (append). The few are
at most a tenth of the percent. The first two are run over a tenth of the files, too, so that
`append_costs` can tell what is constant from what grows with the store. Counted are CPU seconds of
the process and its children after a first run elsewhere has brought imports in.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.append_costs import AIM, markdown, medians
from benchmarks.append_inputs import MAKE, count_records, write_few
from benchmarks.common import RESULTS, environment, peer_environment

SETTLE_S = 2.5
"""Files that changed within two seconds before they are hashed are hashed again the next time."""
DATASET = "append"
WARM_FILES = 20
FEW_SHARE = 0.1
"""Of the records and bytes of one percent, that the few have at most; but there is one at least."""
TENTH = 10
"""One file in so many is in the small store."""
LEAST_RECORDINGS = 20
"""In the small store, where there are as many, or a split by hash leaves a part empty: a file is
one record, and of less than 100 MB there are hardly enough of them."""
KNOWN = {"ingest": "files", "prepare": "records"}
"""What the cost of each stage grows with, as long as nothing of it changed."""
TURNS = ("full", "few", "append")
RECIPES: dict[str, tuple[dict[str, dict[str, Any]], ...]] = {
    "documents": ({"summarize": {"drop_top": 50, "min_count": 2}}, {"truncate": {"length": 500}}),
    "fasta": ({"truncate": {"length": 2000}},),
    "eeg": ({"windows": {"length": 1024}},),
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
    return {"cpu": _cpu_seconds() - start, "rows": done.rows, "new": done.new_files}


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
    return {"cpu": _cpu_seconds() - start, "rows": sum(done.rows.values()), "new": done.added}


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
    """All turns over the whole store, and the first two over a tenth of its files."""
    inputs, later, tenth = work / "inputs", work / "later", work / "tenth"
    for folder in (inputs, later, tenth):
        folder.mkdir(parents=True)
    MAKE[kind](inputs, size_mb)
    files = sorted(path for path in inputs.rglob("*") if path.is_file())
    held = list(islice(files, 50, None, 100))
    for path in held:
        move(path, later / path.relative_to(inputs))
    stay = [path for path in files if path.exists()]
    step = max(2, min(TENTH, len(stay) // LEAST_RECORDINGS)) if kind == "eeg" else TENTH
    small = stay[step // 2 :: step]
    for path in small:
        move(path, tenth / path.relative_to(inputs), copy=True)
    more = [later / path.relative_to(inputs) for path in held]
    few = max(1, int(FEW_SHARE * sum(count_records(kind, path) for path in more)))
    time.sleep(SETTLE_S)
    runs: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for size, folder in (("tenth", tenth), ("whole", inputs)):
        store = work / f"store-{size}"
        store.mkdir()
        for turn in TURNS if size == "whole" else TURNS[:2]:
            if turn == "few":
                few_bytes = write_few(kind, folder, more[0], few)
                assert few_bytes <= FEW_SHARE * sum(path.stat().st_size for path in more)
            if turn == "append":
                for path, original in zip(more, held, strict=True):
                    move(path, original)
            found = {}
            for stage in STAGES:
                before = count_shards(store)
                found[stage] = run_apart(stage, kind, folder, store, processes)
                found[stage]["shards"] = count_shards(store) - before
            runs[size, turn] = found
            print(f"{kind} {size} {turn}: {found}", file=sys.stderr, flush=True)
    known = {"tenth": {"files": len(small)}, "whole": {"files": len(stay)}}
    for size, counts in known.items():
        counts["records"] = runs[size, "full"]["ingest"]["rows"]
    return [_case(kind, stage, runs, known) for stage in STAGES]


def move(path: Path, to: Path, *, copy: bool = False) -> None:
    """Move or copy a file with its times, and make the folders on the way."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if copy:
        shutil.copy2(path, to)
    else:
        path.rename(to)


def count_shards(store: Path) -> int:
    """Parquet files of the tables of a store."""
    return sum(1 for _ in store.rglob("*.parquet"))


def _case(
    kind: str,
    stage: str,
    runs: Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]],
    known: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    cpu = {f"{turn}_{size}": found[stage]["cpu"] for (size, turn), found in runs.items()}
    what = KNOWN[stage]
    return {
        "input": kind,
        "stage": stage,
        "files": known["whole"]["files"],
        "records": known["whole"]["records"],
        "known": known["whole"][what],
        "known_tenth": known["tenth"][what],
        "shards": {turn: runs["whole", turn][stage]["shards"] for turn in TURNS},
        **cpu,
    }


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
    return int(any(case["share"] > AIM for case in cases))


if __name__ == "__main__":
    sys.exit(main())
