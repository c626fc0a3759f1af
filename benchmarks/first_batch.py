"""The first batch: how long training waits before it can begin, on a million rows.

The job: open the examples, plan an epoch of batches of like length, and deliver its first batch as
tensors. The peer is a DataLoader over the same rows, grouped by length.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.batches import huggingface_loader, write_inputs
from benchmarks.common import Benchmark, Facts, Settings, main

BATCH_TOKENS = 16_384
ROWS = 1_000_000
MEAN_LENGTH = 410
LIMIT_S = 1.0


def make(folder: Path, size_mb: float) -> None:
    """About so many million tokens."""
    write_inputs(folder, rows=max(64, int(size_mb * 1e6 / MEAN_LENGTH)))


def ours(settings: Settings) -> Any:
    """Shards verified by SHA-256; a plan of all rows; the first batch, as a tensor."""
    import pandas  # noqa: F401  # pyarrow loads it on first use; imports are not timed
    import torch

    from models.shape import to_tensors
    from seqprep.batches import BatchSettings, BatchSource
    from seqprep.snapshot import Snapshot

    def job() -> Facts:
        snapshot = Snapshot.read(settings.inputs / "snapshot.json")
        budget = BatchSettings(batch_tokens=BATCH_TOKENS)
        source = BatchSource.of_snapshot(snapshot, "train", settings=budget)
        plan = source.plan(0)
        batch = to_tensors(next(source.batches(plan)), torch.device("cpu"))
        padding = round(plan.padding_share, 4)
        return {"rows": len(source), "padding_share": padding, "batch_rows": len(batch)}

    return job


def huggingface_documented(settings: Settings) -> Any:
    """A DataLoader over a torch-formatted dataset, the sampler of `group_by_length`."""
    loader = huggingface_loader(settings)

    def job() -> Facts:
        opened = loader()
        ((padded, _),) = islice(iter(opened), 1)
        return {"rows": len(opened.dataset), "batch_rows": len(padded)}

    return job


def limit(settings: Settings) -> Any:
    """Nothing is run: the seconds that ours may take."""
    return lambda: {"seconds": LIMIT_S}


BENCHMARK = Benchmark(
    name="first_batch",
    title="The first batch of a million rows",
    make=make,
    cases={"ours": ours, "limit": limit, "huggingface_documented": huggingface_documented},
    aims={"limit": 1.0},
    size_mb=ROWS * MEAN_LENGTH / 1e6,
    processes=1,
    notes=(
        f"Int8 tokens, lognormal lengths (median 300), at most {BATCH_TOKENS} tokens and 64 rows a "
        "batch. Ours reads compressed Parquet and verifies all of it first; `padding_share` is of "
        "the whole epoch. The peer maps an uncompressed Arrow file and verifies nothing."
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
