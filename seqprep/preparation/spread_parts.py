"""Parts of the first pass on disk, between the task that reads a chunk and the run that merges.

What is counted of a chunk grows with its distinct tokens and its records, so it travels as files;
NumPy's own format without pickles, and Arrow for strings.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seqprep.frequency_counter import ChunkCounts
from seqprep.preparation.first_pass import spill_part
from seqprep.preparation.read_parts import Part
from seqprep.preparation.scaling import Moments
from seqprep.preparation.spill import SpillFolder

Arrays = dict[str, npt.NDArray[Any]]
_COUNTED = ("counts", "records", "by_label", "label_totals")
_MOMENTS = ("count", "mean", "squares")


def write_part(part: Part, folder: SpillFolder) -> None:
    """Leave a part, its chunk and its target text in a folder."""
    name = f"{part.number}-{part.piece}"
    arrays: Arrays = {
        "size_bytes": np.asarray(spill_part(part, folder)),
        "step_labels": part.step_labels,
        "before": part.before,
        "rows": part.rows,
        "steps": part.steps,
    }
    if part.moments is not None:
        arrays |= {f"moments.{key}": np.asarray(getattr(part.moments, key)) for key in _MOMENTS}
    for kind, counted in (("counted", part.counted), ("target", part.target_counts)):
        if counted is not None:
            tokens = pa.table({"token": counted.tokens.cast(pa.large_string())})
            folder.write(f"{kind}-tokens-{name}", tokens)
            arrays |= _counted_arrays(counted, kind)
    with (folder.path / f"part-{name}.npz").open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _counted_arrays(counted: ChunkCounts, kind: str) -> Arrays:
    found = {key: getattr(counted, key) for key in _COUNTED}
    arrays = {f"{kind}.{key}": value for key, value in found.items() if value is not None}
    return {**arrays, f"{kind}.rows": np.asarray(counted.rows)}


def read_part(folder: SpillFolder, *, number: int, piece: int) -> Part:
    """A part that was left in a folder; its chunk and target text stay there."""
    name = f"{number}-{piece}"
    with np.load(folder.path / f"part-{name}.npz", allow_pickle=False) as file:
        arrays = dict(file)
    moments = None
    if "moments.count" in arrays:
        moments = Moments(
            count=int(arrays["moments.count"]),
            mean=arrays["moments.mean"],
            squares=arrays["moments.squares"],
        )
    return Part(
        number=number,
        piece=piece,
        chunk=None,
        size_bytes=int(arrays["size_bytes"]),
        counted=_read_counted(folder, arrays, "counted", name),
        target_ids=None,
        target_counts=_read_counted(folder, arrays, "target", name),
        moments=moments,
        step_labels=arrays["step_labels"],
        before=arrays["before"],
        rows=arrays["rows"],
        steps=arrays["steps"],
    )


def _read_counted(folder: SpillFolder, arrays: Arrays, kind: str, name: str) -> ChunkCounts | None:
    if f"{kind}.rows" not in arrays:
        return None
    tokens = folder.read(f"{kind}-tokens-{name}", keep=True)["token"].combine_chunks()
    found: dict[str, Any] = {key: arrays.get(f"{kind}.{key}") for key in _COUNTED}
    return ChunkCounts(tokens=tokens, rows=int(arrays[f"{kind}.rows"]), **found)


def read_parts_of(path: Path, pieces: list[list[int]]) -> Iterator[Part]:
    """The parts that one task left.

    Args:
        path: its folder.
        pieces: number of each chunk, and how many pieces it has.
    """
    folder = SpillFolder.at(path)
    for number, count in pieces:
        for piece in range(count):
            yield read_part(folder, number=number, piece=piece)
