r"""Words: JSON lines to cut token ids in Parquet, beside Hugging Face's libraries and Polars.

The job: read documents, split lower-cased text into words and punctuation (`\w+|[^\w\s]+`),
count words, drop the 50 most frequent and those seen once, keep the last 500, write ids and label
as Parquet. `tokens` measures the tokenising by itself.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from benchmarks.common import ZSTD_LEVEL, Benchmark, Facts, Settings, folder_mb, main
from benchmarks.floors import floor_cases
from benchmarks.inputs import write_json_lines
from benchmarks.stages import STAGE_NOTE, StageClock

DROP_TOP, MIN_COUNT, KEEP = 50, 2, 500
SPECIAL = ["[PAD]", "[UNK]"]


def ours(settings: Settings) -> Any:
    """`ingest` and `prepare`: also a cleaned table, hashes, duplicates, a split and buckets."""
    import pandas  # noqa: F401  # Arrow loads it on first use; imports are not timed

    from seqprep.ingest import ingest
    from seqprep.prepare import prepare
    from seqprep.recipe import Prepare, Split
    from seqprep.source import Field, Source

    source = Source(
        domain="text",
        path=str(settings.inputs),
        include="*.jsonl",
        text_column="text",
        label=Field(from_="column", column="label"),
    )
    recipe = Prepare(
        steps=(
            {"summarize": {"drop_top": DROP_TOP, "min_count": MIN_COUNT}},
            {"truncate": {"length": KEEP, "keep": "tail"}},
        )
    )

    def job() -> Facts:
        common: dict[str, Any] = {"dataset": "words", "store": settings.out}
        clock = StageClock()
        clock.time("ingest", lambda: ingest(source, workers=settings.processes, **common))
        plan = partial(
            prepare,
            domain="text",
            task="classify",
            split=Split(),
            recipe=recipe,
            workers=settings.processes,
            **common,
        )
        rows = sum(clock.time("prepare", plan).rows.values())
        return {"rows": rows, "parquet_mb": folder_mb(settings.out), **clock.facts}

    return job


def train_tokenizer(texts: Any) -> Any:
    """A word-level tokenizer whose ids are frequency ranks: both peers use it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(
        vocab_size=10**7, min_frequency=MIN_COUNT, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def huggingface_documented(settings: Settings) -> Any:
    """As the documentation of both libraries shows: one `map` a step, batches of Python lists."""
    from datasets import load_dataset

    def job() -> Facts:
        dataset = load_dataset(
            "json", data_files=str(settings.inputs / "documents.jsonl"), split="train"
        )
        tokenizer = train_tokenizer(batch["text"] for batch in dataset.iter(batch_size=1000))

        def encode(batch: Any) -> Any:
            return {"ids": [encoded.ids for encoded in tokenizer.encode_batch(batch["text"])]}

        encoded = dataset.map(
            encode, batched=True, num_proc=settings.processes, remove_columns=["text"]
        )
        counts: Counter[int] = Counter()
        for batch in encoded.iter(batch_size=1000):
            for ids in batch["ids"]:
                counts.update(ids)
        top = {token for token, _ in counts.most_common(DROP_TOP)}
        keep = {t for t, n in counts.items() if n >= MIN_COUNT and t not in top and t > 1}

        def cut(batch: Any) -> Any:
            return {"ids": [[t for t in ids if t in keep][-KEEP:] for ids in batch["ids"]]}

        cleaned = encoded.map(cut, batched=True, num_proc=settings.processes)
        return write(cleaned, settings)

    return job


def huggingface_expert(settings: Settings) -> Any:
    """One `map` in Arrow and NumPy; the trainer's ids are ranks already: nothing is recounted."""
    import numpy as np
    import pyarrow as pa
    from datasets import load_dataset

    first = len(SPECIAL) + DROP_TOP

    def job() -> Facts:
        dataset = load_dataset(
            "json", data_files=str(settings.inputs / "documents.jsonl"), split="train"
        )
        columns = dataset.with_format("arrow")
        tokenizer = train_tokenizer(
            batch["text"].to_pylist() for batch in columns.iter(batch_size=2000)
        )

        def cut(table: Any) -> Any:
            encodings = tokenizer.encode_batch_fast(
                table["text"].to_pylist(), add_special_tokens=False
            )
            rows = [np.array(encoded.ids, dtype=np.int32) for encoded in encodings]
            rows = [row[row >= first][-KEEP:] for row in rows]
            offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int32)
            ids = pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(rows)))
            return pa.table({"ids": ids, "label": table["label"]})

        cleaned = columns.map(
            cut,
            batched=True,
            batch_size=2000,
            num_proc=settings.processes,
            remove_columns=["text"],
        )
        return write(cleaned, settings)

    return job


