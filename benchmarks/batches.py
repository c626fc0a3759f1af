"""Batches: examples on disk to ten epochs of padded arrays, beside a DataLoader.

The job: open the examples; in each epoch give every row once in random batches of at most 64 rows
of like length, padded, as int64 tensors, which is what a model waits for. What counts is real
tokens a second, and the share of padding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.common import Benchmark, Facts, Settings, main
from benchmarks.examples import example_table, write_snapshot

ROWS = 64
EPOCHS = 10
BATCH_TOKENS = 16_384
MEAN_LENGTH = 410
LEAST_TOKENS_A_SECOND = 20_000_000


def make(folder: Path, size_mb: float) -> None:
    """About so many million tokens."""
    write_inputs(folder, rows=max(ROWS, int(size_mb * 1e6 / MEAN_LENGTH)))


def write_inputs(folder: Path, *, rows: int) -> None:
    """Our snapshot, and a Hugging Face dataset of the same rows."""
    from datasets import Dataset

    table = example_table(rows)
    write_snapshot(folder, table)
    columns = {"input_ids": "tokens", "length": "length", "label": "label"}
    renamed = table.select(list(columns.values())).rename_columns(list(columns))
    Dataset(renamed).save_to_disk(folder / "huggingface")


def ours(settings: Settings) -> Any:
    """Shards verified by SHA-256 and page checksums, read, planned, padded, as tensors."""
    import torch

    from models.shape import to_tensors

    device = torch.device("cpu")
    return ours_by(settings, lambda batch: to_tensors(batch, device).inputs.numel())


def ours_arrays(settings: Settings) -> Any:
    """The same without the conversion to tensors: int8 arrays."""
    return ours_by(settings, lambda batch: batch.inputs.size)


def ours_by(settings: Settings, size: Any) -> Any:
    """All batches of the epochs.

    Args:
        settings: see there.
        size: what is done with a batch; gives its computed steps.
    """
    import pandas  # noqa: F401  # pyarrow loads it on first use; imports are not timed

    from seqprep.batches import BatchSettings, BatchSource
    from seqprep.snapshot import Snapshot

    def job() -> Facts:
        snapshot = Snapshot.read(settings.inputs / "snapshot.json")
        budget = BatchSettings(batch_tokens=BATCH_TOKENS, max_rows=ROWS)
        source = BatchSource.of_snapshot(snapshot, "train", settings=budget)
        return count(
            (size(batch), int(batch.lengths.sum()))
            for epoch in range(EPOCHS)
            for batch in source.batches(source.plan(epoch))
        )

    return job


def huggingface_loader(settings: Settings, *, workers: int | None = None) -> Any:
    """Opens a DataLoader over a torch-formatted dataset, the sampler of `group_by_length`."""
    import torch
    from datasets import load_from_disk
    from torch.nn.utils.rnn import pad_sequence
    from torch.utils.data import DataLoader
    from transformers.trainer_pt_utils import LengthGroupedSampler

    def collate(rows: Any) -> Any:
        lengths = torch.stack([row["length"] for row in rows])
        return pad_sequence([row["input_ids"] for row in rows], batch_first=True), lengths

    def loader() -> Any:
        dataset = load_from_disk(settings.inputs / "huggingface")
        sampler = LengthGroupedSampler(ROWS, lengths=list(dataset["length"]))
        return DataLoader(
            dataset.with_format("torch"),
            batch_size=ROWS,
            sampler=sampler,
            collate_fn=collate,
            num_workers=settings.processes if workers is None else workers,
        )

    return loader


def huggingface_documented(settings: Settings) -> Any:
    """A DataLoader with pad_sequence and worker processes, grouped by length."""
    return padded_by(huggingface_loader(settings))


def huggingface_one_core(settings: Settings) -> Any:
    """The same without worker processes, as ours runs."""
    return padded_by(huggingface_loader(settings, workers=0))


def padded_by(loader: Any) -> Any:
    """All batches of the epochs of a DataLoader."""

    def job() -> Facts:
        opened = loader()
        return count(
            (padded.numel(), int(lengths.sum()))
            for _ in range(EPOCHS)
            for padded, lengths in opened
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


def floor(settings: Settings) -> Any:
    """Nothing is run: what ours shall deliver at least, 20 million real tokens a second."""
    return lambda: {"seconds": 1.0, "units": LEAST_TOKENS_A_SECOND}


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
        "ours_arrays": ours_arrays,
        "floor": floor,
        "huggingface_documented": huggingface_documented,
        "huggingface_one_core": huggingface_one_core,
        "huggingface_expert": huggingface_expert,
    },
    aims={"floor": 1.0, "huggingface_documented": 20.0, "huggingface_one_core": 20.0},
    size_mb=40,
    notes=(
        f"Int8 tokens, lognormal lengths (median 300), {EPOCHS} epochs. Ours reads compressed "
        "Parquet and verifies it in the first epoch (hashing by two threads, the rest on one "
        "core); the peers map an uncompressed Arrow file and may use worker processes "
        "(`one_core`: none). Ours and the documented peer deliver int64 tensors, `ours_arrays` and "
        "the expert int8; `floor` is what is asked of ours. At most "
        f"{ROWS} rows a batch everywhere; ours also at most {BATCH_TOKENS} tokens."
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
