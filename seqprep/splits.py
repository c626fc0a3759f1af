"""Which split each record is in (CONTRACT 7). A group is in one split only.

The default hashes the group with a seed, so new data never moves an old group. What a table's own
columns say comes second, folds third; `time` cuts a recording and is the only one that may.

Legend: R records. Splits are indices into SPLITS; LEFT_OUT is in none.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from seqprep import ragged
from seqprep.errors import ConfigError
from seqprep.preparation.chunk import Chunk
from seqprep.ragged import Ints, Keys, row_keys
from seqprep.recipe import Split
from seqprep.schema import SPLITS

TRAIN, VALIDATION, TEST = range(3)
LEFT_OUT = -1
VALIDATION_SHARE = 0.1
SPLIT_SALT, _VALIDATION_SALT, _FOLD_SALT = 101, 102, 103

Codes = npt.NDArray[np.int8]


def columns_needed(split: Split) -> tuple[str, ...]:
    """The columns of `sequences` that the split reads, beside `group`."""
    return {
        "path": ("source",),
        "header": ("header",),
        "column": ("attributes",),
        "table": ("id", "name", "source", "group"),
    }.get(split.by, ())


def assign(split: Split, table: pa.Table, *, listed: pl.DataFrame | None = None) -> Codes:
    """The split of each record by what stands in its own row, `(R,)`.

    Leaving one group out needs to know all groups: see `leave_out`.

    Args:
        split: as in the pipeline file.
        table: the records.
        listed: what `read_listed` gave, for `by: table`.
    """
    groups = row_keys(table["group"])
    match split.by:
        case "hash":
            draws = ragged.uniform(groups, SPLIT_SALT, split.seed)
            edges = np.cumsum([float(getattr(split, name) or 0) for name in SPLITS[:2]])
            return np.searchsorted(edges, draws, side="right").astype(np.int8)
        case "time":
            return np.full(len(table), TRAIN, dtype=np.int8)
        case "folds":
            count = split.count or 1
            fold = fold_of(split, groups, count)
            codes = np.where((fold == split.fold) & (count > 1), TEST, TRAIN).astype(np.int8)
        case _:
            codes = _by_value(split, values_of(split, table, listed))
    return hash_validation(split, codes, groups)


def leave_out(split: Split, codes: Codes, groups: Keys, names: Sequence[str]) -> Codes:
    """Splits with one whole group for testing, for `{by: folds, of: group}` without a count.

    Args:
        split: its `fold` counts the groups in the order of their names.
        codes: `(R,)` as `assign` gave them.
        groups: `(R,)` key of each record's group.
        names: of all groups.

    Raises:
        ConfigError: if there are not that many groups.
    """
    held = row_keys(pa.array([held_out(split, names)]))[0]
    return np.where(groups == held, TEST, codes).astype(np.int8)


def held_out(split: Split, names: Sequence[str]) -> str:
    """The group that a fold of `{by: folds, of: group}` tests on.

    Args:
        split: its `fold` counts the groups in the order of their names; a new group shifts it.
        names: of all groups.

    Raises:
        ConfigError: if there are not that many groups.
    """
    ordered = sorted(names)
    if split.fold >= len(ordered):
        raise ConfigError(
            f"split.fold must be in 0..{len(ordered) - 1}: there are {len(ordered)} groups "
            f"({', '.join(ordered[:8])}{' ...' if len(ordered) > 8 else ''}), got {split.fold}"
        )
    return ordered[split.fold]


def hash_validation(split: Split, codes: Codes, groups: Keys) -> Codes:
    """Move a share of the training groups to validation where validation is not named."""
    if isinstance(split.validation, tuple):
        return codes
    share = VALIDATION_SHARE if split.validation is None else float(split.validation)
    chosen = (codes == TRAIN) & (validation_draws(split, groups) < share)
    return np.where(chosen, VALIDATION, codes).astype(np.int8)


def fold_of(split: Split, groups: Keys, count: int) -> Keys:
    """The fold of each group, by its hash, `(R,)`."""
    return ragged.mix(groups, _FOLD_SALT, split.seed) % np.uint64(count)


def validation_draws(split: Split, groups: Keys) -> npt.NDArray[np.float64]:
    """A number in [0, 1) of each group: under the share it validates, `(R,)`."""
    return ragged.uniform(groups, _VALIDATION_SALT, split.seed)


def _by_value(split: Split, values: pl.Series) -> Codes:
    codes = np.full(len(values), LEFT_OUT if split.train is not None else TRAIN, dtype=np.int8)
    for number, name in enumerate(SPLITS):
        listed = getattr(split, name)
        if not isinstance(listed, tuple):
            continue
        texts = [str(value) for value in listed]
        found = values.is_in(texts).fill_null(False)
        if split.by == "path" and split.pattern is None:
            for text in texts:
                found |= values.str.starts_with(text.rstrip("/") + "/")
        codes[found.to_numpy()] = number
    return codes


def names_any(split: Split, table: pa.Table, listed: pl.DataFrame | None) -> bool:
    """Whether the split's column or table says anything of some records; True for other splits."""
    if split.by == "column":
        return _column(split, table).null_count() < len(table)
    if split.by == "table":
        assert listed is not None
        return _looked_up(table, listed).null_count() < len(table)
    return True


