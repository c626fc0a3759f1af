"""One recording: a file's table, wide or long, as channels, times, targets and constant cells.

The whole file is held in memory while it is read; `signal_probe` looks at beginnings only.
"""

from __future__ import annotations

import polars as pl

from seqprep.domains.signal_columns import Picked, pick_columns
from seqprep.domains.signal_layout import Layout, find_layout
from seqprep.domains.signal_long import load_long, pick_long
from seqprep.domains.signal_parts import Part, Recording, constant_cell
from seqprep.domains.signal_tables import read_columns
from seqprep.ingestion.expand import Notice, read_bytes
from seqprep.ingestion.files import SourceFile
from seqprep.ingestion.records import Context


def load(file: SourceFile, context: Context, notice: Notice | None = None) -> Recording:
    """Read one file; oddities of its bytes are given to `notice`.

    Raises:
        SignalError: if the recording cannot be used.
        InputError: if the file cannot.
    """
    layout = read_layout(file, context, notice)
    if context.source.form == "long":
        return load_long(layout, context, file)
    return _load_wide(layout, pick_columns(layout, context, file), context)


def read_layout(file: SourceFile, context: Context, notice: Notice | None = None) -> Layout:
    """A file's table.

    Raises:
        SignalError: if it holds none.
        InputError: if the file cannot be read.
    """
    source = context.source
    data = read_bytes(file, max_expanded_bytes=source.max_expanded_bytes, notice=notice)
    assert not isinstance(source.header, bool)
    return find_layout(data, header=source.header)


def step_classes(file: SourceFile, context: Context) -> pl.Series:
    """The names in the column of per-step labels.

    Raises:
        SignalError: if the recording cannot be used.
        InputError: if the file cannot.
    """
    layout = read_layout(file, context)
    pick = pick_long if context.source.form == "long" else pick_columns
    places = pick(layout, context, file).targets
    return read_columns(layout, numbers=[], texts=places, allow_missing=True)[1][0]


def _load_wide(layout: Layout, picked: Picked, context: Context) -> Recording:
    steps = context.source.task == "label_steps" and not context.predicting
    numbers = [*picked.channels, *picked.time, *([] if steps else picked.targets)]
    texts = [*(picked.targets if steps else []), *picked.cells.values(), *picked.kept.values()]
    allow = context.source.missing == "interpolate"
    values, series = read_columns(layout, numbers=numbers, texts=texts, allow_missing=allow)
    count = len(picked.channels)
    strings = dict(zip((place for place in texts), series, strict=True))
    part = Part(
        values=values[:, :count],
        times=values[:, count] / picked.per_second if picked.time else None,
        places=tuple(range(count)),
    )
    return Recording(
        parts=(part,),
        targets=values[:, len(numbers) - len(picked.targets) :]
        if picked.targets and not steps
        else None,
        classes=strings[picked.targets[0]] if steps and picked.targets else None,
        cells={key: constant_cell(strings[place], key) for key, place in picked.cells.items()},
        kept={key: constant_cell(strings[place], key) for key, place in picked.kept.items()},
        channels=picked.names,
        first_line=layout.first_line,
        header_line=layout.header_line,
    )
