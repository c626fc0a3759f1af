"""A table of very many files: what a commit, an append, a snapshot and a plan of batches cost.

The files are hard links to a few tiny Parquet files of real examples under as many names: names,
log entries, sizes, footers and hashes are real, only the bytes of rows are missing. So this tells
what grows with the number of files, and nothing of what grows with the data (see `memory`). Each
stage runs in a process of its own; imports are not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, environment, facts_line, peer_environment

SIZES = (1_000, 10_000, 100_000)
ROWS = 4
"""Of each file."""
LINKED = 100
"""Files that are different: a file system allows some ten thousand links to one."""
BUCKETS = (256, 512, 1024, 8192)
TABLE = "examples-default"
Facts = dict[str, Any]


def make(folder: Path, files: int) -> None:
    """Tiny shards under as many names, and the list of what was staged."""
    from benchmarks.examples import example_table
    from seqprep.staging import StagedWriter

    root = folder / TABLE
    made = []
    for number in range(LINKED):
        table = example_table(ROWS)
        bucket = str(BUCKETS[number % len(BUCKETS)])
        partition = {"split": "train", "bucket": bucket}
        with StagedWriter(root, f"seed{number:03d}", table.schema, partition=partition) as writer:
            writer.write(table)
        made.append(writer.staged)
    staged = []
    for number in range(files):
        seed = made[number % LINKED]
        path = Path(seed.path).with_name(f"shard{number:06d}-{seed.sha256[:16]}.parquet")
        os.link(root / seed.path, root / path)
        staged.append(asdict(replace(seed, path=path.as_posix())))
    (folder / "staged.json").write_text(json.dumps(staged))


def commit(folder: Path) -> Callable[[], Facts]:
    """All files but one become visible in one commit."""
    table, schema, staged, info = _table(folder)

    def job() -> Facts:
        table.commit(
            schema=schema,
            files=staged[:-1],
            info=info("first"),
            base=None,
            partition_by=("split", "bucket"),
        )
        return {"log_mb": _mb(table.path / "_delta_log"), "state_mb": _mb(table.state.path)}

    return job


def append(folder: Path) -> Callable[[], Facts]:
    """One more file joins them."""
    table, schema, staged, info = _table(folder)

    def job() -> Facts:
        before = _mb(table.path / "_delta_log"), _mb(table.state.path)
        table.commit(
            schema=schema,
            files=staged[-1:],
            info=info("second"),
            base=0,
            partition_by=("split", "bucket"),
        )
        return {
            "log_mb": _mb(table.path / "_delta_log") - before[0],
            "state_mb": _mb(table.state.path) - before[1],
        }

    return job


def opening(folder: Path) -> Callable[[], Facts]:
    """The newest version and the list of its files."""
    table, *_ = _table(folder)
    return lambda: {"version": table.version(), "listed": len(table.files())}


def snapshot(folder: Path) -> Callable[[], Facts]:
    """The snapshot file of the newest version."""
    from seqprep.preparation.published import write_snapshot

    table, *_ = _table(folder)

    def job() -> Facts:
        path = write_snapshot(table, 1, recipe="default")
        return {"snapshot_mb": path.stat().st_size / 1e6}

    return job


def _plan(folder: Path, *, verify: bool) -> Callable[[], Facts]:
    import pandas  # noqa: F401  # pyarrow loads it on first use; imports are not timed

    from seqprep.batches import BatchSettings, BatchSource
    from seqprep.snapshot import Snapshot

    def job() -> Facts:
        found = Snapshot.read(folder / "snapshots" / "default-v1.json")
        budget = BatchSettings(batch_tokens=16_384)
        source = BatchSource.of_snapshot(found, "train", settings=budget, verify=verify)
        source.plan(0)
        return {"rows": len(source)}

    return job


def plan(folder: Path) -> Callable[[], Facts]:
    """Read the snapshot and the lengths of all rows, and plan an epoch of batches."""
    return _plan(folder, verify=False)


def plan_verified(folder: Path) -> Callable[[], Facts]:
    """The same, with every file hashed first."""
    return _plan(folder, verify=True)


STAGES = {
    "commit": commit,
    "append one file": append,
    "open and list": opening,
    "snapshot": snapshot,
    "batch plan": plan,
    "batch plan, verified": plan_verified,
}


def _table(folder: Path) -> Any:
    """The table, its schema, what was staged, and what a commit says about itself."""
    from benchmarks.examples import FACTS, example_table
    from seqprep.staging import StagedFile
    from seqprep.table import CommitInfo, Table

    staged = [StagedFile(**one) for one in json.loads((folder / "staged.json").read_bytes())]
    facts = {
        key: value
        for key, value in asdict(FACTS).items()
        if key not in ("examples_version", "fitted_sha256", "padding_share")
    }
    table = Table(folder / TABLE)

    def info(fingerprint: str) -> CommitInfo:
        return CommitInfo(
            kind="examples",
            fingerprint=fingerprint,
            counts={"padding_share": 0.0},
            params={"facts": facts},
            state={"fitted": table.state.put(b"{}", "json")},
        )

    return table, example_table(ROWS).schema, staged, info


def _mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def run_here(stage: str, folder: Path) -> None:
    """Run one stage in this process; print what it took."""
    job = STAGES[stage](folder)
    before_mb = _peak_mb()
    start, cpu_s = time.perf_counter(), time.process_time()
    facts = job()
    facts |= {"seconds": time.perf_counter() - start, "cpu_s": time.process_time() - cpu_s}
    print(json.dumps({**facts, "peak_mb": _peak_mb(), "before_mb": before_mb}))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run_apart(stage: str, folder: Path) -> Facts:
    """Run one stage in a fresh process.

    Raises:
        RuntimeError: with the end of its output, if it failed.
    """
    command = [sys.executable, "-m", "benchmarks.many_files"]
    command += ["--stage", stage, "--work", str(folder)]
    environ = peer_environment(folder, 2)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{stage} failed:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def measure(files: int, work: Path) -> list[Facts]:
    """All stages over a table of so many files."""
    folder = work / str(files)
    folder.mkdir()
    make(folder, files)
    found = []
    for stage in STAGES:
        found.append({"files": files, "stage": stage, **run_apart(stage, folder)})
        print(found[-1], file=sys.stderr, flush=True)
    return found


def markdown(body: dict[str, Any]) -> str:
    """The table of results: each stage by the number of files."""
    lines = [
        "## A table of many files",
        "",
        "Hard links to a few tiny Parquet files under as many names (four rows each): what grows "
        "with the number of files alone. Megabytes of memory are the highest of the process; those "
        "written are of the log and of manifests, or the snapshot. Seconds depend on what else "
        "runs; the last column is of processor seconds, over those of a hundredth of the files.",
        "",
        f"One run each; {facts_line(body['environment'])}",
        "",
        "| stage | files | seconds | CPU s | memory, MB | written, MB | times 1 % of the files |",
        "|---|---|---|---|---|---|---|",
    ]
    cpu_s = {(case["stage"], case["files"]): case["cpu_s"] for case in body["cases"]}
    for stage in STAGES:
        for case in (one for one in body["cases"] if one["stage"] == stage):
            small = cpu_s.get((stage, case["files"] // 100))
            ratio = f"{case['cpu_s'] / small:.0f}" if small else ""
            written = case.get("snapshot_mb", case.get("log_mb", 0.0) + case.get("state_mb", 0.0))
            lines.append(
                f"| {stage} | {case['files']:,} | {case['seconds']:.2f} | {case['cpu_s']:.2f} "
                f"| {case['peak_mb']:,.0f} | {f'{written:,.1f}' if written else ''} | {ratio} |"
            )
    return "\n".join(lines) + "\n"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="What a table of many files costs.")
    parser.add_argument("--files", type=int, nargs="*", default=SIZES)
    parser.add_argument("--work", type=Path, default=None, help="folder for the table")
    parser.add_argument("--keep", action="store_true", help="don't write results/")
    parser.add_argument("--stage", choices=list(STAGES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        run_here(options.stage, options.work)
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.work) as folder:
        cases = [case for files in options.files for case in measure(files, Path(folder))]
    body = {"benchmark": "many_files", "environment": environment(), "cases": cases}
    text = markdown(body)
    print(text)
    if not options.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "many_files.json").write_text(json.dumps(body, indent=1) + "\n")
        (RESULTS / "many_files.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
