"""A split table that gains lines while data is appended (CONTRACT 9).

Lines for new records, or for records that had no split so far, leave every known row where it is,
so the fitted state stays. What counts is where the rows stand, not how the file is written: it may
be sorted anew. Lines that would move a known row are refused elsewhere, see `frozen.refuse_moved`.

Legend: R records of the version, O of the one before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from seqprep import splits
from seqprep.errors import CorruptError
from seqprep.preparation.job import Job
from seqprep.preparation.record_columns import Stored
from seqprep.ragged import row_keys
from seqprep.recipe import Split
from seqprep.schema import SPLITS
from seqprep.table import CommitInfo, Table


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitTable:
    """The file that `split.table` names, beside that of the version before.

    Args:
        sha256: of it; None for other splits.
        base: SHA-256 of the one that the state was fitted with: lines that were added since moved
            no known row.
        moved: the first known record that it would move and how, in words; None if there is none.
    """

    sha256: str | None = None
    base: str | None = None
    moved: str | None = None


def table_base(info: CommitInfo) -> str | None:
    """SHA-256 of the split table that a version's state was fitted with."""
    base: str | None = info.params.get("split_table_base", info.params.get("split_table"))
    return base


def compare_tables(
    job: Job, examples: Table, history: Sequence[tuple[int, int, CommitInfo]], *, base: Path
) -> SplitTable:
    """Compare the split table with that of the newest version, by where the known rows stand.

    Reads the ids of all records where the file is another; nothing otherwise.

    Args:
        job: what is to be prepared.
        examples: the recipe's table.
        history: of it.
        base: folder that `split.table` is relative to.

    Raises:
        ConfigError: if the file cannot be read or says two things of one record.
    """
    sha256 = _digest(job.split, base)
    if sha256 is None or not history:
        return SplitTable(sha256=sha256, base=sha256)
    newest = history[-1][2]
    began_with = table_base(newest)
    if newest.params.get("split_table") == sha256:
        return SplitTable(sha256=sha256, base=began_with)
    if newest.params.get("split", {}).get("by") != "table":
        return SplitTable(sha256=sha256, base=sha256)
    moved = _first_moved(job, examples, newest, base=base)
    return SplitTable(sha256=sha256, base=sha256 if moved else began_with, moved=moved)


def _digest(split: Split, base: Path) -> str | None:
    if split.table is None or not (base / split.table).is_file():
        return None
    return hashlib.sha256((base / split.table).read_bytes()).hexdigest()


def _first_moved(job: Job, examples: Table, newest: CommitInfo, *, base: Path) -> str | None:
    try:
        stored = Stored.of(examples.state, newest.state["records"])
    except (CorruptError, KeyError):
        return "which records it would move is not known: that version is damaged"
    keys, then = (stored.column(name) for name in ("key", "placed"))
    order = np.argsort(keys)
    keys, then = keys[order], then[order]
    for ids, codes in _placements(job, base=base):
        place = np.minimum(np.searchsorted(keys, row_keys(ids)), len(keys) - 1)
        known = (keys[place] == row_keys(ids)) & (then[place] != splits.LEFT_OUT)
        moved = np.flatnonzero(known & (then[place] != codes))
        if len(moved):
            was, now = int(then[place[moved[0]]]), int(codes[moved[0]])
            where = "in no split" if now == splits.LEFT_OUT else f"in {SPLITS[now]}"
            return f"{ids[int(moved[0])].as_py()!r} was in {SPLITS[was]} and would be {where}"
    return None


def _placements(job: Job, *, base: Path) -> Iterator[tuple[pa.ChunkedArray, splits.Codes]]:
    """Ids and splits of the records of each row group, by what stands in their rows."""
    listed = splits.read_listed(job.split, base=base)
    wanted = list(dict.fromkeys(("id", "group", *splits.columns_needed(job.split))))
    for file, group in job.table.row_groups(job.version, verify=False):  # pages have checksums
        rows = job.table.read_group(file, group, wanted)
        yield rows["id"], splits.assign(job.split, rows, listed=listed)
