"""Floors that no program gets under: the bytes of the input read, and our Parquet written again.

Use them as cases of a benchmark, beside the peers. What is written is what ours wrote, all tables,
from memory and by pyarrow alone, with the options that suit it best at the same compression.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

from benchmarks.common import ZSTD_LEVEL, Case, Facts, Settings, folder_mb

BLOCK_BYTES = 2**20


def floor_cases(ours: Case) -> dict[str, Case]:
    """`floor_read`, `floor_write` and both, `floors`.

    Args:
        ours: writes the tables.
    """

    def both(settings: Settings) -> Any:
        write = _write(ours, settings)
        return lambda: {**_read(settings), **write()}

    return {
        "floor_read": lambda settings: lambda: _read(settings),
        "floor_write": lambda settings: _write(ours, settings),
        "floors": both,
    }


def _read(settings: Settings) -> Facts:
    size_bytes = 0
    for path in sorted(path for path in settings.inputs.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                size_bytes += len(block)
    return {"read_mb": size_bytes / 1e6}


def _write(ours: Case, settings: Settings) -> Any:
    import pyarrow.parquet as pq

    made = replace(settings, out=settings.out / "made")
    ours(made)()
    files = [pq.ParquetFile(path) for path in sorted(made.out.rglob("*.parquet"))]
    tables = [[file.read_row_group(n) for n in range(file.num_row_groups)] for file in files]
    shutil.rmtree(made.out)

    def job() -> Facts:
        for number, groups in enumerate(groups for groups in tables if groups):
            schema = groups[0].schema
            path = settings.out / f"{number}.parquet"
            with pq.ParquetWriter(path, schema, **parquet_options(schema)) as writer:
                for group in groups:
                    writer.write_table(group, row_group_size=len(group))
        return {"parquet_mb": folder_mb(settings.out)}

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
