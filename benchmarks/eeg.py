"""EEG tables in CSV to scaled values in Parquet, beside pandas.

The job: read CSV files of a timestamp and eight channels, leave the timestamp out, scale each
channel by its mean and standard deviation over all files, write flat float32 values, a row a file.
Beside them stand two floors that no program gets under: the bytes read, and the Parquet written.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import ZSTD_LEVEL, Benchmark, Facts, Settings, folder_mb, main
from benchmarks.floors import floor_cases
from benchmarks.inputs import write_eeg
from benchmarks.stages import STAGE_NOTE, StageClock


def ours(settings: Settings) -> Any:
    """`ingest` and `prepare`: also checks of the timestamps, oddities, hashes, split, buckets."""
    import pandas  # noqa: F401  # Arrow loads it on first use; imports are not timed

    from seqprep.ingest import ingest
    from seqprep.prepare import prepare
    from seqprep.recipe import Prepare, Split
    from seqprep.source import Source

    source = Source(domain="eeg", path=str(settings.inputs), include="**/*.csv")

    def job() -> Facts:
        common: dict[str, Any] = {"dataset": "eeg", "store": settings.out}
        clock = StageClock()
        clock.time("ingest", lambda: ingest(source, workers=settings.processes, **common))
        plan = partial(
            prepare,
            domain="eeg",
            task="classify",
            split=Split(by="folds", count=3),
            recipe=Prepare(),
            workers=settings.processes,
            **common,
        )
        rows = sum(clock.time("prepare", plan).rows.values())
        return {"rows": rows, "parquet_mb": folder_mb(settings.out), **clock.facts}

    return job


def pandas_documented(settings: Settings) -> Any:
    """As the documentation shows: `read_csv`, frames, a Hugging Face dataset of lists."""
    import pandas as pd
    import pyarrow.parquet as pq
    from datasets import Dataset

    def job() -> Facts:
        paths = sorted(settings.inputs.rglob("*.csv"))
        frames = [pd.read_csv(path).drop(columns="timestamp") for path in paths]
        everything = pd.concat(frames)
        mean, std = everything.mean(), everything.std(ddof=0)
        rows = {
            "id": [path.name for path in paths],
            "label": [path.parent.name for path in paths],
            "values": [
                ((frame - mean) / std).astype("float32").to_numpy().ravel().tolist()
                for frame in frames
            ],
        }
        dataset = Dataset.from_dict(rows)
        pq.write_table(dataset.data.table, settings.out / "examples.parquet", **options())
        return {"rows": len(paths), "parquet_mb": folder_mb(settings.out)}

    return job


def pandas_expert(settings: Settings) -> Any:
    """Arrow's parser under pandas, float32 NumPy arrays, worker processes, Arrow straight out."""
    import numpy as np
    import pandas  # noqa: F401
    import pyarrow as pa
    import pyarrow.parquet as pq

    def job() -> Facts:
        paths = sorted(settings.inputs.rglob("*.csv"))
        with ProcessPoolExecutor(settings.processes) as pool:
            arrays = list(pool.map(read_expert, paths))
        steps = sum(len(array) for array in arrays)
        mean = sum(array.sum(axis=0, dtype=np.float64) for array in arrays) / steps
        square = sum(((array - mean) ** 2).sum(axis=0) for array in arrays) / steps
        std = np.sqrt(square)
        offsets = np.cumsum([0, *(array.size for array in arrays)]).astype(np.int32)
        flat = np.concatenate([((a - mean) / std).astype(np.float32).ravel() for a in arrays])
        table = pa.table(
            {
                "id": [path.name for path in paths],
                "label": [path.parent.name for path in paths],
                "values": pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat)),
            }
        )
        pq.write_table(
            table,
            settings.out / "examples.parquet",
            **options(),
            use_dictionary=["id", "label"],
            use_byte_stream_split=["values.list.element"],
        )
        return {"rows": len(paths), "parquet_mb": folder_mb(settings.out)}

    return job


def read_expert(path: Path) -> Any:
    """The channels of one file, `(T, 8)` float32."""
    import pandas as pd

    frame = pd.read_csv(path, engine="pyarrow")
    return frame.drop(columns="timestamp").to_numpy(dtype="float32")


def polars_expert(settings: Settings) -> Any:
    """The fastest reader we know, polars, with the rest as in `pandas_expert`."""
    import numpy as np
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    def job() -> Facts:
        paths = sorted(settings.inputs.rglob("*.csv"))
        frames = [pl.read_csv(path).drop("timestamp").cast(pl.Float32) for path in paths]
        arrays = [frame.to_numpy(order="c") for frame in frames]
        flat = np.concatenate(arrays)
        scaled = ((flat - flat.mean(axis=0, dtype=np.float64)) / flat.std(axis=0)).astype("float32")
        offsets = np.cumsum([0, *(array.size for array in arrays)]).astype(np.int32)
        table = pa.table(
            {
                "id": [path.name for path in paths],
                "label": [path.parent.name for path in paths],
                "values": pa.ListArray.from_arrays(pa.array(offsets), pa.array(scaled.ravel())),
            }
        )
        pq.write_table(
            table,
            settings.out / "examples.parquet",
            **options(),
            use_dictionary=["id", "label"],
            use_byte_stream_split=["values.list.element"],
        )
        return {"rows": len(paths), "parquet_mb": folder_mb(settings.out)}

    return job


def options() -> dict[str, Any]:
    """Compression like ours."""
    return {"compression": "zstd", "compression_level": ZSTD_LEVEL, "write_page_checksum": True}


BENCHMARK = Benchmark(
    name="eeg",
    title="EEG tables to scaled values",
    make=write_eeg,
    cases={
        "ours": ours,
        "pandas_documented": pandas_documented,
        "pandas_expert": pandas_expert,
        "polars_expert": polars_expert,
        **floor_cases(ours),
    },
    aims={"pandas_documented": 4.0, "floors": 0.5},
    size_mb=100,
    stages=2,
    notes=(
        "Files of about 1 MB. Ours also checks timestamps and values, keeps the cleaned table, "
        "hashes, splits, buckets and commits; the peers write one table. The floors read the bytes "
        "and do nothing with them, and write the Parquet of ours again with pyarrow alone. "
        f"{STAGE_NOTE}"
    ),
)

if __name__ == "__main__":
    main(BENCHMARK)
