"""Tables as files that a person names: Parquet or CSV by the suffix, whole or not at all.

Parquet keeps types and metadata and can be read by other recipes; CSV is for people and other
programs.
"""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from seqprep.out_paths import check_file_path


def write_table(table: pa.Table, path: Path) -> None:
    """Write Parquet or CSV by the suffix, whole or not at all; CSV has no metadata."""
    check_file_path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        if path.suffix == ".csv":
            csv.write_csv(table, staged)
        else:
            pq.write_table(table, staged, compression="zstd", write_page_checksum=True)
        os.replace(staged, path)
    finally:
        staged.unlink(missing_ok=True)