def _column(split: Split, table: pa.Table) -> pl.Series:
    name = str(split.column).replace("\\", "\\\\").replace("'", "\\'")
    return _series(table, "attributes").str.json_path_match(f"$['{name}']")


def values_of(split: Split, table: pa.Table, listed: pl.DataFrame | None) -> pl.Series:
    """What stands in each record's row at the place that the split names, `(R,)` strings."""
    match split.by:
        case "path":
            values = _series(table, "source")
        case "header":
            values = _series(table, "header")
        case "column":
            values = _column(split, table)
        case "table":
            assert listed is not None, "split by table: its file was not read"
            values = _looked_up(table, listed)
        case by:
            raise ValueError(f"split by {by!r} has no values")
    if split.pattern is None:
        return values
    try:
        return values.str.extract(split.pattern, 1)
    except pl.exceptions.ComputeError as error:
        raise ConfigError(
            f"split.pattern {split.pattern!r} needs one group and no look-around: {error}"
        ) from error


def read_listed(split: Split, *, base: Path) -> pl.DataFrame | None:
    """The `key` and `value` of each line of `split.table`; None for another split.

    Args:
        split: as in the pipeline file.
        base: folder that `split.table` is relative to.

    Raises:
        ConfigError: if the file cannot be read, lacks a column, or gives a key several values.
    """
    if split.by != "table":
        return None
    path = base / str(split.table)
    if not path.is_file():
        raise ConfigError(
            f"split.table: {path} does not exist; correct the path, which is relative to the "
            "pipeline file"
        )
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            separator = max(",\t;", key=file.readline().count)
        listed = pl.read_csv(path, separator=separator, infer_schema=False)
        listed = listed.rename(str.strip).select(pl.all().str.strip_chars())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ConfigError(f"split.table: {path} cannot be read: {error}") from error
    for column in (split.key, split.column):
        if column not in listed.columns:
            raise ConfigError(
                f"split.table: {path} has no column {column!r}; it has {', '.join(listed.columns)}"
            )
    named = listed.select(key=str(split.key), value=str(split.column)).unique(maintain_order=True)
    twice = named.filter(pl.col("key").is_duplicated() & pl.col("key").is_not_null())
    if len(twice):
        key = twice["key"][0]
        several = ", ".join(map(repr, twice.filter(pl.col("key") == key)["value"]))
        raise ConfigError(f"split.table: {path}: {key!r} has several values: {several}; keep one")
    return named


def _looked_up(table: pa.Table, listed: pl.DataFrame) -> pl.Series:
    """What is listed of each record, by its id, else its name, file or group, `(R,)`."""
    values = pl.Series("value", [None] * len(table), dtype=pl.String)
    for column in ("id", "name", "source", "group"):
        frame = pl.DataFrame({"key": _series(table, column)})
        found = frame.join(listed, on="key", how="left", maintain_order="left")["value"]
        values = values.fill_null(found) if values.null_count() else values
    return values


def _series(table: pa.Table, column: str) -> pl.Series:
    return pl.Series(pl.from_arrow(table[column].cast(pa.large_string())))


def cut_by_time(chunk: Chunk, split: Split) -> Chunk:
    """Cut each recording into train, validation and test rows, in order, with gaps between.

    >>> from seqprep.ragged import from_lists, to_lists
    >>> import numpy as np
    >>> one = Chunk(steps=from_lists([list(range(10))]), keys=np.zeros(1, np.uint64),
    ...     rows=np.arange(1), splits=np.zeros(1, np.int8), views=np.zeros(1, np.int64),
    ...     windows=np.zeros(1, np.int64))
    >>> halves = Split(by="time", train=0.5, validation=0.2, test=0.3, gap=1)
    >>> to_lists(cut_by_time(one, halves).steps)
    [[0, 1, 2, 3, 4], [6], [8, 9]]
    """
    starts, sizes = time_spans(chunk.lengths, split)
    rows = np.repeat(np.arange(len(chunk)), len(SPLITS))
    offsets = chunk.steps.offsets[:-1]
    flat, edges = (starts + offsets[:, None]).ravel(), ragged.to_offsets(sizes.ravel())

    def cut(whole: ragged.Ragged) -> ragged.Ragged:
        return ragged.Ragged(ragged.copy_spans(whole.values, flat, sizes.ravel()), edges)

    every = Chunk(
        steps=cut(chunk.steps),
        targets=chunk.targets and cut(chunk.targets),
        keys=chunk.keys[rows],
        rows=chunk.rows[rows],
        splits=np.tile(np.arange(len(SPLITS), dtype=np.int8), len(chunk)),
        views=chunk.views[rows],
        windows=chunk.windows[rows],
    )
    return every.take(np.flatnonzero(every.lengths > 0))


def time_spans(lengths: Ints, split: Split) -> tuple[Ints, Ints]:
    """Start and size of each split in recordings of these lengths, both `(R, 3)`, in steps."""
    shares = np.cumsum([float(getattr(split, name) or 0) for name in SPLITS[:2]])
    edges = np.floor(lengths[:, None] * shares + 1e-9).astype(np.int64)
    starts = np.stack([np.zeros_like(lengths), edges[:, 0], edges[:, 1]], axis=1)
    starts[:, 1:] += split.gap
    ends = np.stack([edges[:, 0], edges[:, 1], lengths], axis=1)
    return starts, np.maximum(ends - starts, 0)
