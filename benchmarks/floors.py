"""Floors that no program gets under: the bytes of the input read, and our Parquet written again.

Use them as cases of a benchmark, beside the peers. What is written is what ours wrote, from memory
and by pyarrow alone in one thread, with the options that suit it best at the same compression. Of
the whole job that is all tables; of ingest `sequences`; of prepare all else, after `sequences` was
read by pyarrow.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import ZSTD_LEVEL, Case, Facts, Settings, folder_mb

BLOCK_BYTES = 2**20
SEQUENCES = "sequences"
"""The folder of the table that ingest writes and prepare reads."""


def floor_cases(ours: Case) -> dict[str, Case]:
    """`floor_read`, `floor_write` and both, `floors`; of stages `floor_ingest`, `floor_prepare`.

    Args:
        ours: writes the tables.
    """

    def both(settings: Settings) -> Any:
        write = _write(_made(ours, settings), settings)
        return lambda: {**_read(settings), **write()}

    def ingest(settings: Settings) -> Any:
        write = _write(_sequences(_made(ours, settings), settings), settings)
        return lambda: {**_read(settings), **write()}

    def prepare(settings: Settings) -> Any:
        files = _made(ours, settings)
        sequences = _sequences(files, settings)
        kept = [_moved(path, settings.out / f"sequences-{n}") for n, path in enumerate(sequences)]
        write = _write([path for path in files if path not in sequences], settings)
        return lambda: {**_read_tables(kept), **write()}

    return {
        "floor_read": lambda settings: lambda: _read(settings),
        "floor_write": lambda settings: _write(_made(ours, settings), settings),
        "floors": both,
        "floor_ingest": ingest,
        "floor_prepare": prepare,
    }


def _made(ours: Case, settings: Settings) -> list[Path]:
    """The Parquet files that ours writes."""
    made = replace(settings, out=settings.out / "made")
    ours(made)()
    return sorted(made.out.rglob("*.parquet"))


def _sequences(files: Sequence[Path], settings: Settings) -> list[Path]:
    made = settings.out / "made"
    return [path for path in files if path.relative_to(made).parts[1] == SEQUENCES]


def _moved(path: Path, to: Path) -> Path:
    shutil.copy(path, to)
    return to


def _read(settings: Settings) -> Facts:
    size_bytes = 0
    for path in sorted(path for path in settings.inputs.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                size_bytes += len(block)
    return {"read_mb": size_bytes / 1e6}


def _read_tables(paths: Sequence[Path]) -> Facts:
    """Read Parquet files a row group at a time, and do nothing with what they hold."""
    import pyarrow.parquet as pq

    for path in paths:
        file = pq.ParquetFile(path)
        for number in range(file.num_row_groups):
            file.read_row_group(number)
    return {"read_mb": sum(path.stat().st_size for path in paths) / 1e6}


def _write(paths: Sequence[Path], settings: Settings) -> Callable[[], Facts]:
    """Writes the tables of some files again, which are held in memory; ours are removed."""
    import pyarrow.parquet as pq

    files = [pq.ParquetFile(path) for path in paths]
    tables = [[file.read_row_group(n) for n in range(file.num_row_groups)] for file in files]
    shutil.rmtree(settings.out / "made")

    def job() -> Facts:
        written = settings.out / "written"
        written.mkdir()
        for number, groups in enumerate(groups for groups in tables if groups):
            schema = groups[0].schema
            path = written / f"{number}.parquet"
            with pq.ParquetWriter(path, schema, **parquet_options(schema)) as writer:
                for group in groups:
                    writer.write_table(group, row_group_size=len(group))
        return {"parquet_mb": folder_mb(written)}

    return job


def parquet_options(schema: Any) -> dict[str, Any]:
    """Dictionaries for words and small numbers, floats split into byte streams."""
    import pyarrow as pa

    floats, words = [], []
    for item in schema:
        leaf = item.type.value_type if pa.types.is_list(item.type) else item.type
        path = f"{item.name}.list.element" if pa.types.is_list(item.type) else item.name
        if pa.types.is_floating(leaf):
            floats.append(path)
        elif pa.types.is_int8(leaf) or item.name in ("label", "source", "group", "header"):
            words.append(path)
    return {
        "compression": "zstd",
        "compression_level": ZSTD_LEVEL,
        "use_dictionary": words,
        "use_byte_stream_split": floats or False,
        "write_page_checksum": True,
        "write_statistics": ["length"],
    }
