"""Batches: examples on disk to three epochs of padded arrays, beside a DataLoader.

The job: open the examples; in each epoch give every row once in random batches of at most 64 rows
of like length, padded. What counts is real tokens a second, and the share of padding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.common import Benchmark, Facts, Settings, main
from benchmarks.examples import example_table, write_snapshot

ROWS = 64
EPOCHS = 3
BATCH_TOKENS = 32_768
MEAN_LENGTH = 410


def make(folder: Path, size_mb: float) -> None:
    """About so many million tokens: our snapshot, and a Hugging Face dataset of the same rows."""
    from datasets import Dataset

    table = example_table(max(ROWS, int(size_mb * 1e6 / MEAN_LENGTH)))
    write_snapshot(folder, table)
    columns = {"input_ids": "tokens", "length": "length", "label": "label"}
    renamed = table.select(list(columns.values())).rename_columns(list(columns))
    Dataset(renamed).save_to_disk(folder / "huggingface")


def ours(settings: Settings) -> Any:
    """Shards verified by SHA-256 and page checksums, read, planned by length, padded."""
    import pandas  # noqa: F401  # pyarrow loads it on first use; imports are not timed

    from seqprep.batches import BatchSettings, BatchSource
    from seqprep.snapshot import Snapshot

    def job() -> Facts:
        snapshot = Snapshot.read(settings.inputs / "snapshot.json")
        budget = BatchSettings(batch_tokens=BATCH_TOKENS, max_rows=ROWS)
        source = BatchSource.of_snapshot(snapshot, "train", settings=budget)
        return count(
            (batch.inputs.size, int(batch.lengths.sum()))
            for epoch in range(EPOCHS)
            for batch in source.batches(source.plan(epoch))
        )

    return job


def huggingface_documented(settings: Settings) -> Any:
    """A DataLoader over a torch-formatted dataset, the sampler of `group_by_length`."""
    import torch
    from datasets import load_from_disk
    from torch.nn.utils.rnn import pad_sequence
    from torch.utils.data import DataLoader
    from transformers.trainer_pt_utils import LengthGroupedSampler

    def collate(rows: Any) -> Any:
        lengths = torch.stack([row["length"] for row in rows])
        return pad_sequence([row["input_ids"] for row in rows], batch_first=True), lengths

    def job() -> Facts:
        dataset = load_from_disk(settings.inputs / "huggingface")
        sampler = LengthGroupedSampler(ROWS, lengths=list(dataset["length"]))
        loader = DataLoader(
            dataset.with_format("torch"),
            batch_size=ROWS,
            sampler=sampler,
            collate_fn=collate,
            num_workers=settings.processes,
        )
        return count(
            (padded.numel(), int(lengths.sum()))
            for _ in range(EPOCHS)
            for padded, lengths in loader
        )

    return job


def huggingface_expert(settings: Settings) -> Any:
    """Whole batches as Arrow, padded by NumPy in one go; no objects for rows."""
    import numpy as np
    import torch
    from datasets import load_from_disk
    from torch.utils.data import BatchSampler, DataLoader
    from transformers.trainer_pt_utils import LengthGroupedSampler

    def collate(table: Any) -> Any:
        column = table["input_ids"].combine_chunks()
        lengths = np.diff(column.offsets.to_numpy())
        padded = np.zeros((len(lengths), int(lengths.max())), dtype=np.int8)
        padded[np.arange(padded.shape[1]) < lengths[:, None]] = column.flatten().to_numpy()
        return torch.from_numpy(padded), torch.from_numpy(lengths)

    def job() -> Facts:
        dataset = load_from_disk(settings.inputs / "huggingface")
        lengths = dataset.with_format("numpy")["length"][:].tolist()
        sampler = LengthGroupedSampler(ROWS, lengths=lengths)
        loader = DataLoader(
            dataset.with_format("arrow"),
            batch_size=None,
            sampler=BatchSampler(sampler, ROWS, drop_last=False),
            collate_fn=collate,
            num_workers=settings.processes,
        )
        return count(
            (padded.numel(), int(real.sum())) for _ in range(EPOCHS) for padded, real in loader
        )

    return job


def count(batches: Any) -> Facts:
    """Real tokens, their share, and batches of (computed steps, real steps)."""
    computed = real = number = 0
    for all_steps, real_steps in batches:
        computed += all_steps
        real += real_steps
        number += 1
    return {"units": real, "padding_share": 1 - real / computed, "batches": number}


BENCHMARK = Benchmark(
    name="batches",
    title="Batches of like length",
    make=make,
    cases={
        "ours": ours,
        "huggingface_documented": huggingface_documented,
        "huggingface_expert": huggingface_expert,
    },
    aims={"huggingface_documented": 15.0, "huggingface_expert": 15.0},
    size_mb=80,
    notes=(
        f"Int8 tokens, lognormal lengths (median 300), {EPOCHS} epochs. Ours reads compressed "
        "Parquet, verifies it, and runs in one process; the peers map an uncompressed Arrow file "
        f"and may use worker processes. At most {ROWS} rows a batch everywhere; ours also at most "
        f"{BATCH_TOKENS} tokens."
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
