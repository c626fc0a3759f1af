"""Labels and targets of all records as numbers, and the classes that training knows.

Legend: R records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from seqprep import splits
from seqprep.errors import ConfigError
from seqprep.kernels import count_numbers
from seqprep.preparation.lists import list_rows
from seqprep.ragged import Ints, look_up, string_bytes
from seqprep.schema import SPLITS, Task

MANY = 20
"""From so many records on it is no accident that most have a label of their own."""


def label_numbers(
    parts: Iterable[pa.ChunkedArray], *, total: int, task: Task
) -> tuple[npt.NDArray[Any], list[str | None]]:
    """A number for each record's label, and the labels by number where they are names.

    Args:
        parts: the labels of all records, chunk by chunk.
        total: how many there are.
        task: `regress` has numbers as labels.

    Returns:
        `(R,)` int32, or float64 for regression.
    """
    if task != "regress":
        return numbered(parts, total=total)
    labels, start = np.empty(total, dtype=np.float64), 0
    for column in parts:
        labels[start : start + len(column)] = column.to_numpy()
        start += len(column)
    return labels, []


def numbered(
    parts: Iterable[pa.ChunkedArray], *, total: int
) -> tuple[npt.NDArray[np.int32], list[str | None]]:
    """A number for each of `total` strings, `(R,)`, and the strings by number."""
    numbers, start = np.empty(total, dtype=np.int32), 0
    known: dict[str | None, int] = {}
    for column in parts:
        local, names = number_values(column)
        places = [known.setdefault(name, len(known)) for name in names.to_pylist()]
        numbers[start : start + len(column)] = np.array(places, dtype=np.int32)[local]
        start += len(column)
    return numbers, list(known)


def refuse_names(labels: npt.NDArray[Any], found: list[str | None]) -> None:
    """Stop where labels are as good as names: nothing can be learnt from a class of one record.

    Args:
        labels: `(R,)` numbers of the labels.
        found: the labels by number.

    Raises:
        ConfigError: if over half of at least MANY records have a label of their own.
    """
    counts = count_numbers(labels, size=len(found))
    alone, rows = int((counts == 1).sum()), len(labels)
    if rows >= MANY and 2 * alone > rows:
        examples = ", ".join(repr(name) for name in found[:3])
        raise ConfigError(
            f"{alone:,} of {rows:,} records have a label that no other has ({examples} ...): that "
            "is a name, not a class; set source.label.pattern to the part that is the class, or "
            "task: regress if it is a number"
        )


def class_codes(
    labels: npt.NDArray[Any],
    found: list[str | None],
    kept: splits.Codes,
    known: tuple[str, ...] | None,
    *,
    conflicting: int = 0,
) -> tuple[npt.NDArray[np.int32], tuple[str, ...], npt.NDArray[np.bool_]]:
    """Codes by the sorted names of the training rows, the names, and the records without one.

    Args:
        labels: as `refuse_names` takes them.
        found: likewise.
        kept: `(R,)` split of each record.
        known: names of state that is kept.
        conflicting: training records that were left out for it, told where no two names are left.
    """
    counts = count_numbers(labels[kept == splits.TRAIN], size=len(found))
    training = {found[number] for number in np.flatnonzero(counts).tolist()}
    names = tuple(sorted(name for name in training if name is not None)) if known is None else known
    if len(names) < 2:
        raise ConfigError(
            f"there is nothing to tell apart: the training rows have {len(names)} label(s)"
            f"{' (' + names[0] + ')' if names else ''}; "
            + (
                f"{conflicting:,} were left out because records of equal content have different "
                "labels; "
                if conflicting
                else ""
            )
            + "check source.label and the split"
        )
    place = {name: code for code, name in enumerate(names)}
    table = np.array([place.get(name, -1) if name else -1 for name in found], dtype=np.int32)
    codes = look_up(table, labels)
    return codes, names, (codes < 0) & (kept != splits.LEFT_OUT)


def new_classes(
    labels: npt.NDArray[Any],
    found: list[str | None],
    kept: splits.Codes,
    known: tuple[str, ...] | None,
) -> dict[str, int]:
    """Training records of each class that state which is kept does not know."""
    if known is None:
        return {}
    counts = count_numbers(labels[kept == splits.TRAIN], size=len(found)).tolist()
    return {
        name: count
        for name, count in zip(found, counts, strict=True)
        if count and name is not None and name not in known
    }


def label_counts(
    kept: splits.Codes, labels: npt.NDArray[Any], names: tuple[str, ...]
) -> dict[str, dict[str, int]]:
    """Records by split and class."""
    if not names:
        return {}
    return {
        split: dict(
            zip(
                names,
                count_numbers(labels[kept == code], size=len(names)).tolist(),
                strict=True,
            )
        )
        for code, split in enumerate(SPLITS)
    }


def answer_keys(column: pa.ChunkedArray) -> Ints:
    """A 64-bit hash of each record's target, `(R,)`."""
    if pa.types.is_string(column.type):
        raw, edges = string_bytes(column)
        edges = edges - edges[0]
    else:
        rows = list_rows(column)
        raw, edges = rows.values.view(np.uint8), rows.offsets * rows.values.itemsize
    buffer = np.ascontiguousarray(raw).data
    digests = b"".join(
        hashlib.blake2b(buffer[start:stop], digest_size=8).digest()
        for start, stop in pairwise(edges.tolist())
    )
    return np.frombuffer(digests, dtype=np.int64)


def number_values(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """A number for each value, `(R,)`, and the values by number; null is a value."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    coded = column.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0) if coded.num_chunks else pa.array([], column.type)
    names = coded.dictionary
    numbers = pc.fill_null(coded.indices, len(names))
    if coded.null_count:
        names = pa.concat_arrays([names, pa.nulls(1, names.type)])
    return numbers.to_numpy(zero_copy_only=False).astype(np.int64), names