def polars_expert(settings: Settings) -> Any:
    """Polars' streaming engine up to categories, NumPy on their codes, Arrow out."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from benchmarks.tokens import polars_words

    def job() -> Facts:
        frame = polars_words(settings.inputs / "documents.jsonl", keep=["label"])
        lengths = frame["words"].list.len().to_numpy()
        codes = frame["words"].explode(empty_as_null=False).to_physical().to_numpy()
        counts = np.bincount(codes)
        order = np.argsort(-counts, kind="stable")
        order = order[DROP_TOP : int((counts >= MIN_COUNT).sum())]
        ids = np.zeros(len(counts), np.int32)
        ids[order] = np.arange(2, len(order) + 2, dtype=np.int32)  # 0 pads, 1 is unknown
        found = ids[codes]
        kept = found > 0
        ends = np.append(0, np.cumsum(lengths, dtype=np.int64))
        row_ends = np.append(0, np.cumsum(kept))[ends]  # in the words that are kept
        rows = np.repeat(np.arange(len(lengths)), lengths)[kept]
        found = found[kept]
        tail = np.arange(len(found)) >= row_ends[rows + 1] - KEEP
        offsets = np.append(0, np.cumsum(np.minimum(np.diff(row_ends), KEEP))).astype(np.int32)
        tokens = pa.ListArray.from_arrays(pa.array(offsets), pa.array(found[tail]))
        table = pa.table({"ids": tokens, "label": frame["label"].to_arrow()})
        path = settings.out / "examples.parquet"
        pq.write_table(table, path, compression="zstd", compression_level=ZSTD_LEVEL)
        return {"rows": len(table), "parquet_mb": path.stat().st_size / 1e6}

    return job


def write(dataset: Any, settings: Settings) -> Facts:
    """Write a Hugging Face dataset as we write ours; its own `to_parquet` chooses the codec."""
    import pyarrow.parquet as pq

    path = settings.out / "examples.parquet"
    pq.write_table(dataset.data.table, path, compression="zstd", compression_level=ZSTD_LEVEL)
    return {"rows": len(dataset), "parquet_mb": path.stat().st_size / 1e6}


BENCHMARK = Benchmark(
    name="words",
    title="Words: JSON lines to cut token ids",
    make=write_json_lines,
    cases={
        "ours": ours,
        "huggingface_documented": huggingface_documented,
        "huggingface_expert": huggingface_expert,
        "polars_expert": polars_expert,
        **floor_cases(ours),
    },
    aims={
        "huggingface_documented": 4.5,
        "huggingface_expert": 4.5,
        "polars_expert": 1.0,
        "floors": 0.33,
    },
    size_mb=100,
    stages=3,
    notes=(
        "Documents of lognormal length over 50,000 Zipfian words. Ours also writes the cleaned "
        "text, hashes every record, resolves duplicates, splits and buckets; the peers write one "
        "table. `floors` computes nothing: it reads the input's bytes and writes what ours stores "
        "(the cleaned text, too) with pyarrow alone; ours should take at most three times as long. "
        f"{STAGE_NOTE}"
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
