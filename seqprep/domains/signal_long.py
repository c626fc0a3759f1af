"""The long form of a signal's table: a row is one sample of one channel.

A row says when (seconds, or the sample's number), which channel, and the value; other columns hold
labels, targets or what is kept. Channels may stand in blocks or take turns. One file is one
recording, and gives the same rows as the same recording in wide form.
Use it with `source.form: long`; `signal_pivot` puts the samples of all channels side by side.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from seqprep.domains.signal_columns import check_names, find_column, target_names
from seqprep.domains.signal_layout import CHANNEL_NAMES, Layout, SignalError
from seqprep.domains.signal_parts import Recording, constant_cell
from seqprep.domains.signal_pivot import Samples, pivot
from seqprep.domains.signal_tables import read_columns
from seqprep.domains.signal_time import TimeColumn, find_time, named_time
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context

SAMPLE_NAMES = ("sample", "samples", "sample_number", "sample_index", "index", "step", "row", "n")
VALUE_NAMES = ("value", "values", "amplitude", "voltage")
MAX_CHANNELS = 10_000
"""More are no channels: the column holds something else."""
_UNIT = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*$")
_BLANKS = re.compile(r"[\s_-]+")


class LongPicked(NamedTuple):
    """Positions of columns.

    Args:
        time: in `per_second` units a second, or of the samples' numbers where `numbered`.
        channel, value: of a sample. targets: per-step targets.
        cells: of `label` and `group`. kept: of the columns to keep, by name.
        numbered: whether `time` counts samples.
    """

    time: int
    channel: int
    value: int
    targets: list[int]
    cells: dict[str, int]
    kept: dict[str, int]
    numbered: bool
    per_second: int


def pick_long(layout: Layout, context: Context, file: SourceFile) -> LongPicked:
    """Where each column that a source asks for stands in this file.

    Raises:
        SignalError: if one is missing.
        InputError: if a name occurs twice, or names are asked of a file without a header.
    """
    source = context.source
    check_names(layout, file)
    (time, per_second), numbered = _time(layout, context, file)
    channel = _column(layout, source.channel_column, "channel_column", CHANNEL_NAMES, file)
    value = _column(layout, source.value_column, "value_column", VALUE_NAMES, file)
    cells = {
        key: find_column(layout, reader.column, file)
        for key, reader in (("label", context.label), ("group", context.group))
        if reader is not None and reader.column is not None
    }
    kept, targets = {}, []
    if not context.predicting:
        kept = {name: find_column(layout, name, file) for name in source.keep}
        targets = [find_column(layout, name, file) for name in target_names(source)]
    if len({time, channel, value, *targets}) < 3 + len(targets):
        raise SignalError(
            "wrong_channels",
            layout.header_line,
            "time, channel, value and targets must stand in columns of their own; set "
            "source.time_column, channel_column and value_column",
        )
    return LongPicked(time, channel, value, targets, cells, kept, numbered, per_second)


def _time(layout: Layout, context: Context, file: SourceFile) -> tuple[TimeColumn, bool]:
    """The column that orders the samples, and whether it numbers them."""
    source = context.source
    if source.time_column not in ("auto", "none"):
        return named_time(layout, find_column(layout, source.time_column, file)), False
    if source.sample_column != "auto":
        return TimeColumn(find_column(layout, source.sample_column, file), 1), True
    if source.time_column == "auto":
        found = find_time(layout)
        if found is not None:
            return found, False
        names = layout.names or ()
        # No column of the long form is a channel.
        if "t" in names and _named(layout, SAMPLE_NAMES) is None:
            return TimeColumn(names.index("t"), 1), False
    key = "time_column or source.sample_column"
    return TimeColumn(_column(layout, "auto", key, SAMPLE_NAMES, file), 1), True


def _column(
    layout: Layout, wanted: str | int, key: str, names: Sequence[str], file: SourceFile
) -> int:
    if wanted != "auto":
        return find_column(layout, wanted, file)
    place = _named(layout, names)
    if place is None:
        has = ", ".join(layout.names[:20]) if layout.names else f"{layout.width} without names"
        raise SignalError(
            "wrong_channels",
            layout.header_line,
            f"the long form needs a column such as {', '.join(names[:4])}; the columns are {has}; "
            f"set source.{key}",
        )
    return place


def _named(layout: Layout, names: Sequence[str]) -> int | None:
    """The first column with one of these names, whatever its case, blanks and unit in brackets."""
    plain = [_BLANKS.sub("_", _UNIT.sub("", name).strip().lower()) for name in layout.names or ()]
    return next((place for place, name in enumerate(plain) if name in names), None)


def load_long(layout: Layout, context: Context, file: SourceFile) -> Recording:
    """The recording that a long table holds.

    Raises:
        SignalError: if it cannot be used.
        InputError: if the file cannot.
    """
    source, picked = context.source, pick_long(layout, context, file)
    by_name = source.task == "label_steps" and not context.predicting
    numbers = [picked.time, picked.value, *([] if by_name else picked.targets)]
    texts = [picked.channel, *(picked.targets if by_name else [])]
    texts += [*picked.cells.values(), *picked.kept.values()]
    allow = source.missing == "interpolate"
    table, series = read_columns(layout, numbers=numbers, texts=texts, allow_missing=allow)
    strings = dict(zip(texts, series, strict=True))
    names, codes = _channel_codes(strings[picked.channel], context, layout)
    samples = Samples(
        times=_seconds(table[:, 0], picked, context, layout),
        codes=codes,
        values=table[:, 1],
        names=names,
        first_line=layout.first_line,
    )
    parts, steps = pivot(samples, missing=source.missing, mixed_rates=source.mixed_rates)
    targets = classes = None
    if picked.targets and by_name:
        classes = strings[picked.targets[0]].gather(steps.rows(strings[picked.targets[0]]))
    elif picked.targets:
        found = [table[:, 2 + place] for place, _ in enumerate(picked.targets)]
        targets = np.column_stack([one[steps.rows(pl.Series(one))] for one in found])
    return Recording(
        parts=parts,
        targets=targets,
        classes=classes,
        cells={key: constant_cell(strings[place], key) for key, place in picked.cells.items()},
        kept={key: constant_cell(strings[place], key) for key, place in picked.kept.items()},
        channels=names,
        timed=not picked.numbered or _clock_hz(context) is not None,
        first_line=layout.first_line,
        header_line=layout.header_line,
    )


def _channel_codes(
    column: pl.Series, context: Context, layout: Layout
) -> tuple[tuple[str, ...], npt.NDArray[np.int16]]:
    """The channels to read, in order, and which of them each row is of (-1: none), `(N,)`."""
    present = column.unique(maintain_order=True).to_list()
    if "" in present:
        line = layout.first_line + int((column == "").arg_max() or 0)
        raise SignalError("wrong_channels", line, "the row names no channel")
    if len(present) > MAX_CHANNELS:
        raise SignalError(
            "wrong_channels",
            layout.header_line,
            f"the column of channels holds {len(present)} names, over {MAX_CHANNELS}, such as "
            f"{', '.join(present[:4])}; set source.channel_column to the one that names channels",
        )
    known = context.facts.channels
    wanted = tuple(str(name) for name in context.source.channels)
    if not wanted and known and (context.predicting or set(known) == set(present)):
        # What stands beside the channels of the training does not matter.
        wanted = known
    lacking = [name for name in wanted if name not in present]
    if lacking:
        has = ", ".join(present[:20])
        detail = f"has no channel {lacking[0]!r}; it has {has}"
        raise SignalError("wrong_channels", layout.header_line, detail)
    names = wanted or tuple(present)
    codes = column.replace_strict(
        list(names), list(range(len(names))), default=-1, return_dtype=pl.Int16
    )
    return names, codes.to_numpy()


def _clock_hz(context: Context) -> float | None:
    """What a second is to numbered samples: they count at the dataset's rate."""
    return context.source.rate_hz or context.facts.rate_hz


def _seconds(
    column: npt.NDArray[np.float64], picked: LongPicked, context: Context, layout: Layout
) -> npt.NDArray[np.float64]:
    lacking = np.flatnonzero(np.isnan(column))
    if len(lacking):
        line = layout.first_line + int(lacking[0])
        raise SignalError("missing_values", line, "timestamps are missing")
    return column / ((_clock_hz(context) or 1.0) if picked.numbered else picked.per_second)
