"""Training on a GPU: how near our batches and our loop come to what cuDNN can do.

    python -m benchmarks.gpu                       # on CUDA; some minutes
    python -m benchmarks.gpu --device cpu --hidden 8 --lengths 20 --tokens 400 ...   # does it run?

Runs on a bare node: torch, numpy, pyarrow and safetensors (torchmetrics for the rows of the loop).
The ceiling is a plain embedding, `nn.LSTM` and linear layer on a dense batch of one fixed length
that holds as many rows and as many real tokens; nothing that pads or masks can be faster. Forward
and backward of batches of like length as the loader makes them, in median of the repeats, after a
warm-up, the device synchronised on both sides of the clock.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.common import RESULTS, environment, facts_line, show
from benchmarks.gpu_cases import EMBEDDING, Clock, Row, layers, long_record, loop
from models.device import flush_denormals

AIM = 0.9
COLUMNS = ("what", "hidden", "length", "precision", "ms", "tokens_per_s", "of_ceiling", "peak_mb")


def table(rows: Sequence[Row], head: str) -> str:
    """All rows as Markdown."""
    lines = [head, "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        body = asdict(row)
        cells = [show(body[name]) for name in COLUMNS]
        cells[4] = cells[4] or row.note
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> list[Row]:
    """Run all of it and print one table; on CUDA it is kept in `results/`."""
    parser = argparse.ArgumentParser(description="Training on a GPU")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--hidden", type=int, nargs="+", default=[128, 512, 1024])
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bf16"])
    parser.add_argument("--tokens", type=int, default=65_536, help="of a batch, padding included")
    parser.add_argument("--long", type=int, default=100_000, help="steps of the long record")
    parser.add_argument("--updates", type=int, default=50, help="of the loop")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="don't write results/")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch finds no CUDA device; --device cpu shows only that it runs")
    flush_denormals()
    if options.device == "cpu":
        torch.set_num_threads(1)
    clock = Clock(device=torch.device(options.device), repeats=options.repeats)
    rows: list[Row] = []

    def add(more: Sequence[Row]) -> None:
        rows.extend(more)
        for row in more:
            print(" ".join(f"{v}" for v in asdict(row).values() if v not in (None, "")), flush=True)

    for precision in options.precisions:
        for hidden in options.hidden:
            for length in options.lengths:
                add(layers(hidden, length, precision, options.tokens, clock))
    add(long_record(options.hidden[0], options.long, clock))
    middle = options.lengths[len(options.lengths) // 2]
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as work:
        for precision in options.precisions:
            for hidden in options.hidden:
                more = (options.tokens, options.updates, clock, Path(work))
                add([loop(hidden, middle, precision, *more)])
    facts = environment()
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    head = (
        f"## Training on a GPU\n\n{name}; CUDA {torch.version.cuda}, cuDNN "
        f"{torch.backends.cudnn.version()}. Batches of at most {options.tokens:,} tokens, "
        f"lognormal lengths, one LSTM layer, embedding {EMBEDDING}; the loop shall reach {AIM:g} "
        f"of the ceiling.\n\n{facts_line(facts)}"
    )
    text = table(rows, head)
    print(text)
    if options.device == "cuda" and not options.keep:
        RESULTS.mkdir(exist_ok=True)
        body = {"device": name, "environment": facts, "rows": [asdict(row) for row in rows]}
        (RESULTS / "gpu.json").write_text(json.dumps(body, indent=1) + "\n")
        (RESULTS / "gpu.md").write_text(text)
    return rows


if __name__ == "__main__":
    main()
