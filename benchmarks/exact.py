"""Exact backpropagation beside full: time and memory of the same gradient, on long records.

The job: forward and backward of an LSTM classifier of tokens. Each case runs in a process of its
own, one thread, denormals flushed on both sides; cases take turns. Seconds are of the processor,
which is what one thread takes on a machine that does nothing else. Memory is what the process grew
by from just before the job, at most.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, environment, facts_line, peer_environment

HIDDEN, EMBEDDING, VOCAB = 64, 32, 10
MEMORY = "512MB"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A model and a batch.

    Args:
        rows, steps: of the batch. model: options beside the plain one.
        ratio: most that exact may take of the time of full. grown_mb: most memory of exact.
        full: whether full backpropagation is tried, too.
    """

    rows: int
    steps: int
    model: dict[str, Any] = field(default_factory=dict)
    ratio: float | None = None
    grown_mb: float | None = None
    full: bool = True


JOBS = {
    "100,000 steps": Job(rows=1, steps=100_000, ratio=1.3),
    "16 rows of 20,000": Job(rows=16, steps=20_000, ratio=1.0),
    "1,000,000 steps": Job(rows=1, steps=1_000_000, full=False, grown_mb=512),
    "both directions": Job(rows=4, steps=20_000, model={"bidirectional": True}),
    "both directions, attention": Job(
        rows=4, steps=20_000, model={"bidirectional": True, "pooling": ("attention",)}
    ),
    "two layers": Job(rows=4, steps=20_000, model={"layers": 2}),
    "two layers, both directions": Job(
        rows=4, steps=20_000, model={"layers": 2, "bidirectional": True}
    ),
}


def run_here(job: Job, mode: str) -> dict[str, float]:
    """Run a job in this process; seconds, and megabytes that it grew by."""
    import torch

    from models.answers.objectives import objective_for
    from models.architectures import build
    from models.backpropagation.bptt import loss_of
    from models.backpropagation.exact import set_block
    from models.options.model import Model
    from models.options.training import Backpropagation, Train
    from models.shape import Shape, TensorBatch
    from models.training.memory import peak_bytes

    torch.manual_seed(0)
    torch.set_num_threads(1)
    if not torch.set_flush_denormal(True):
        raise RuntimeError("this CPU cannot flush denormals; the figures would mean nothing")
    plain: dict[str, Any] = {"bidirectional": False, "dropout": 0.0}
    model = Model(hidden=HIDDEN, embedding=EMBEDDING, **{**plain, **job.model})
    way = Backpropagation(mode="exact", memory=MEMORY) if mode == "exact" else Backpropagation()
    loss = loss_of(Train(model=model, backpropagation=way))
    network = build(model, Shape(task="classify", vocab_size=VOCAB, channels=0, outputs=2))
    objective = objective_for("classify")

    def batch_of(rows: int, steps: int) -> TensorBatch:
        return TensorBatch(
            inputs=torch.randint(2, VOCAB, (rows, steps)),
            lengths=torch.full((rows,), steps),
            labels=torch.zeros(rows, dtype=torch.int64),
        )

    def update(rows: int, steps: int) -> None:
        network.zero_grad()
        loss(network, objective, batch_of(rows, steps))[0].backward()

    set_block(
        network, 100 if mode == "exact" else None
    )  # what the first call imports is no part of the job
    objective.loss(network(batch_of(2, 500)), batch_of(2, 500))[0].backward()
    update(2, 500)
    base, start = peak_bytes(torch.device("cpu")), time.process_time()
    update(job.rows, job.steps)
    seconds = time.process_time() - start
    return {"seconds": seconds, "mb": (peak_bytes(torch.device("cpu")) - base) / 2**20}


def run_apart(name: str, mode: str, out: Path) -> dict[str, float]:
    """The same in a fresh process.

    Raises:
        RuntimeError: with the end of its output, if it failed.
    """
    command = [sys.executable, "-m", "benchmarks.exact", "--case", name, "--mode", mode]
    done = subprocess.run(
        command, env=peer_environment(out, 1), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} {mode} failed:\n{done.stderr[-3000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"{name}, {mode}: {found}", file=sys.stderr, flush=True)
    assert isinstance(found, dict)
    return found


def compare(name: str, job: Job, repeats: int, out: Path) -> dict[str, Any]:
    """Medians of both ways, in turns."""
    modes = ["full", "exact"] if job.full else ["exact"]
    runs: dict[str, list[dict[str, float]]] = {mode: [] for mode in modes}
    for _ in range(repeats):
        for mode in modes:
            runs[mode].append(run_apart(name, mode, out))
    row: dict[str, Any] = {"job": name}
    for mode, found in runs.items():
        row[f"{mode}_seconds"] = statistics.median(run["seconds"] for run in found)
        row[f"{mode}_mb"] = statistics.median(run["mb"] for run in found)
    if job.full:
        row["ratio"] = row["exact_seconds"] / row["full_seconds"]
    row["aim"] = aim(job, row)
    return row


def aim(job: Job, row: dict[str, Any]) -> str:
    """What the job promises, and whether it was kept."""
    if job.ratio is not None:
        return f"{job.ratio:g} times ({'met' if row['ratio'] <= job.ratio else 'missed'})"
    if job.grown_mb is not None:
        return f"{job.grown_mb:g} MB ({'met' if row['exact_mb'] <= job.grown_mb else 'missed'})"
    return ""


def markdown(body: dict[str, Any]) -> str:
    """The table."""
    columns = ("full_seconds", "exact_seconds", "ratio", "full_mb", "exact_mb")
    lines = [
        "## Exact backpropagation beside full",
        "",
        f"Forward and backward of an LSTM (embedding {EMBEDDING}, hidden {HIDDEN}, one direction "
        f"and layer unless named), `memory: {MEMORY}`, one thread, denormals flushed. Seconds of "
        "the processor; megabytes that the process grew by at most; ratio: seconds of exact over "
        "those of full. The two-layer model of both directions keeps one sequence a layer.",
        "",
        f"Median of {body['repeats']}; {facts_line(body['environment'])}",
        "",
        "| job | full, s | exact, s | ratio | full, MB | exact, MB | aim |",
        "|" + "---|" * 7,
    ]
    for row in body["jobs"]:
        figures = ["" if row.get(c) is None else f"{row[c]:.3g}" for c in columns[:3]]
        sizes = ["" if row.get(c) is None else f"{row[c]:,.0f}" for c in columns[3:]]
        lines.append("| " + " | ".join([row["job"], *figures, *sizes, row["aim"]]) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Exact backpropagation beside full.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(JOBS), default=None)
    parser.add_argument("--keep", action="store_true", help="don't write results/")
    parser.add_argument("--case", choices=list(JOBS), help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=["full", "exact"], help=argparse.SUPPRESS)
    options, _ = parser.parse_known_args(arguments)  # sizes are those of JOBS
    if options.case:
        print(json.dumps(run_here(JOBS[options.case], options.mode)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as out:
        jobs = {name: job for name, job in JOBS.items() if not options.only or name in options.only}
        rows = [compare(name, job, options.repeats, Path(out)) for name, job in jobs.items()]
    body = {"repeats": options.repeats, "environment": environment(), "jobs": rows}
    print(markdown(body))
    if not options.keep:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "exact.json").write_text(json.dumps(body, indent=1) + "\n")
        (RESULTS / "exact.md").write_text(markdown(body))


if __name__ == "__main__":
    main()
